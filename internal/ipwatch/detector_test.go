package ipwatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

func TestNewDetectorRefuses(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok := ipwatch.Source{Operator: "aws", URL: "https://a.example/"}
	two := func(s ipwatch.Source) []ipwatch.Source { return []ipwatch.Source{ok, s} }
	def := ipwatch.DefaultPolicy()
	with := func(change func(*ipwatch.Policy)) ipwatch.Policy {
		p := def
		change(&p)
		return p
	}
	fixed := func(f ipwatch.Family, a string) map[ipwatch.Family]ipwatch.Setting {
		return map[ipwatch.Family]ipwatch.Setting{f: {Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr(a)}}
	}
	for _, c := range []struct {
		name string
		cfg  ipwatch.Config
		want string
	}{
		{"no policy", ipwatch.Config{}, "agree = 0"},
		{"http", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "http://b.example/"})}, "plain http"},
		{"ftp", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "ftp://b.example/"})}, "not an https URL"},
		{"no scheme", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "b.example"})}, "not an https URL"},
		{"opaque", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https:b.example"})}, "not an https URL"},
		{"no host", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https:///ip"})}, "no host"},
		{"user", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://me:pw@b.example/"})}, "user name"},
		{"fragment", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/#x"})}, "fragment"},
		{"control character", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/\x1b"})}, "not a URL"},
		{"long", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/" + strings.Repeat("x", 2048)})}, "2048"},
		{"no operator", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: " ", URL: "https://b.example/"})}, "no operator"},
		{"odd operator", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "a\u202eb", URL: "https://b.example/"})}, "letters, digits"},
		{"format", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/", Format: "xml"})}, `format "xml"`},
		{"Cloudflare under another name", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://icanhazip.com/"})}, "run by Cloudflare"},
		{"one URL, two operators", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://a.example/"})}, "two operators"},
		{"family", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/", Family: 5})}, "no address family"},
		{"literal of the other family", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://192.0.2.1/", Family: ipwatch.V6})}, "IPv4 address"},
		{"CA file is missing", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/", CAFile: garbage + "x"})}, "ca-file"},
		{"CA file is not PEM", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "b", URL: "https://b.example/", CAFile: garbage})}, "no PEM certificate"},
		{"too few operators", ipwatch.Config{Policy: def, Sources: two(ipwatch.Source{Operator: "AWS", URL: "https://b.example/"})}, "only 1"},
		{"no sources", ipwatch.Config{Policy: def, Sources: []ipwatch.Source{}}, "only 0"},
		{"required one is missing", ipwatch.Config{Policy: with(func(p *ipwatch.Policy) { p.Require = "mine" })}, "no source is run by it"},
		{"more than there are", ipwatch.Config{Policy: with(func(p *ipwatch.Policy) { p.Agree = 4 })}, "have only 3"},
		{"bad range", ipwatch.Config{Policy: with(func(p *ipwatch.Policy) { p.Never = []netip.Prefix{{}} })}, "never"},
		{"mapped range", ipwatch.Config{Policy: with(func(p *ipwatch.Policy) { p.Accept = addrPrefixes("::ffff:0.0.0.0/96") })}, "accept"},
		{"fixed of the other family", ipwatch.Config{Policy: def, Settings: fixed(ipwatch.V4, addr6)}, "not an IPv4 address"},
		{"fixed unspecified", ipwatch.Config{Policy: with(func(p *ipwatch.Policy) { p.Accept = addrPrefixes("0.0.0.0/0") }), Settings: fixed(ipwatch.V4, "0.0.0.0")}, "unspecified"},
		{"fixed loopback", ipwatch.Config{Policy: def, Settings: fixed(ipwatch.V4, "127.0.0.1")}, "loopback"},
		{"fixed mapped", ipwatch.Config{Policy: def, Settings: fixed(ipwatch.V6, "::ffff:1.2.3.4")}, "not an IPv6 address"},
		{"unknown mode", ipwatch.Config{Policy: def, Settings: map[ipwatch.Family]ipwatch.Setting{ipwatch.V4: {Mode: "magic"}}}, "unknown mode"},
		{"unknown family", ipwatch.Config{Policy: def, Settings: map[ipwatch.Family]ipwatch.Setting{7: {}}}, "no address family"},
	} {
		_, err := ipwatch.NewDetector(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || err.Error() != ipwatch.Clean(err.Error(), 10000) {
			t.Errorf("%s: error %v, want one with %q that is safe to print", c.name, err, c.want)
		}
	}
}

func TestNewDetectorAccepts(t *testing.T) {
	t.Parallel()
	lab := ipwatch.DefaultPolicy()
	lab.Accept = addrPrefixes("127.0.0.0/8")
	for name, cfg := range map[string]ipwatch.Config{
		"defaults": {Policy: ipwatch.DefaultPolicy()},
		"one source is enough": {Policy: ipwatch.Policy{Agree: 1},
			Sources: []ipwatch.Source{{Operator: "mine", URL: "https://ip.example.org:8443/echo?x=1"}}},
		"two sources of one operator": {Policy: ipwatch.DefaultPolicy(), Sources: []ipwatch.Source{
			{Operator: "AWS", URL: "https://a.example/"}, {Operator: "aws", URL: "https://b.example/"}, {Operator: "My Org-1_x.y", URL: "https://[2600:1f18::1]/"}}},
		"nothing is asked": {Policy: ipwatch.DefaultPolicy(), Sources: []ipwatch.Source{}, Settings: map[ipwatch.Family]ipwatch.Setting{
			ipwatch.V4: {Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr(addrX)}, ipwatch.V6: {Mode: ipwatch.ModeOff}}},
		"fixed loopback in a lab": {Policy: lab, Settings: map[ipwatch.Family]ipwatch.Setting{
			ipwatch.V4: {Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr("127.0.0.9")}}},
	} {
		if _, err := ipwatch.NewDetector(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDefaultSources checks that the built-in list can confirm both families with one operator down.
func TestDefaultSources(t *testing.T) {
	t.Parallel()
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		ops := make(map[string]bool)
		for _, s := range ipwatch.DefaultSources() {
			if s.Family == 0 || s.Family == f {
				ops[s.Operator] = true
			}
		}
		if len(ops) != 3 || !ops["aws"] {
			t.Errorf("%s: operators %v, want aws and two others", f, ops)
		}
	}
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	if !slices.Equal(d.Sources, ipwatch.DefaultSources()) {
		t.Error("the defaults are changed by their own checks")
	}
}

func TestParseSetting(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]ipwatch.Mode{
		"": ipwatch.ModeAuto, "auto": ipwatch.ModeAuto, "off": ipwatch.ModeOff, "local": ipwatch.ModeLocal, addrX: ipwatch.ModeFixed, addrX + "/32": ipwatch.ModeFixed,
	} {
		if got, err := ipwatch.ParseSetting(ipwatch.V4, value); err != nil || got.Mode != want {
			t.Errorf("%q: mode %s, %v; want %s", value, got.Mode, err, want)
		}
	}
	if got, err := ipwatch.ParseSetting(ipwatch.V6, addr6+"/128"); err != nil || got.Fixed.String() != addr6 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"on", "Auto", "fixed", addr6, "52.94.0.0/16", "0.0.0.0/0", addrX + "/33", addrX + "/", addrX + "/32/32", addrX + " ", "::ffff:" + addrX, "\x1b[2J", addrX + "\u202e"} {
		got, err := ipwatch.ParseSetting(ipwatch.V4, bad)
		if err == nil || err.Error() != ipwatch.Clean(err.Error(), 1000) {
			t.Errorf("%q: %v, %v; want an error that is safe to print", bad, got, err)
		}
	}
}

// TestParseSettingErrors: each error names what is wrong.
func TestParseSettingErrors(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"on": `want "auto", "off", "local" or an address`, addrX + "/33": "is not an address", "52.94.0.0/16": "is a range", addr6: "is not an IPv4 address",
	} {
		if _, err := ipwatch.ParseSetting(ipwatch.V4, value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want …%s…", value, err, want)
		}
	}
}

func TestPolicyWarnings(t *testing.T) {
	t.Parallel()
	if w := ipwatch.DefaultPolicy().Warnings(); len(w) != 0 {
		t.Errorf("the default policy warns: %v", w)
	}
	if w := (ipwatch.Policy{Agree: 1}).Warnings(); len(w) != 3 {
		t.Errorf("the weakest policy has the warnings %v, want three", w)
	}
}

func TestFamily(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(map[ipwatch.Family]int{ipwatch.V4: 1, ipwatch.V6: 2})
	if err != nil || string(b) != `{"ipv4":1,"ipv6":2}` {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := json.Marshal(map[ipwatch.Family]int{5: 1}); err == nil {
		t.Error("a family that is none was written")
	}
	for a, want := range map[string]ipwatch.Family{addrX: ipwatch.V4, addr6: ipwatch.V6, "::ffff:" + addrX: 0} {
		if got := ipwatch.FamilyOf(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is of %s", a, got)
		}
		if ipwatch.Family(5).Has(netip.MustParseAddr(a)) {
			t.Errorf("%s is of a family that is none", a)
		}
	}
	if got := ipwatch.FamilyOf(netip.Addr{}); got != 0 {
		t.Errorf("no address is of %s", got)
	}
}

// TestDNSFailure: a name that cannot be resolved is told as such, and the state is offline.
func TestDNSFailure(t *testing.T) {
	t.Parallel()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	d.Dial = func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp4" {
			t.Errorf("dialed %s %s", network, addr)
		}
		host, _, _ := net.SplitHostPort(addr)
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host\x1b", Name: host, IsNotFound: true}}
	}
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), nil)
	checkVerdict(t, v)
	if v.State != ipwatch.Offline || !strings.Contains(v.Why, "DNS") || !strings.Contains(v.Why, "checkip.amazonaws.com") {
		t.Errorf("%s: %s", v.State, v.Why)
	}
}

// TestConnectionFailures is about real sockets: a closed port, and a server that says nothing until the caller gives up.
func TestConnectionFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	closed := l.serve(says(good))
	aws, cf := l.source(closed, "aws"), l.source(closed, "cloudflare")
	cf.URL += "2"
	closed.Close()
	v := verdict(t, l.detector(labPolicy(), aws, cf))
	if v.State != ipwatch.Offline || !strings.Contains(v.Why, "refused") || strings.Contains(v.Why, "https://") {
		t.Errorf("closed port: %s: %s", v.State, v.Why)
	}
	arrived := make(chan struct{}, 2)
	silent := l.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	aws, cf = l.source(silent, "aws"), l.source(silent, "cloudflare")
	cf.URL += "2"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		<-arrived
		cancel()
	}()
	o := l.detector(labPolicy(), aws, cf).Observe(ctx, ipwatch.V4)
	for _, a := range o.Answers {
		if e, ok := errors.AsType[*ipwatch.EchoError](a.Err); !ok || e.Fault != ipwatch.FaultStopped || !a.Local.IsValid() {
			t.Errorf("%s: %v from %v, want stopped, and the local address known", a.Source.Name, a.Err, a.Local)
		}
	}
}

// TestIPv6 forces the other family: an echo on ::1 is asked, one on 127.0.0.1 is not.
func TestIPv6(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback: ", err)
	}
	ln.Close()
	l := newLab(t)
	p := labPolicy()
	p.Accept = addrPrefixes("::1/128")
	aws, cf := l.serve6(http.HandlerFunc(sayPeer)), l.serve6(http.HandlerFunc(sayPeer))
	d := l.detector(p, l.source(aws, "aws"), l.source(cf, "cloudflare"), l.echo("ipify", good))
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V6), addrs("::1"))
	checkVerdict(t, v)
	if v.State != ipwatch.Confirmed || v.Addr != netip.IPv6Loopback() || v.Answers[0].Local != netip.IPv6Loopback() {
		t.Errorf("%s %v: %s", v.State, v.Addr, v.Why)
	}
	if v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), nil); v.State != ipwatch.Unsure {
		t.Errorf("IPv4: %s (%s), want unsure: only one source can be asked over it", v.State, v.Why)
	}
}
