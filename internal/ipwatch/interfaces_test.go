package ipwatch_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// loopback is this computer's loopback interface.
func loopback(t *testing.T) net.Interface {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if at < 0 {
		t.Skip("no loopback interface")
	}
	return list[at]
}

// TestUnshared: only a link that strangers cannot be on counts as a tunnel.
func TestUnshared(t *testing.T) {
	t.Parallel()
	const ethernet = net.FlagUp | net.FlagBroadcast | net.FlagMulticast
	for flags, want := range map[net.Flags]bool{
		ethernet: false, ethernet | net.FlagPointToPoint: true, net.FlagUp | net.FlagPointToPoint: true, net.FlagUp: true,
	} {
		if ipwatch.Unshared(flags) != want {
			t.Errorf("%v: %t", flags, !want)
		}
	}
}

// TestHopInterface: the way out is named where it is known, and one that is not is no tunnel.
func TestHopInterface(t *testing.T) {
	t.Parallel()
	lo := loopback(t)
	if h := ipwatch.ViaInterface(ipwatch.Hop{}, lo.Index); h.Interface != lo.Name || h.Tunnel != ipwatch.Unshared(lo.Flags) {
		t.Errorf("%+v, want %s", h, lo.Name)
	}
	if h := ipwatch.ViaInterface(ipwatch.Hop{}, 1<<30); h != (ipwatch.Hop{}) {
		t.Errorf("%+v of an interface that is not there", h)
	}
}

// TestTunnelOf: nobody's address is not one of a tunnel.
func TestTunnelOf(t *testing.T) {
	t.Parallel()
	lo := loopback(t)
	var d ipwatch.Detector
	for a, want := range map[string]bool{"127.0.0.1": ipwatch.Unshared(lo.Flags), "203.0.113.9": false} {
		if got := ipwatch.TunnelOf(&d, netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %t, want %t", a, got, want)
		}
	}
}

// TestPrefixesOf: what is no address of an interface is left out.
func TestPrefixesOf(t *testing.T) {
	t.Parallel()
	got := ipwatch.PrefixesOf([]net.Addr{
		&net.IPNet{IP: net.IPv4(192, 168, 1, 5), Mask: net.CIDRMask(24, 32)},
		&net.IPAddr{IP: net.IPv4(10, 0, 0, 1)},
		&net.IPNet{IP: net.IPv4(10, 0, 0, 2), Mask: net.IPv4Mask(255, 0, 255, 0)},
		&net.IPNet{IP: net.IPv4(10, 0, 0, 3), Mask: net.CIDRMask(104, 128)},
		&net.IPNet{Mask: net.IPMask{}}, // no address, and as many bits
		&net.IPNet{IP: net.ParseIP("2600:1f18::7"), Mask: net.CIDRMask(64, 128)},
	})
	if want := addrPrefixes("192.168.1.5/24", "2600:1f18::7/64"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for want, a := range map[string]net.Addr{
		"10.0.0.2":   &net.IPNet{IP: net.IPv4(10, 0, 0, 2), Mask: net.IPv4Mask(255, 0, 255, 0)},
		"invalid IP": &net.UnixAddr{}, "10.0.0.3": &net.IPNet{IP: net.IPv4(10, 0, 0, 3)},
	} {
		if got := ipwatch.IPOf(a); got.String() != want {
			t.Errorf("%v is %s, want %s", a, got, want)
		}
	}
}

// TestInterfacesOf: the loopback interface is left out, and one counts as up when it has a carrier, too.
func TestInterfacesOf(t *testing.T) {
	t.Parallel()
	lo := loopback(t)
	as := func(name string, f net.Flags) net.Interface {
		return net.Interface{Index: lo.Index, Name: name, Flags: f}
	} // with its addresses
	got := ipwatch.InterfacesOf([]net.Interface{lo, as("a", net.FlagUp|net.FlagRunning), as("b", net.FlagUp), as("c", net.FlagRunning)})
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for n, i := range got {
		if i.Name != "abc"[n:n+1] || i.Up != (i.Name == "a") || !slices.Contains(i.Addrs, netip.MustParseAddr("127.0.0.1")) {
			t.Errorf("%+v", i)
		}
	}
}

// TestInterfaceAddrsOfThisComputer: loopback is on every computer.
func TestInterfaceAddrsOfThisComputer(t *testing.T) {
	t.Parallel()
	loopback(t)
	got, err := ipwatch.InterfaceAddrs(detectorFor(t, ipwatch.DefaultPolicy(), nil))
	if err != nil || !slices.ContainsFunc(got, func(p netip.Prefix) bool { return p.Addr().IsLoopback() }) {
		t.Errorf("%v, %v", got, err)
	}
}

// nowhere is a documentation address (RFC 5737), which no computer sends from.
var nowhere = netip.MustParseAddr("203.0.113.9")

// TestLocalAddrOfSystem: the system's own look-up, on loopback.
func TestLocalAddrOfSystem(t *testing.T) {
	t.Parallel()
	var d ipwatch.Detector
	loop := netip.MustParseAddr("127.0.0.1")
	if a, err := ipwatch.LocalAddr(&d, ipwatch.V4, loop); err != nil || a != loop {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := ipwatch.LocalAddr(&d, ipwatch.V6, loop); err == nil {
		t.Errorf("of the other family: %v", a)
	}
	if a, err := ipwatch.LocalAddr(&d, 5, loop); err == nil || errors.Is(err, ipwatch.ErrNoRoute) {
		t.Errorf("of no family: %v, %v; want an error that tells nothing of routes", a, err)
	}
	d.Bind = func(ipwatch.Family) netip.Addr { return nowhere }
	if a, err := ipwatch.LocalAddr(&d, ipwatch.V4, loop); !errors.Is(err, ipwatch.ErrNoRoute) {
		t.Errorf("from an address that is gone: %v, %v; want no route", a, err)
	}
	d.Bind = func(ipwatch.Family) netip.Addr { return netip.Addr{} }
	if a, err := ipwatch.LocalAddr(&d, ipwatch.V4, loop); err != nil || a != loop {
		t.Errorf("not bound: %v, %v", a, err)
	}
	for name, a := range map[string]net.Addr{"none": nil, "unspecified": &net.UDPAddr{IP: net.IPv4zero, Port: 1}, "no IP": &net.UDPAddr{Port: 1}} {
		if got, err := ipwatch.LocalOf(a); err == nil || got.IsValid() {
			t.Errorf("a socket with the address %s: %v, %v", name, got, err)
		}
	}
}

// TestRouted: a source has a way out unless the system positively says that it has none.
func TestRouted(t *testing.T) {
	t.Parallel()
	const anchor4, anchor6 = "198.41.0.4", "2001:503:ba3e::2:30"
	for _, c := range []struct {
		url    string
		family ipwatch.Family
		routes map[string]string
		want   bool
	}{
		{"https://a.example/", ipwatch.V4, map[string]string{anchor4: "192.168.1.5"}, true},
		{"https://a.example/", ipwatch.V4, map[string]string{anchor4: "?"}, true},
		{"https://a.example/", ipwatch.V4, map[string]string{anchor4: ""}, false},
		{"https://a.example/", ipwatch.V6, map[string]string{anchor6: ""}, false},
		{"https://192.0.2.1/", ipwatch.V4, map[string]string{anchor4: "", "192.0.2.1": "192.168.1.5"}, true},
		{"https://192.0.2.1/", ipwatch.V4, map[string]string{anchor4: "192.168.1.5", "192.0.2.1": ""}, false},
		{"https://localhost/", ipwatch.V4, map[string]string{anchor4: "192.168.1.5", "127.0.0.1": ""}, false},
		{"https://localhost/", ipwatch.V6, map[string]string{anchor6: addr6, "::1": ""}, false},
		{"\x1b", ipwatch.V4, map[string]string{anchor4: ""}, false}, // no configuration has it
	} {
		d := ipwatch.Detector{Sources: []ipwatch.Source{{URL: c.url}}, LocalAddr: routes(c.routes)}
		if d.Routed(c.family) != c.want {
			t.Errorf("%s over %s with %v: %t", c.url, c.family, c.routes, !c.want)
		}
	}
	if (&ipwatch.Detector{LocalAddr: routes(map[string]string{anchor4: "192.168.1.5"})}).Routed(ipwatch.V4) {
		t.Error("a way out to no source at all")
	}
	// Other ways to ask than sockets do not depend on the system's routes.
	gone := ipwatch.Detector{Sources: ipwatch.DefaultSources(), Bind: func(ipwatch.Family) netip.Addr { return nowhere }}
	ask, dial := gone, gone
	ask.Ask = func(context.Context, ipwatch.Source, ipwatch.Family) ipwatch.Answer { return ipwatch.Answer{} }
	dial.Dial = (&net.Dialer{}).DialContext
	if gone.Routed(ipwatch.V4) || !ask.Routed(ipwatch.V4) || !dial.Routed(ipwatch.V4) {
		t.Errorf("routed %t, with Ask %t, with Dial %t", gone.Routed(ipwatch.V4), ask.Routed(ipwatch.V4), dial.Routed(ipwatch.V4))
	}
}
