package ipwatch_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/google/go-cmp/cmp"
)

var updateSentences = flag.Bool("update-sentences", false, "write testdata/sentences.txt anew")

// TestSentences holds every sentence that a verdict has for the user, so that a change of wording is seen. Each is one
// that is safe to print, and one that is not confirmed says what to do, or that nothing is done.
func TestSentences(t *testing.T) {
	t.Parallel()
	const file = "testdata/sentences.txt"
	var b strings.Builder
	b.WriteString("# What is said, by case: go test ./internal/ipwatch -run TestSentences -update-sentences\n")
	for _, c := range sentences(t) {
		checkVerdict(t, c.v)
		fmt.Fprintf(&b, "\n%s: %s", c.name, c.v.State)
		if c.v.Addr.IsValid() {
			fmt.Fprintf(&b, " %s", c.v.Addr)
		}
		fmt.Fprintf(&b, "\n  %s\n", c.v.Why)
		if c.v.Remedy != "" {
			fmt.Fprintf(&b, "  remedy: %s\n", c.v.Remedy)
			if !strings.Contains(c.v.Why, c.v.Remedy) {
				t.Errorf("%s: the sentence does not name the remedy %s", c.name, c.v.Remedy)
			}
		}
		for _, w := range c.v.Warnings {
			fmt.Fprintf(&b, "  warning: %s\n", w)
		}
		if !strings.HasSuffix(c.v.Why, ".") && !strings.HasSuffix(c.v.Why, "?") {
			t.Errorf("%s: not a sentence: %s", c.name, c.v.Why)
		}
	}
	if *updateSentences {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the sentences have changed (-before +now); if that is meant, run with -update-sentences\n%s", diff)
	}
}

type sentence struct {
	name string
	v    ipwatch.Verdict
}

// failed gives a failure a text, as the real ones have it.
func failed(a ipwatch.Answer) ipwatch.Answer {
	e, ok := errors.AsType[*ipwatch.EchoError](a.Err)
	if !ok {
		return a
	}
	text, portal := map[ipwatch.Fault]string{
		"timeout":     `no answer in time`,
		"warp":        `the traffic leaves through Cloudflare WARP (warp=on), an address shared with strangers`,
		"stopped":     `the check was stopped`,
		"clock":       `by this computer's clock its certificate is not valid now, only from 2026-01-01 to 2026-12-31`,
		"status":      `status 503`,
		"body":        `the answer is not one address: "hello"`,
		"redirect":    `redirected to login.hotel.example, which is not followed`,
		"portal":      `a web page came in place of an address`,
		"dns":         `the name www.example.com cannot be resolved (no such host)`,
		"no-route":    `no route to www.example.com`,
		"connect":     `connect: connection refused`,
		"certificate": `the certificate is for "login.hotel.example", not for checkip.amazonaws.com`,
	}[e.Fault], ""
	if e.Fault == ipwatch.FaultRedirect || e.Fault == ipwatch.FaultCertificate {
		portal = "login.hotel.example"
	}
	a.Err = ipwatch.Failure(e.Fault, portal, text)
	return a
}

func sentences(t *testing.T) []sentence {
	const wifi, vpn, node, private = "192.168.1.5", "10.8.0.2", "52.1.2.3", "10.0.3.4"
	var all []sentence
	policy := func(change func(*ipwatch.Policy)) ipwatch.Policy {
		p := ipwatch.DefaultPolicy()
		change(&p)
		return p
	}
	def := policy(func(*ipwatch.Policy) {})
	conclude := func(name string, p ipwatch.Policy, set string, o ipwatch.Observation, way map[string]string, nodes, standIns []netip.Addr) {
		t.Helper()
		if o.Family == 0 {
			o.Family = ipwatch.V4
		}
		var err error
		if o.Setting, err = ipwatch.ParseSetting(o.Family, set); err != nil {
			t.Fatal(err)
		}
		d := detectorFor(t, p, map[ipwatch.Family]ipwatch.Setting{o.Family: o.Setting})
		d.LocalAddr = routes(way)
		d.InterfaceAddrs = func() ([]netip.Prefix, error) { return nil, nil }
		d.Route = func(netip.Addr) (ipwatch.Hop, error) { return tunnel("10.0.0.0/16"), nil }
		all = append(all, sentence{name, d.ConcludeFor(o, nodes, standIns)})
	}
	at := func(as ...ipwatch.Answer) ipwatch.Observation {
		for i := range as {
			as[i] = failed(as[i])
			if as[i].Err == nil && !as[i].Local.IsValid() {
				as[i].Local = netip.MustParseAddr(wifi)
			}
		}
		return ipwatch.Observation{Answers: as}
	}
	simple := func(name string, p ipwatch.Policy, as ...ipwatch.Answer) {
		t.Helper()
		conclude(name, p, "auto", at(as...), map[string]string{node: wifi}, addrs(node), nil)
	}
	simple("two agree", def, said("aws", addrX), said("cloudflare", addrX))
	simple("one is outvoted", def, said("aws", addrX), said("cloudflare", addrY), said("ipify", addrX))
	simple("one is enough", policy(func(p *ipwatch.Policy) { p.Agree = 1 }), said("aws", addrX))
	simple("too few", def, said("aws", addrX), said("cloudflare", "!timeout"))
	simple("AWS is missing", def, said("ipify", addrX), said("cloudflare", addrX), said("aws", "!timeout"))
	simple("two differ", def, said("aws", addrX), said("cloudflare", addrY))
	simple("two differ, none required", policy(func(p *ipwatch.Policy) { p.Require = "" }), said("ipify", addrX), said("cloudflare", addrY))
	simple("contradiction", def, said("aws", addrX), said("AWS", addrY))
	simple("never", policy(func(p *ipwatch.Policy) { p.Never = addrPrefixes(addrX + "/32") }), said("aws", addrX), said("cloudflare", addrX))
	simple("only", policy(func(p *ipwatch.Policy) { p.Only = addrPrefixes("8.8.8.0/24") }), said("aws", addrX), said("cloudflare", addrX))
	simple("WARP", def, said("aws", addrX), said("cloudflare", "!warp"), said("ipify", addrX))
	issued := func(a ipwatch.Answer) ipwatch.Answer { a.Issuer = "Corp Inspection CA"; return a }
	simple("TLS is opened", def, issued(said("aws", addrX)), issued(said("cloudflare", addrX)))
	simple("two ways out", def, answerFrom("aws", addrX, wifi), answerFrom("cloudflare", addrX, vpn))
	simple("stopped", def, said("aws", "!stopped"), said("cloudflare", "!stopped"))
	simple("clock", def, said("aws", "!clock"), said("cloudflare", "!clock"))
	simple("unusable", def, said("aws", "!status"), said("cloudflare", "!body"))
	simple("captive", def, said("aws", "!portal"), said("cloudflare", "!timeout"))
	simple("captive and named", def, said("aws", "!certificate"), said("cloudflare", "!redirect"))
	simple("nobody asked", def)
	simple("DNS fails", def, said("aws", "!dns"), said("cloudflare", "!dns"))
	simple("no route by the sources", def, said("aws", "!no-route"), said("cloudflare", "!no-route"))
	simple("silent", def, said("aws", "!timeout"), said("cloudflare", "!connect"))
	simple("silent in several ways", def, said("aws", "!timeout"), said("cloudflare", "!dns"))

	both := func() ipwatch.Observation { return at(said("aws", addrX), said("cloudflare", addrX)) }
	conclude("no route", def, "auto", ipwatch.Observation{NoRoute: true}, nil, nil, nil)
	conclude("IPv6 is absent", def, "auto", ipwatch.Observation{Family: ipwatch.V6, NoRoute: true, Absent: true}, nil, nil, nil)
	conclude("off", def, "off", ipwatch.Observation{}, nil, nil, nil)
	conclude("fixed", def, addrX, ipwatch.Observation{}, nil, nil, nil)
	conclude("fixed and forbidden", policy(func(p *ipwatch.Policy) { p.Never = addrPrefixes(addrX + "/32") }), addrX, ipwatch.Observation{}, nil, nil, nil)
	conclude("no node", def, "auto", both(), nil, nil, nil)
	conclude("no node, same way to AWS", def, "auto", both(), map[string]string{"52.95.1.1": wifi}, nil, addrs("52.95.1.1"))
	conclude("no node, another way to AWS", def, "auto", both(), map[string]string{"52.95.1.1": vpn}, nil, addrs("52.95.1.1"))
	conclude("split route", def, "auto", both(), map[string]string{node: vpn}, addrs(node), nil)
	conclude("split route to a private node", def, "auto", both(), map[string]string{private: vpn}, addrs(private), nil)
	conclude("no route to the node", def, "auto", both(), map[string]string{node: ""}, addrs(node), nil)
	conclude("way to the node unknown", def, "auto", both(), map[string]string{node: "?"}, addrs(node), nil)
	unknown := at(said("aws", addrX), said("cloudflare", addrX))
	unknown.Answers[0].Local, unknown.Answers[1].Local = netip.Addr{}, netip.Addr{}
	conclude("way of the sources unknown", def, "auto", unknown, map[string]string{node: wifi}, addrs(node), nil)
	moved := both()
	moved.Answers[0].Remote = netip.MustParseAddrPort("52.94.1.1:443")
	conclude("moved since", def, "auto", moved, map[string]string{"52.94.1.1": vpn}, nil, nil)
	six := ipwatch.Observation{Family: ipwatch.V6, Answers: []ipwatch.Answer{answerFrom("aws", addr6, "fd00::5"), answerFrom("ipify", addr6, "fd00::5")}}
	conclude("IPv6 is translated", def, "auto", six, nil, nil, nil)
	own6 := ipwatch.Observation{Family: ipwatch.V6, Answers: []ipwatch.Answer{answerFrom("aws", addr6, addr6), answerFrom("ipify", addr6, addr6)}}
	wide := policy(func(p *ipwatch.Policy) { p.Prefix6 = 64 })
	conclude("/64 of strangers", wide, "auto", own6, map[string]string{"2600:1f18:1::9": addr6}, addrs("2600:1f18:1::9"), nil)
	wide.Never = addrPrefixes("2600:1f18::bad/128")
	conclude("/64 with a forbidden one", wide, "auto", own6, nil, nil, nil)

	for _, c := range []struct {
		name string
		way  map[string]string
		hop  ipwatch.Hop
		err  error
		to   []netip.Addr
	}{
		{"local by VPN", map[string]string{private: vpn}, tunnel("10.0.0.0/16"), nil, addrs(private)},
		{"local, no node", nil, ipwatch.Hop{}, nil, nil},
		{"local, no route", map[string]string{private: ""}, ipwatch.Hop{}, nil, addrs(private)},
		{"local, vanished", map[string]string{private: vpn}, ipwatch.Hop{}, ipwatch.ErrNoRoute, addrs(private)},
		{"local, way unknown", map[string]string{private: "?"}, ipwatch.Hop{}, nil, addrs(private)},
		{"local, default route", map[string]string{private: wifi}, ipwatch.Hop{Dst: netip.MustParsePrefix("0.0.0.0/0")}, nil, addrs(private)},
		{"local, on the link", map[string]string{private: wifi}, ipwatch.Hop{Dst: netip.MustParsePrefix("10.0.0.0/16"), Interface: "wlan0"}, nil, addrs(private)},
		{"local, given out", map[string]string{private: wifi}, ipwatch.Hop{Dst: netip.MustParsePrefix("10.0.0.0/16"), Gateway: netip.MustParseAddr("192.168.1.1"), Origin: ipwatch.OriginNetwork}, nil, addrs(private)},
		{"local, origin unknown", map[string]string{private: wifi}, ipwatch.Hop{Dst: netip.MustParsePrefix("10.0.0.0/16"), Gateway: netip.MustParseAddr("192.168.1.1")}, nil, addrs(private)},
		{"local, unreadable", map[string]string{private: vpn, "198.41.0.4": wifi}, ipwatch.Hop{}, errors.ErrUnsupported, addrs(private)},
		{"local, unreadable and as the internet", map[string]string{private: vpn, "198.41.0.4": vpn}, ipwatch.Hop{}, errors.ErrUnsupported, addrs(private)},
		{"local, unreadable and no tunnel", map[string]string{private: wifi}, ipwatch.Hop{}, errors.ErrUnsupported, addrs(private)},
		{"local, two VPNs", map[string]string{private: vpn, "10.0.3.5": "10.9.0.2"}, tunnel("10.0.0.0/16"), nil, addrs(private, "10.0.3.5")},
		{"local, of no use", map[string]string{private: "169.254.3.3"}, tunnel("10.0.0.0/16"), nil, addrs(private)},
		{"local, forbidden", map[string]string{private: "10.66.0.2"}, tunnel("10.0.0.0/16"), nil, addrs(private)},
	} {
		d := detectorFor(t, policy(func(p *ipwatch.Policy) { p.Never = addrPrefixes("10.66.0.0/16") }), nil)
		d.LocalAddr = routes(c.way)
		d.Route = func(netip.Addr) (ipwatch.Hop, error) { return c.hop, c.err }
		d.Tunnel = func(a netip.Addr) bool { return a.String() == vpn }
		all = append(all, sentence{c.name, d.LocalVerdict(ipwatch.V4, c.to)})
	}
	standing := func(name string, rows ...[]string) {
		history := looks(t, wifi, rows...)
		why, remedy := ipwatch.Standing(history)
		all = append(all, sentence{name, ipwatch.Verdict{State: ipwatch.Conflict, Why: why, Remedy: remedy}})
	}
	standing("standing, by destination", []string{addrX, addrY}, []string{addrX, addrY}, []string{addrX, addrY})
	standing("standing, pool", []string{"52.1.0.1", addrY}, []string{"52.2.0.1", addrY}, []string{"52.3.0.1", addrY})
	standing("standing, small range", []string{"52.0.0.17", "52.0.0.18"}, []string{"52.0.0.30", "52.0.0.18"}, []string{"52.0.0.17", "52.0.0.18"})
	return all
}
