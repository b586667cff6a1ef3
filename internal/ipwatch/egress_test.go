package ipwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// answerFrom is an answer of an operator that was asked from a local address.
func answerFrom(operator, addr, local string) ipwatch.Answer {
	a := said(operator, addr)
	a.Local = netip.MustParseAddr(local)
	return a
}

// TestEgress6: there is no NAT in IPv6, so the address that the sources see must be the one that was sent from.
func TestEgress6(t *testing.T) {
	t.Parallel()
	const temporary, other, node = addr6, "2600:1f18::8", "2600:1f18:1::9"
	same := []ipwatch.Answer{answerFrom("aws", addr6, temporary), answerFrom("cloudflare", addr6, temporary)}
	for _, c := range []struct {
		name    string
		answers []ipwatch.Answer
		nodes   []netip.Addr
		local   string // towards the node
		state   ipwatch.State
		why     string
		remedy  string
	}{
		{"temporary address", same, addrs(node), temporary, ipwatch.Confirmed, "agree", ""},
		{"another source address towards the node", same, addrs(node), other, ipwatch.SplitRoute, "sends from " + other, ""},
		{"translated from a local prefix", []ipwatch.Answer{answerFrom("aws", addr6, "fd00::5"), answerFrom("cloudflare", addr6, "fd00::5")}, addrs(node), "fd00::5",
			ipwatch.Unsure, "translates IPv6 addresses", `ipv6 = "2600:1f18::7"`},
		{"translated from a global prefix", []ipwatch.Answer{answerFrom("aws", addr6, other), answerFrom("cloudflare", addr6, other)}, addrs(node), other,
			ipwatch.Unsure, "translates IPv6 addresses", `ipv6 = "2600:1f18::7"`},
		{"translated, no node", []ipwatch.Answer{answerFrom("aws", addr6, "fd00::5"), answerFrom("cloudflare", addr6, "fd00::5")}, nil, "",
			ipwatch.Unsure, "translates IPv6 addresses", `ipv6 = "2600:1f18::7"`},
		{"translated, and another way to the node", []ipwatch.Answer{answerFrom("aws", addr6, "fd00::5"), answerFrom("cloudflare", addr6, "fd00::5")}, addrs(node), other,
			ipwatch.Unsure, "translates IPv6 addresses", `ipv6 = "2600:1f18::7"`},
		{"unknown local address", []ipwatch.Answer{said("aws", addr6), said("cloudflare", addr6)}, addrs(node), temporary,
			ipwatch.Unsure, "not known which local address", ""},
		{"the address was replaced between two questions", []ipwatch.Answer{answerFrom("aws", addr6, addr6), answerFrom("cloudflare", addr6, other)}, addrs(node), temporary,
			ipwatch.Unsure, "the network changes just now", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
			d.LocalAddr = routes(map[string]string{node: c.local})
			v := d.Conclude(ipwatch.Observation{Family: ipwatch.V6, Answers: c.answers}, c.nodes)
			checkVerdict(t, v)
			if v.State != c.state || !strings.Contains(v.Why, c.why) || v.Remedy != c.remedy || !strings.Contains(v.Why, c.remedy) {
				t.Errorf("%s, remedy %q: %s", v.State, v.Remedy, v.Why)
			}
		})
	}
	off := ipwatch.DefaultPolicy()
	off.EgressCheck = false
	d := detectorFor(t, off, nil)
	v := d.Conclude(ipwatch.Observation{Family: ipwatch.V6, Answers: []ipwatch.Answer{answerFrom("aws", addr6, "fd00::5"), answerFrom("cloudflare", addr6, "fd00::5")}}, nil)
	if v.State != ipwatch.Confirmed {
		t.Errorf("with the check turned off: %s (%s)", v.State, v.Why)
	}
}

// TestPrefix64: a whole /64 is only opened when it is the network that this computer is on, and when the user's filters
// allow all of it.
func TestPrefix64(t *testing.T) {
	t.Parallel()
	p := ipwatch.DefaultPolicy()
	p.Prefix6 = 64
	with := func(change func(*ipwatch.Policy)) ipwatch.Policy {
		q := p
		change(&q)
		return q
	}
	prefixes := func(s ...string) []netip.Prefix { return addrPrefixes(s...) }
	own := prefixes("192.168.1.5/24", addr6+"/64")
	for _, c := range []struct {
		name   string
		policy ipwatch.Policy
		have   []netip.Prefix
		err    error
		state  ipwatch.State
		why    string
	}{
		{"own network", p, own, nil, ipwatch.Confirmed, "agree"},
		{"another address of the own network", p, prefixes("2600:1f18::99/64"), nil, ipwatch.Confirmed, "agree"},
		{"wider network", p, prefixes(addr6 + "/56"), nil, ipwatch.Confirmed, "agree"},
		{"lone address", p, prefixes(addr6 + "/128"), nil, ipwatch.Unsure, "Write ipv6-prefix = 128 under [address]"},
		{"another network", p, prefixes("2600:1f18:0:1::7/64"), nil, ipwatch.Unsure, "no interface of this computer is on the network 2600:1f18::/64"},
		{"not readable", p, own, errors.New("no"), ipwatch.Unsure, "no interface"},
		{"not opted in", ipwatch.DefaultPolicy(), prefixes(addr6 + "/128"), nil, ipwatch.Confirmed, "agree"},
		{"a neighbour is forbidden", with(func(q *ipwatch.Policy) { q.Never = prefixes("2600:1f18::bad/128") }), own, nil, ipwatch.Unsure,
			"a part of 2600:1f18::/64, which ipv6-prefix = 64 opens with it, lies in 2600:1f18::bad/128"},
		{"forbidden itself", with(func(q *ipwatch.Policy) { q.Never = prefixes("2600:1f18::/48") }), own, nil, ipwatch.Unsure, "it lies in 2600:1f18::/48"},
		{"only the host is allowed", with(func(q *ipwatch.Policy) { q.Only = prefixes(addr6 + "/128") }), own, nil, ipwatch.Unsure, "lies partly outside of the ranges that only"},
		{"another way to the node", p, own, nil, ipwatch.SplitRoute, "this computer sends from 2600:1f18::8"},
		{"all is allowed", with(func(q *ipwatch.Policy) { q.Only = prefixes("10.0.0.0/8", "2600:1f18::/64") }), own, nil, ipwatch.Confirmed, "agree"},
		{"outside", with(func(q *ipwatch.Policy) { q.Only = prefixes("2600:1f19::/32") }), own, nil, ipwatch.Unsure, "it lies outside of the ranges that only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, c.policy, nil)
			d.InterfaceAddrs = func() ([]netip.Prefix, error) { return c.have, c.err }
			d.LocalAddr = routes(map[string]string{"2600:1f18:1::9": addr6})
			if c.state == ipwatch.SplitRoute {
				d.LocalAddr = routes(map[string]string{"2600:1f18:1::9": "2600:1f18::8"})
			}
			v := d.Conclude(ipwatch.Observation{Family: ipwatch.V6, Answers: []ipwatch.Answer{answerFrom("aws", addr6, addr6), answerFrom("ipify", addr6, addr6)}}, addrs("2600:1f18:1::9"))
			checkVerdict(t, v)
			if v.State != c.state || !strings.Contains(v.Why, c.why) {
				t.Errorf("%s: %s\nwant %s: …%s…", v.State, v.Why, c.state, c.why)
			}
		})
	}
	// The filters hold for a fixed address and for a local one, too, and IPv4 is not widened.
	never := with(func(q *ipwatch.Policy) { q.Never = prefixes("fd00::bad/128", "10.8.0.3/32") })
	d := detectorFor(t, never, map[ipwatch.Family]ipwatch.Setting{ipwatch.V6: {Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr("fd00::5")}})
	if v := d.Conclude(d.Observe(t.Context(), ipwatch.V6), nil); v.State != ipwatch.Unsure || !strings.Contains(v.Why, "never in [address]") {
		t.Errorf("fixed: %s (%s)", v.State, v.Why)
	}
	d = detectorFor(t, never, nil)
	d.LocalAddr = routes(map[string]string{"fd00:1::9": "fd00::5", "10.0.3.4": "10.8.0.2"})
	d.Route = func(to netip.Addr) (ipwatch.Hop, error) {
		if to.Is4() {
			return tunnel("10.0.0.0/16"), nil
		}
		return tunnel("fd00:1::/64"), nil
	}
	if v := d.LocalVerdict(ipwatch.V6, addrs("fd00:1::9")); v.State != ipwatch.Unsure || !strings.Contains(v.Why, "never in [address]") {
		t.Errorf("local: %s (%s)", v.State, v.Why)
	}
	if v := d.LocalVerdict(ipwatch.V4, addrs("10.0.3.4")); v.State != ipwatch.Confirmed {
		t.Errorf("IPv4 is widened: %s (%s)", v.State, v.Why)
	}
	never.Never = prefixes("10.8.0.2/32")
	d.Policy = never
	if v := d.LocalVerdict(ipwatch.V4, addrs("10.0.3.4")); v.State != ipwatch.Unsure {
		t.Errorf("a forbidden IPv4 address beside a widened IPv6 one: %s (%s)", v.State, v.Why)
	}
	d = detectorFor(t, p, nil)
	d.LocalAddr = routes(map[string]string{"fd00:1::9": "fd00::5"})
	d.Route = func(netip.Addr) (ipwatch.Hop, error) { return tunnel("fd00:1::/64"), nil }
	d.InterfaceAddrs = func() ([]netip.Prefix, error) { return prefixes("fd00::5/128"), nil }
	if v := d.LocalVerdict(ipwatch.V6, addrs("fd00:1::9")); v.State != ipwatch.Unsure || v.Remedy != "ipv6-prefix = 128" || len(v.Warnings) != 0 {
		t.Errorf("lone local address: %s (%s) %q", v.State, v.Why, v.Warnings)
	}
}

// TestNetworkChangedAfterwards: an answer counts only while this computer still sends from the address that it was asked
// from, also when no node is known.
func TestNetworkChangedAfterwards(t *testing.T) {
	t.Parallel()
	const wifi, echo = "192.168.1.5", "52.94.1.1"
	a, b := answerFrom("aws", addrX, wifi), answerFrom("ipify", addrX, wifi)
	a.Remote = netip.MustParseAddrPort(echo + ":443")
	for local, want := range map[string]ipwatch.State{wifi: ipwatch.Confirmed, "10.20.0.7": ipwatch.Unsure, "": ipwatch.Unsure, "?": ipwatch.Unsure} {
		d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
		d.LocalAddr = routes(map[string]string{echo: local})
		v := d.Conclude(ipwatch.Observation{Family: ipwatch.V4, Answers: []ipwatch.Answer{a, b}}, nil)
		checkVerdict(t, v)
		if v.State != want || want == ipwatch.Unsure && !strings.Contains(v.Why, "its network has just changed") {
			t.Errorf("now from %q: %s (%s), want %s", local, v.State, v.Why, want)
		}
	}
	// In IPv6 nothing else is said of the address, which may well be translated, too.
	const echo6 = "2600:1f18:2::1"
	a, b = answerFrom("aws", addr6, "fd00::5"), answerFrom("ipify", addr6, "fd00::5")
	a.Remote = netip.MustParseAddrPort("[" + echo6 + "]:443")
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	d.LocalAddr = routes(map[string]string{echo6: "2600:1f18::8"})
	v := d.Conclude(ipwatch.Observation{Family: ipwatch.V6, Answers: []ipwatch.Answer{a, b}}, nil)
	checkVerdict(t, v)
	if v.State != ipwatch.Unsure || v.Remedy != "" || !strings.Contains(v.Why, "its network has just changed") {
		t.Errorf("IPv6: %s, remedy %q (%s)", v.State, v.Remedy, v.Why)
	}
}

// TestOneNetworkProperty: answers of two networks in any mixture, and a computer that is on one of them: what is
// confirmed is what the present network was seen as, by answers that were all asked from it.
func TestOneNetworkProperty(t *testing.T) {
	t.Parallel()
	const node, echo = "52.1.2.3", "52.94.1.1"
	locals, seen := []string{"192.168.1.5", "10.20.0.7"}, []string{addrX, addrY}
	rapid.Check(t, func(t *rapid.T) {
		ops := []string{"aws", "cloudflare", "ipify", "mine"}
		var as []ipwatch.Answer
		for _, op := range ops[:rapid.IntRange(2, 4).Draw(t, "operators")] {
			n := rapid.IntRange(0, 1).Draw(t, "network")
			says := seen[n]
			if rapid.IntRange(0, 5).Draw(t, "lie") == 0 {
				says = seen[1-n]
			}
			a := answerFrom(op, says, locals[n])
			if rapid.Bool().Draw(t, "remote") {
				a.Remote = netip.MustParseAddrPort(echo + ":443")
			}
			as = append(as, a)
		}
		now := locals[rapid.IntRange(0, 1).Draw(t, "now")]
		d, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.DefaultPolicy()})
		if err != nil {
			t.Fatal(err)
		}
		d.LocalAddr = routes(map[string]string{node: now, echo: now})
		v := d.Conclude(ipwatch.Observation{Family: ipwatch.V4, Answers: as}, addrs(node))
		if v.State != ipwatch.Confirmed {
			return
		}
		for _, a := range as {
			if a.Addr == v.Addr && a.Local.String() != now {
				t.Fatalf("confirmed %s from %s, but %s was asked from %s", v.Addr, now, a.Source.Name, a.Local)
			}
		}
	})
}

// TestNeverAbsent4: whatever is seen, IPv4 is not absent unless it is turned off: an IPv6-only network may carry it.
func TestNeverAbsent4(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := genPolicy(t)
		p.Agree, p.Require = 2, "aws"
		d, err := ipwatch.NewDetector(ipwatch.Config{Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		d.LocalAddr = routes(map[string]string{"52.1.2.3": "192.0.0.1"}) // of a 464XLAT translator (RFC 7335)
		o := ipwatch.Observation{Family: ipwatch.V4, Answers: genAnswers(t), NoRoute: rapid.Bool().Draw(t, "NoRoute"), Absent: rapid.Bool().Draw(t, "Absent")}
		if v := d.Conclude(o, addrs("52.1.2.3")); v.State == ipwatch.Absent {
			t.Fatalf("%+v: absent (%s)", o, v.Why)
		}
	})
}

// TestStandIns: without a node the way to AWS's endpoint is compared, and that it proves little is said.
func TestStandIns(t *testing.T) {
	t.Parallel()
	const wifi, vpn, node, endpoint = "192.168.1.5", "10.8.0.2", "52.1.2.3", "52.95.1.1"
	same := []ipwatch.Answer{answerFrom("aws", addrX, wifi), answerFrom("cloudflare", addrX, wifi)}
	for _, c := range []struct {
		name     string
		nodes    []netip.Addr
		standIns []netip.Addr
		routes   map[string]string
		state    ipwatch.State
		why      string
		warning  string
	}{
		{"same way", nil, addrs(endpoint), map[string]string{endpoint: wifi}, ipwatch.Confirmed, "agree", "takes the same way."},
		{"other way", nil, addrs(endpoint), map[string]string{endpoint: vpn}, ipwatch.SplitRoute, "towards AWS's endpoint " + endpoint + " this computer sends from " + vpn, ""},
		{"one of two the other way", nil, addrs(endpoint, "52.95.1.2"), map[string]string{endpoint: wifi, "52.95.1.2": vpn}, ipwatch.SplitRoute, "52.95.1.2", ""},
		{"no route", nil, addrs(endpoint), map[string]string{endpoint: ""}, ipwatch.SplitRoute, "no route to AWS's endpoint", ""},
		{"private endpoint says nothing", nil, addrs("10.0.9.9"), nil, ipwatch.Confirmed, "agree", "leaves as " + addrX + "."},
		{"other family", nil, addrs("2600:1f18::1"), nil, ipwatch.Confirmed, "agree", "leaves as " + addrX + "."},
		{"none", nil, nil, nil, ipwatch.Confirmed, "agree", "leaves as " + addrX + "."},
		{"a node counts alone", addrs(node), addrs(endpoint), map[string]string{node: wifi}, ipwatch.Confirmed, "agree", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
			d.LocalAddr = routes(c.routes)
			v := d.ConcludeFor(ipwatch.Observation{Family: ipwatch.V4, Answers: same}, c.nodes, c.standIns)
			checkVerdict(t, v)
			if v.State != c.state || !strings.Contains(v.Why, c.why) || (c.warning == "") != (len(v.Warnings) == 0) ||
				!strings.HasSuffix(strings.Join(v.Warnings, " "), c.warning) {
				t.Errorf("%s: %s %q\nwant %s: …%s… with %q", v.State, v.Why, v.Warnings, c.state, c.why, c.warning)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	var asked []string
	d.LookupHost = func(_ context.Context, host string) ([]netip.Addr, error) {
		asked = append(asked, host)
		if host == "gone.example" {
			return addrs(addrX), &net.DNSError{Err: "no such host", Name: host}
		}
		return addrs(addrY, "::ffff:"+addrX, "10.0.9.9", "fe80::1%eth0", addr6, addrX), nil
	}
	for host, want := range map[string]string{
		"ec2.eu-west-1.amazonaws.com":           "[" + addrX + " " + addrY + " " + addr6 + "]",
		"https://ec2.eu-west-1.amazonaws.com/x": "[" + addrX + " " + addrY + " " + addr6 + "]",
		"ec2.eu-west-1.amazonaws.com:443":       "[" + addrX + " " + addrY + " " + addr6 + "]",
		addrX:                                   "[" + addrX + "]",
		"http://127.0.0.1:8080":                 "[]",
		"[" + addr6 + "]:443":                   "[" + addr6 + "]",
		addr6:                                   "[" + addr6 + "]",
		"[" + addr6 + "]":                       "[" + addr6 + "]",
		":443":                                  "[]",
		"a name":                                "[]",
		"gone.example":                          "[]",
		"":                                      "[]",
	} {
		if got := fmt.Sprint(d.Lookup(t.Context(), host)); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
	slices.Sort(asked)
	if want := []string{"ec2.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com", "gone.example"}; !slices.Equal(asked, want) {
		t.Errorf("resolved %q, want %q", asked, want)
	}
}

// TestLookupLocalhost: without a seam the system's resolver is asked. That name is in its own files.
func TestLookupLocalhost(t *testing.T) {
	t.Parallel()
	p := ipwatch.DefaultPolicy()
	p.Accept = addrPrefixes("127.0.0.0/8", "::1/128")
	as := detectorFor(t, p, nil).Lookup(t.Context(), "localhost")
	if len(as) == 0 || slices.ContainsFunc(as, func(a netip.Addr) bool { return !a.IsLoopback() }) {
		t.Errorf("localhost is %v", as)
	}
}

// TestLookupTimeout: a resolver that never answers costs two seconds and no more.
func TestLookupTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
		d.LookupHost = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begin := time.Now()
		if got := d.Lookup(t.Context(), "ec2.example"); got != nil || time.Since(begin) != ipwatch.LookupTimeout {
			t.Errorf("%v after %s", got, time.Since(begin))
		}
	})
}
