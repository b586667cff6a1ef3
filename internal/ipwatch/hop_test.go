package ipwatch_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// TestHopDoubt: which ways to a private node are believed. Strangers can make everything but a tunnel and an entry that
// this computer's administrator configured.
func TestHopDoubt(t *testing.T) {
	t.Parallel()
	const local, node = "192.168.1.5", "10.0.3.4"
	gw := netip.MustParseAddr("192.168.1.1")
	hop := func(dst string, gateway netip.Addr, tunnel bool, o ipwatch.Origin) ipwatch.Hop {
		return ipwatch.Hop{Dst: netip.MustParsePrefix(dst), Gateway: gateway, Interface: "wlan0", Tunnel: tunnel, Origin: o}
	}
	none := netip.Addr{}
	for _, c := range []struct {
		name string
		hop  ipwatch.Hop
		why  string // "" is confirmed
	}{
		{"tunnel, on the link", hop("10.0.0.0/16", none, true, ipwatch.OriginUnknown), ""},
		{"tunnel, gateway", hop("10.0.0.0/16", gw, true, ipwatch.OriginNetwork), ""},
		{"tunnel, configured", hop("10.0.3.4/32", none, true, ipwatch.OriginConfigured), ""},
		{"tunnel that takes everything", hop("0.0.0.0/0", none, true, ipwatch.OriginConfigured), "only reached by the default route (wlan0)"},
		{"half of everything", hop("0.0.0.0/1", none, true, ipwatch.OriginConfigured), "only reached by the default route"},
		{"configured with a gateway", hop("10.0.0.0/16", gw, false, ipwatch.OriginConfigured), ""},
		{"configured, on the link", hop("10.0.0.0/16", none, false, ipwatch.OriginConfigured), "on the network that this computer is on itself (wlan0)"},
		{"café with the same range", hop("10.0.0.0/16", none, false, ipwatch.OriginNetwork), "on the network that this computer is on itself"},
		{"café, origin not told", hop("10.0.0.0/16", none, false, ipwatch.OriginUnknown), "on the network that this computer is on itself"},
		{"DHCP option 121", hop("10.0.0.0/16", gw, false, ipwatch.OriginNetwork), "the network itself gave out the route 10.0.0.0/16"},
		{"gateway, origin not told", hop("10.0.0.0/16", gw, false, ipwatch.OriginUnknown), "it cannot be told who made it"},
		{"default route", hop("0.0.0.0/0", gw, false, ipwatch.OriginConfigured), "only reached by the default route"},
		{"nothing known", ipwatch.Hop{}, "only reached by the default route"},
		{"interface not known", ipwatch.Hop{Dst: netip.MustParsePrefix("10.0.0.0/16"), Gateway: gw}, "it cannot be told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
			d.LocalAddr = routes(map[string]string{node: local})
			d.Route = func(netip.Addr) (ipwatch.Hop, error) { return c.hop, nil }
			v := d.LocalVerdict(ipwatch.V4, addrs(node))
			checkVerdict(t, v)
			switch {
			case c.why == "" && v.State != ipwatch.Confirmed:
				t.Errorf("%s: %s", v.State, v.Why)
			case c.why != "" && (v.State != ipwatch.Unsure || !strings.Contains(v.Why, c.why) || v.Remedy != `ipv4 = "192.168.1.5"` || !strings.Contains(v.Why, v.Remedy)):
				t.Errorf("%s, remedy %q: %s\nwant …%s…", v.State, v.Remedy, v.Why, c.why)
			}
		})
	}
}

// TestHopProperty: over a shared link, nothing that the network itself can give out is ever believed.
func TestHopProperty(t *testing.T) {
	t.Parallel()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	d.LocalAddr = routes(map[string]string{"10.0.3.4": "192.168.1.5"})
	rapid.Check(t, func(t *rapid.T) {
		p, err := netip.MustParseAddr("10.0.3.4").Prefix(rapid.IntRange(0, 32).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		h := ipwatch.Hop{Dst: p, Interface: "wlan0", Tunnel: rapid.Bool().Draw(t, "tunnel"), Origin: rapid.SampledFrom([]ipwatch.Origin{
			ipwatch.OriginUnknown, ipwatch.OriginConfigured, ipwatch.OriginNetwork}).Draw(t, "origin")}
		if rapid.Bool().Draw(t, "gateway") {
			h.Gateway = netip.MustParseAddr("192.168.1.1")
		}
		d.Route = func(netip.Addr) (ipwatch.Hop, error) { return h, nil }
		v := d.LocalVerdict(ipwatch.V4, addrs("10.0.3.4"))
		believable := p.Bits() > 1 && (h.Tunnel || h.Origin == ipwatch.OriginConfigured && h.Gateway.IsValid())
		if (v.State == ipwatch.Confirmed) != believable {
			t.Fatalf("%+v: %s (%s)", h, v.State, v.Why)
		}
	})
}

// TestFixedForPrivate: a private address of the configuration settles what the routes cannot; a public one is for other
// targets, and does not count here.
func TestFixedForPrivate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		state ipwatch.State
		addr  string
	}{{"10.8.0.2", ipwatch.Confirmed, "10.8.0.2"}, {addrX, ipwatch.Unsure, ""}, {"off", ipwatch.Absent, ""}, {"local", ipwatch.Unsure, ""}} {
		set, err := ipwatch.ParseSetting(ipwatch.V4, c.value)
		if err != nil {
			t.Fatal(err)
		}
		d := detectorFor(t, ipwatch.DefaultPolicy(), map[ipwatch.Family]ipwatch.Setting{ipwatch.V4: set})
		d.LocalAddr = routes(map[string]string{"10.0.3.4": "192.168.1.5"})
		d.Route = func(netip.Addr) (ipwatch.Hop, error) { return ipwatch.Hop{}, nil }
		v := d.LocalVerdict(ipwatch.V4, addrs("10.0.3.4"))
		checkVerdict(t, v)
		if v.State != c.state || c.addr != "" && v.Addr.String() != c.addr {
			t.Errorf("%s: %s %v (%s)", c.value, v.State, v.Addr, v.Why)
		}
	}
}

// The messages are constructed, as those of the routing socket's events are: no Mac has sent them.
func macGet(pid, seq, flags, present, errno uint32, addrs ...[]byte) []byte {
	b := macRoute(4, flags, present, errno, addrs...)
	binary.LittleEndian.PutUint16(b[4:], 7)
	binary.LittleEndian.PutUint32(b[16:], pid)
	binary.LittleEndian.PutUint32(b[20:], seq)
	return b
}

func TestParseSocketGet(t *testing.T) {
	t.Parallel()
	to := netip.MustParseAddr("10.0.3.4")
	dst, gw := macSockaddr("10.0.0.0"), macSockaddr("192.168.1.1")
	link := []byte{20, 18, 7, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	cut := macGet(1, 2, rtUp, dstGwMask, 0, dst, link, macMask(255, 255))
	binary.LittleEndian.PutUint16(cut, 2000)
	for _, c := range []struct {
		name string
		b    []byte
		want string // destination, gateway; "-" is another message
		err  error
	}{
		{"on the link", macGet(1, 2, rtUp, dstGwMask, 0, dst, link, macMask(255, 255)), "10.0.0.0/16 invalid IP", nil},
		{"gateway", macGet(1, 2, rtUp|rtGateway, dstGwMask, 0, dst, gw, macMask(255, 255)), "10.0.0.0/16 192.168.1.1", nil},
		{"default", macGet(1, 2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask()), "0.0.0.0/0 192.168.1.1", nil},
		{"default without a mask", macGet(1, 2, rtUp|rtGateway, 1|2, 0, macSockaddr("0.0.0.0"), gw), "0.0.0.0/0 192.168.1.1", nil},
		{"host", macGet(1, 2, rtUp|rtGateway|rtHost, 1|2, 0, macSockaddr("10.0.3.4"), gw), "10.0.3.4/32 192.168.1.1", nil},
		{"somebody else's question", macGet(9, 2, rtUp, dstGwMask, 0, dst, link, macMask(255, 255)), "-", nil},
		{"another question", macGet(1, 3, rtUp, dstGwMask, 0, dst, link, macMask(255, 255)), "-", nil},
		{"an event", macRoute(1, rtUp, dstGwMask, 0, dst, gw, macMask(255, 255)), "-", nil},
		{"nothing", nil, "-", nil},
		{"no route", macGet(1, 2, 0, 1, 3, dst), "", ipwatch.ErrNoRoute},
		{"reject", macGet(1, 2, rtUp|8, dstGwMask, 0, dst, gw, macMask(255, 255)), "", ipwatch.ErrNoRoute},
		{"clone", macGet(1, 2, rtUp|rtHost|0x20000, 1|2, 0, macSockaddr("10.0.3.4"), gw), "", errors.ErrUnsupported},
		{"other failure", macGet(1, 2, 0, 1, 13, dst), "", errAny},
		{"somewhere else", macGet(1, 2, rtUp, dstGwMask, 0, macSockaddr("10.1.0.0"), link, macMask(255, 255)), "", errAny},
		{"another family", macGet(1, 2, rtUp, dstGwMask, 0, macSockaddr("fd00::"), link, macMask(255, 255)), "", errAny},
		{"too long", cut, "", errAny},
		{"an address is missing", macGet(1, 2, rtUp, dstGwMask, 0, dst), "", errAny},
	} {
		h, index, answered, err := ipwatch.ParseSocketGet(c.b, to, 1, 2)
		got := fmt.Sprintf("%s %s", h.Dst, h.Gateway)
		switch {
		case c.want == "-":
			if answered || err != nil {
				t.Errorf("%s: answered %v, %v", c.name, answered, err)
			}
		case !answered:
			t.Errorf("%s: not taken for an answer", c.name)
		case c.err != nil:
			if err == nil || !errors.Is(c.err, errAny) && !errors.Is(err, c.err) {
				t.Errorf("%s: %s, %v; want %v", c.name, got, err, c.err)
			}
		case err != nil || got != c.want || index != 7 || h.Origin != ipwatch.OriginUnknown:
			t.Errorf("%s: %s on %d, %v; want %s on 7", c.name, got, index, err, c.want)
		}
	}
}

var errAny = errors.New("any")

func TestSocketGetRequest(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"10.0.3.4", "2600:1f18::7"} {
		b := ipwatch.SocketGetRequest(netip.MustParseAddr(a), 77, 5)
		if int(binary.LittleEndian.Uint16(b)) != len(b) || len(b)%4 != 0 || b[2] != 5 || b[3] != 4 || binary.LittleEndian.Uint32(b[12:]) != 0x11 {
			t.Errorf("%s: header % x of %d bytes", a, b[:24], len(b))
		}
		if !slices.Equal(b[92:92+len(macSockaddr(a))], macSockaddr(a)) {
			t.Errorf("%s: address % x", a, b[92:])
		}
		if pid, seq := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:]); pid != 77 || seq != 5 {
			t.Errorf("%s: pid %d, seq %d", a, pid, seq)
		}
	}
}

func FuzzParseSocketGet(f *testing.F) {
	f.Add(macGet(1, 2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("10.0.0.0"), macSockaddr("192.168.1.1"), macMask(255, 255)))
	f.Add(macGet(1, 2, rtUp, 0xff, 0, macSockaddr("10.0.0.0")))
	f.Add([]byte{4, 0, 5, 4})
	to := netip.MustParseAddr("10.0.3.4")
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, answered, err := ipwatch.ParseSocketGet(b, to, 1, 2)
		if !answered && err != nil {
			t.Errorf("no answer, but %v", err)
		}
		if answered && err == nil && (!h.Dst.Contains(to) || h.Dst != h.Dst.Masked() || h.Origin != ipwatch.OriginUnknown || h.Tunnel) {
			t.Errorf("%+v", h)
		}
	})
}

func TestWindowsHop(t *testing.T) {
	t.Parallel()
	to, net16 := netip.MustParseAddr("10.0.3.4"), netip.MustParsePrefix("10.0.0.0/16")
	for _, c := range []struct {
		next   string
		origin uint32
		want   string
	}{
		{"0.0.0.0", 0, "invalid IP 0"},
		{"192.168.1.1", 0, "192.168.1.1 0"},
		{"192.168.1.1", 1, "192.168.1.1 2"},
		{"192.168.1.1", 2, "192.168.1.1 2"},
		{"192.168.1.1", 3, "192.168.1.1 2"},
		{"192.168.1.1", 4, "192.168.1.1 2"},
		{"192.168.1.1", 5, "192.168.1.1 0"},
	} {
		h, err := ipwatch.WindowsHop(net16, netip.MustParseAddr(c.next), c.origin, to)
		if got := fmt.Sprintf("%s %d", h.Gateway, h.Origin); err != nil || got != c.want || h.Dst != net16 {
			t.Errorf("next hop %s of origin %d: %s, %v; want %s", c.next, c.origin, got, err, c.want)
		}
	}
	for _, bad := range []netip.Prefix{{}, netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")} {
		if h, err := ipwatch.WindowsHop(bad, netip.Addr{}, 0, to); err == nil {
			t.Errorf("%s: %+v without an error", bad, h)
		}
	}
	for code, none := range map[uint32]bool{1168: true, 1231: true, 1232: true, 5: false, 87: false} {
		if err := ipwatch.WindowsRouteError(code, to); errors.Is(err, ipwatch.ErrNoRoute) != none {
			t.Errorf("code %d: %v", code, err)
		}
	}
	for _, a := range []string{"10.0.3.4", "2600:1f18::7"} {
		if got := ipwatch.WindowsAddr(ipwatch.WindowsSockaddr(netip.MustParseAddr(a))); got.String() != a {
			t.Errorf("%s is read back as %s", a, got)
		}
	}
}
