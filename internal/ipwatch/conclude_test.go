package ipwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// routes is a fake look-up of local addresses: destination → local address, "" is no route, "?" another failure.
func routes(m map[string]string) func(ipwatch.Family, netip.Addr) (netip.Addr, error) {
	return func(_ ipwatch.Family, to netip.Addr) (netip.Addr, error) {
		switch local, ok := m[to.String()]; {
		case !ok:
			return netip.Addr{}, fmt.Errorf("the test did not expect a look-up of %s", to)
		case local == "":
			return netip.Addr{}, fmt.Errorf("%w to %s", ipwatch.ErrNoRoute, to)
		case local == "?":
			return netip.Addr{}, errors.New("operation not permitted\x1b[2J")
		default:
			return netip.MustParseAddr(local), nil
		}
	}
}

func addrs(ss ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range ss {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// detectorFor makes a detector with a policy and settings, without sources being asked.
func detectorFor(t *testing.T, p ipwatch.Policy, set map[ipwatch.Family]ipwatch.Setting) *ipwatch.Detector {
	t.Helper()
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: p, Settings: set})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEgress(t *testing.T) {
	t.Parallel()
	const wifi, vpn, node, other = "192.168.1.5", "10.8.0.2", "52.1.2.3", "52.1.2.4"
	from := func(operator, local string) ipwatch.Answer {
		a := said(operator, addrX)
		if local != "" {
			a.Local = netip.MustParseAddr(local)
		}
		return a
	}
	same := []ipwatch.Answer{from("aws", wifi), from("cloudflare", wifi)}
	failed := from("ipify", vpn)
	failed.Err = errors.New("with an address all the same")
	off := ipwatch.DefaultPolicy()
	off.EgressCheck = false
	for _, c := range []struct {
		name     string
		policy   ipwatch.Policy
		answers  []ipwatch.Answer
		nodes    []netip.Addr
		routes   map[string]string
		state    ipwatch.State
		why      string
		warnings int
	}{
		{"same way", ipwatch.DefaultPolicy(), same, addrs(node), map[string]string{node: wifi}, ipwatch.Confirmed, "agree", 0},
		{"other way", ipwatch.DefaultPolicy(), same, addrs(node), map[string]string{node: vpn}, ipwatch.SplitRoute,
			"for traffic from 192.168.1.5, but towards the node 52.1.2.3 this computer sends from 10.8.0.2", 0},
		{"one node of two the other way", ipwatch.DefaultPolicy(), same, addrs(other, node), map[string]string{node: vpn, other: wifi}, ipwatch.SplitRoute, node, 0},
		{"no route to the node", ipwatch.DefaultPolicy(), same, addrs(node), map[string]string{node: ""}, ipwatch.SplitRoute, "no route to the node", 0},
		{"private node", ipwatch.DefaultPolicy(), same, addrs("10.0.3.4"), map[string]string{"10.0.3.4": vpn}, ipwatch.SplitRoute, `address = "local"`, 0},
		{"look-up fails", ipwatch.DefaultPolicy(), same, addrs(node), map[string]string{node: "?"}, ipwatch.Unsure, `operation not permitted\x1b[2J`, 0},
		{"unknown local address", ipwatch.DefaultPolicy(), []ipwatch.Answer{from("aws", ""), from("cloudflare", "")}, addrs(node),
			map[string]string{node: wifi}, ipwatch.Unsure, "not known which local address", 0},
		{"only an agreeing answer proves", ipwatch.DefaultPolicy(),
			append([]ipwatch.Answer{{Source: fakeSource("mine"), Addr: netip.MustParseAddr(addrY), Local: netip.MustParseAddr(vpn)}}, same...),
			addrs(node), map[string]string{node: vpn}, ipwatch.SplitRoute, vpn, 0},
		{"answers of two networks", ipwatch.DefaultPolicy(), []ipwatch.Answer{from("aws", wifi), from("cloudflare", vpn)}, addrs(node),
			map[string]string{node: vpn}, ipwatch.Unsure, "were asked from 10.8.0.2 and 192.168.1.5", 0},
		{"answers of two networks, check turned off", off, []ipwatch.Answer{from("aws", wifi), from("cloudflare", vpn)}, addrs(node),
			nil, ipwatch.Confirmed, "agree", 0},
		{"one local address is unknown", ipwatch.DefaultPolicy(), []ipwatch.Answer{from("aws", wifi), from("cloudflare", "")}, addrs(node),
			map[string]string{node: wifi}, ipwatch.Confirmed, "agree", 0},
		{"a failed answer tells nothing", ipwatch.DefaultPolicy(), []ipwatch.Answer{from("aws", wifi), from("cloudflare", wifi), failed}, addrs(node),
			map[string]string{node: wifi}, ipwatch.Confirmed, "agree", 0},
		{"no node", ipwatch.DefaultPolicy(), same, nil, nil, ipwatch.Confirmed, "agree", 1},
		{"node of the other family", ipwatch.DefaultPolicy(), same, addrs("2600:1f18::1"), nil, ipwatch.Confirmed, "agree", 1},
		{"mapped node", ipwatch.DefaultPolicy(), same, addrs("::ffff:" + node), map[string]string{node: vpn}, ipwatch.SplitRoute, node, 0},
		{"turned off", off, same, addrs(node), nil, ipwatch.Confirmed, "agree", 0},
		{"not confirmed before", ipwatch.DefaultPolicy(), same[:1], addrs(node), nil, ipwatch.Unsure, "Only AWS", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, c.policy, nil)
			d.LocalAddr = routes(c.routes)
			o := ipwatch.Observation{Family: ipwatch.V4, Answers: c.answers, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
			v := d.Conclude(o, c.nodes)
			checkVerdict(t, v)
			if v.Family != o.Family || !v.At.Equal(o.At) || len(v.Answers) != len(o.Answers) {
				t.Errorf("%s at %s with %d answers", v.Family, v.At, len(v.Answers))
			}
			if v.State != c.state || !strings.Contains(v.Why, c.why) || len(v.Warnings) != c.warnings {
				t.Errorf("%s: %s %q\nwant %s: …%s… and %d warnings", v.State, v.Why, v.Warnings, c.state, c.why, c.warnings)
			}
		})
	}
}

// TestEgressLoopback is the real thing: one node is reached by the echoes' local address, the other by another one.
func TestEgressLoopback(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := labPolicy()
	p.Accept = addrPrefixes("127.0.0.0/8")
	d := l.detector(p, l.source(l.serve(http.HandlerFunc(sayPeer)), "aws"), l.source(l.serve(http.HandlerFunc(sayPeer)), "cloudflare"))
	o := d.Observe(t.Context(), ipwatch.V4)
	if v := d.Conclude(o, addrs("127.0.0.1")); v.State != ipwatch.Confirmed {
		t.Errorf("node 127.0.0.1: %s (%s), want confirmed", v.State, v.Why)
	}
	// The address of any other interface is reached from itself.
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() {
			continue
		}
		v := d.Conclude(o, addrs(n.IP.String()))
		if v.State != ipwatch.SplitRoute || !strings.Contains(v.Why, "sends from "+n.IP.String()) {
			t.Errorf("node %s: %s (%s), want split-route", n.IP, v.State, v.Why)
		}
		return
	}
	t.Log("no second interface: only the equal way was tested")
}

// hosts are addresses with their whole length as a prefix.
func hosts(as []netip.Addr) []netip.Prefix {
	var ps []netip.Prefix
	for _, a := range as {
		ps = append(ps, netip.PrefixFrom(a, a.BitLen()))
	}
	return ps
}

func addrPrefixes(ss ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestSettings(t *testing.T) {
	t.Parallel()
	never := ipwatch.DefaultPolicy()
	never.Never = addrPrefixes("52.94.0.0/16")
	for _, c := range []struct {
		name   string
		policy ipwatch.Policy
		value  string
		state  ipwatch.State
		addr   string
		why    string
	}{
		{"off", ipwatch.DefaultPolicy(), "off", ipwatch.Absent, "", `ipv4 = "off"`},
		{"fixed", ipwatch.DefaultPolicy(), addrX, ipwatch.Confirmed, addrX, "set in the configuration"},
		{"fixed with /32", ipwatch.DefaultPolicy(), addrX + "/32", ipwatch.Confirmed, addrX, "no source was asked"},
		{"fixed and private", ipwatch.DefaultPolicy(), "10.8.0.2", ipwatch.Confirmed, "10.8.0.2", "set in the configuration"},
		{"fixed but forbidden", never, addrX, ipwatch.Unsure, "", "never in [address] forbids"},
		{"local", ipwatch.DefaultPolicy(), "local", ipwatch.Confirmed, "10.8.0.2", `address = "local"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := ipwatch.ParseSetting(ipwatch.V4, c.value)
			if err != nil {
				t.Fatal(err)
			}
			d := detectorFor(t, c.policy, map[ipwatch.Family]ipwatch.Setting{ipwatch.V4: set})
			d.Ask = func(context.Context, ipwatch.Source, ipwatch.Family) ipwatch.Answer {
				t.Error("a source was asked")
				return ipwatch.Answer{}
			}
			d.LocalAddr = routes(map[string]string{"10.0.3.4": "10.8.0.2"})
			d.Route = func(netip.Addr) (ipwatch.Hop, error) { return tunnel("10.0.0.0/16"), nil }
			v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), addrs("10.0.3.4"))
			checkVerdict(t, v)
			if v.State != c.state || !strings.Contains(v.Why, c.why) || c.addr != "" && v.Addr.String() != c.addr {
				t.Errorf("%s %v: %s\nwant %s %s: …%s…", v.State, v.Addr, v.Why, c.state, c.addr, c.why)
			}
		})
	}
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	const anchor4, anchor6 = "198.41.0.4", "2001:503:ba3e::2:30"
	for _, c := range []struct {
		name   string
		family ipwatch.Family
		routes map[string]string
		have   []netip.Addr
		err    error
		state  ipwatch.State
	}{
		{"IPv6 is not there", ipwatch.V6, map[string]string{anchor6: "", anchor4: "192.168.1.5"}, addrs("127.0.0.1", "::1", "192.168.1.5", "fe80::1"), nil, ipwatch.Absent},
		{"a router without an IPv6 network", ipwatch.V6, map[string]string{anchor6: "fe80::1868", anchor4: "192.168.1.5"}, addrs("192.168.1.5", "fe80::1868"), nil, ipwatch.Absent},
		{"IPv6 address without a route", ipwatch.V6, map[string]string{anchor6: "", anchor4: "192.168.1.5"}, addrs("2600:1f18::7"), nil, ipwatch.Offline},
		{"local IPv6 address", ipwatch.V6, map[string]string{anchor6: "", anchor4: "192.168.1.5"}, addrs("fd00::2"), nil, ipwatch.Offline},
		{"interfaces cannot be read", ipwatch.V6, map[string]string{anchor6: "", anchor4: "192.168.1.5"}, nil, errors.New("no"), ipwatch.Offline},
		{"no network at all, IPv6", ipwatch.V6, map[string]string{anchor6: "", anchor4: ""}, addrs("127.0.0.1"), nil, ipwatch.Offline},
		{"no network at all, IPv4", ipwatch.V4, map[string]string{anchor4: "", anchor6: ""}, addrs("127.0.0.1"), nil, ipwatch.Offline},
		{"IPv6-only network", ipwatch.V4, map[string]string{anchor4: "", anchor6: "2600:1f18::7"}, addrs("2600:1f18::7"), nil, ipwatch.Offline},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
			d.Ask = func(context.Context, ipwatch.Source, ipwatch.Family) ipwatch.Answer {
				t.Error("a source was asked without a route")
				return ipwatch.Answer{}
			}
			d.LocalAddr = routes(c.routes)
			d.InterfaceAddrs = func() ([]netip.Prefix, error) { return hosts(c.have), c.err }
			o := d.Observe(t.Context(), c.family)
			v := d.Conclude(o, addrs("52.1.2.3"))
			checkVerdict(t, v)
			if v.State != c.state || v.State == ipwatch.Offline && !strings.HasPrefix(v.Why, "There is no route to the internet") {
				t.Errorf("%s (%s), want %s", v.State, v.Why, c.state)
			}
			if !o.NoRoute || o.Absent != (c.state == ipwatch.Absent) {
				t.Errorf("no route %t, absent %t", o.NoRoute, o.Absent)
			}
		})
	}
}

// TestRoutedFrom: behind a link-local address of IPv4 there may be a translator, as on some tethered phones.
func TestRoutedFrom(t *testing.T) {
	t.Parallel()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	d.LocalAddr = routes(map[string]string{"198.41.0.4": "169.254.7.7", "2001:503:ba3e::2:30": "2600:1f18::7"})
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		if !d.Routed(f) {
			t.Errorf("no route over %s", f)
		}
	}
}

// TestNoRouteToSources: without a way to its sources, IPv4 is not absent, even where there is one to the internet.
func TestNoRouteToSources(t *testing.T) {
	t.Parallel()
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.Policy{Agree: 1}, Sources: []ipwatch.Source{{Operator: "mine", URL: "https://192.0.2.1/"}}})
	if err != nil {
		t.Fatal(err)
	}
	d.LocalAddr = routes(map[string]string{"192.0.2.1": "", "198.41.0.4": "192.168.1.5"})
	d.InterfaceAddrs = func() ([]netip.Prefix, error) { return hosts(addrs("192.168.1.5")), nil }
	if o := d.Observe(t.Context(), ipwatch.V4); !o.NoRoute || o.Absent {
		t.Errorf("no route %t, absent %t", o.NoRoute, o.Absent)
	}
}

// TestRouteToLiteralSource: without any route to the internet, an echo on loopback is still asked.
func TestRouteToLiteralSource(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := labPolicy()
	p.EgressCheck = false
	for _, host := range []string{"127.0.0.1", "localhost"} {
		cert := l.cert(l.ca.NotBefore, l.ca.NotAfter)
		if host == "localhost" {
			cert = l.cert(l.ca.NotBefore, l.ca.NotAfter, "localhost")
		}
		aws, cf := l.source(l.serve(says(good), cert), "aws"), l.source(l.serve(says(good), cert), "cloudflare")
		aws.URL, cf.URL = strings.Replace(aws.URL, "127.0.0.1", host, 1), strings.Replace(cf.URL, "127.0.0.1", host, 1)
		d := l.detector(p, aws, cf)
		d.LocalAddr = routes(map[string]string{"198.41.0.4": "", "127.0.0.1": "127.0.0.1"})
		if v := verdict(t, d); v.State != ipwatch.Confirmed {
			t.Errorf("%s: %s (%s), want confirmed", host, v.State, v.Why)
		}
	}
}

// TestTooFewSources: a list that cannot confirm one family says so in that family's verdict.
func TestTooFewSources(t *testing.T) {
	t.Parallel()
	d := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare"}, script{"aws": {0, addr6}}).Detector
	d.Sources[1].Family = ipwatch.V4
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V6), nil)
	if v.State != ipwatch.Unsure || !strings.Contains(v.Why, "the sources have only 1") {
		t.Errorf("%s (%s), want unsure: only one operator serves IPv6", v.State, v.Why)
	}
	d.Sources[0].Family = ipwatch.V4
	v = d.Conclude(d.Observe(t.Context(), ipwatch.V6), nil)
	if v.State != ipwatch.Unsure || !strings.Contains(v.Why, "the sources have only 0") {
		t.Errorf("%s (%s), want unsure: no operator serves IPv6", v.State, v.Why)
	}
	// What did answer is told first.
	d = newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "aws2", "cloudflare"}, nil).Detector
	d.Sources[2].Family = ipwatch.V4
	for want, as := range map[ipwatch.State][]ipwatch.Answer{
		ipwatch.Conflict: {said("aws", addr6), said("aws", "2600:1f18::8")},
		ipwatch.Captive:  {said("aws", "!portal")},
	} {
		if v := d.Conclude(ipwatch.Observation{Family: ipwatch.V6, Answers: as}, nil); v.State != want {
			t.Errorf("%s (%s), want %s", v.State, v.Why, want)
		}
	}
}

// TestFixedZero: a setting that no configuration can have gives no address, either.
func TestFixedZero(t *testing.T) {
	t.Parallel()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	v := d.Conclude(ipwatch.Observation{Family: ipwatch.V4, Setting: ipwatch.Setting{Mode: ipwatch.ModeFixed}}, nil)
	checkVerdict(t, v)
	if v.State != ipwatch.Unsure || !strings.Contains(v.Why, "not usable") {
		t.Errorf("%s (%s)", v.State, v.Why)
	}
}
