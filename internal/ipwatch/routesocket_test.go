package ipwatch_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// The messages here are constructed, not recorded: from rt_msghdr, ifa_msghdr and if_msghdr of macOS's <net/route.h>
// and <net/if.h>, whose layouts and sizes are those of ztypes_darwin_arm64.go in golang.org/x/sys/unix, and from
// macRoute(4). No Mac has sent them.

// macSockaddr is a sockaddr_in or sockaddr_in6; its port and flow are zero.
func macSockaddr(addr string) []byte {
	a := netip.MustParseAddr(addr)
	if a.Is4() {
		return append([]byte{16, 2, 0, 0}, append(a.AsSlice(), make([]byte, 8)...)...)
	}
	return append([]byte{28, 30, 0, 0, 0, 0, 0, 0}, append(a.AsSlice(), make([]byte, 4)...)...)
}

// macMask is a netmask as the kernel gives it: cut behind its last byte that is not zero, and padded.
func macMask(b ...byte) []byte {
	m := append([]byte{byte(4 + len(b)), 0xff, 0xff, 0xff}, b...)
	if len(b) == 0 {
		m[0] = 0
	}
	return append(m, make([]byte, -len(m)&3)...)
}

// macMask6 is the mask of an IPv6 route.
func macMask6(b ...byte) []byte {
	m := append([]byte{byte(8 + len(b)), 30, 0, 0, 0, 0, 0, 0}, b...)
	return append(m, make([]byte, -len(m)&3)...)
}

// macMessage puts a header and addresses together.
func macMessage(kind byte, header int, fill func(h []byte), addrs ...[]byte) []byte {
	b := make([]byte, header)
	b[2], b[3] = 5, kind
	fill(b)
	b = append(b, slices.Concat(addrs...)...)
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	return b
}

// macRoute is an RTM_ADD (1), RTM_DELETE (2), RTM_CHANGE (3) or another with an rt_msghdr.
func macRoute(kind byte, flags, present, errno uint32, addrs ...[]byte) []byte {
	return macMessage(kind, 92, func(h []byte) {
		binary.LittleEndian.PutUint32(h[8:], flags)
		binary.LittleEndian.PutUint32(h[12:], present)
		binary.LittleEndian.PutUint32(h[24:], errno)
	}, addrs...)
}

// macAddr is an RTM_NEWADDR (12) or RTM_DELADDR (13) of interface 2: a mask, the interface's name, the address.
func macAddr(kind byte, addr string) []byte {
	name := []byte{20, 18, 2, 0, 6, 3, 6, 0, 'e', 'n', '0', 1, 2, 3, 4, 5, 6, 0, 0, 0}
	return macMessage(kind, 20, func(h []byte) {
		binary.LittleEndian.PutUint32(h[4:], 1<<2|1<<4|1<<5)
		binary.LittleEndian.PutUint16(h[12:], 2)
	}, macMask(255, 255, 255), name, macSockaddr(addr))
}

// macLink is an RTM_IFINFO (14).
func macLink(index uint16, flags uint32) []byte {
	return macMessage(14, 112, func(h []byte) {
		binary.LittleEndian.PutUint32(h[8:], flags)
		binary.LittleEndian.PutUint16(h[12:], index)
	})
}

const (
	rtUp, rtGateway, rtHost = 0x1, 0x2, 0x4
	dstGwMask               = 1 | 2 | 4 // RTA_DST, RTA_GATEWAY, RTA_NETMASK
)

func TestRouteSocketHints(t *testing.T) {
	t.Parallel()
	const lost = "!overflow: a message of the routing socket could not be read"
	gw, gw6 := macSockaddr("192.168.1.1"), macSockaddr("fe80::1")
	def := macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask())
	cut := func(b []byte, n int) []byte {
		b = slices.Clone(b[:n])
		binary.LittleEndian.PutUint16(b, uint16(n))
		return b
	}
	version := slices.Clone(def)
	version[2] = 6
	for _, c := range []struct {
		name string
		b    []byte
		want []string
	}{
		{"default added", macRoute(1, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask()), []string{"route: the default route 0.0.0.0/0 came or changed"}},
		{"default deleted", def, []string{"!route: the default route 0.0.0.0/0 was removed"}},
		{"default of one interface deleted", macRoute(2, 0x1000000|rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask()), []string{"!route: the default route 0.0.0.0/0 was removed"}},
		{"default changed", macRoute(3, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask()), []string{"!route: the default route 0.0.0.0/0 was replaced"}},
		{"default without a mask", macRoute(2, rtUp|rtGateway, 1|2, 0, macSockaddr("0.0.0.0"), gw), []string{"!route: the default route 0.0.0.0/0 was removed"}},
		{"default over IPv6", macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("::"), gw6, macMask()), []string{"!route: the default route ::/0 was removed"}},
		{"lower half", macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask(128)), []string{"!route: the default route 0.0.0.0/1 was removed"}},
		{"upper half", macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("128.0.0.0"), gw, macMask(128)), []string{"!route: the default route 128.0.0.0/1 was removed"}},
		{"network", macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("10.20.0.0"), gw, macMask(255, 255)), []string{"route: a route to 10.20.0.0/16 was removed"}},
		{"odd length", macRoute(1, rtUp|rtGateway, dstGwMask, 0, macSockaddr("10.20.4.0"), gw, macMask(255, 255, 254)), []string{"route: a route to 10.20.4.0/23 came or changed"}},
		{"network over IPv6", macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("2001:db8::"), gw6, macMask6(255, 255, 255, 255)), []string{"route: a route to 2001:db8::/32 was removed"}},
		{"host", macRoute(1, rtUp|rtHost, 1|2, 0, macSockaddr("52.1.2.3"), gw), []string{"route: a route to 52.1.2.3/32 came or changed"}},
		{"a neighbour", macRoute(1, rtUp|rtHost|0x400, 1|2, 0, macSockaddr("192.168.1.9"), gw), nil},
		{"a clone", macRoute(2, rtUp|rtHost|0x20000, 1|2, 0, macSockaddr("52.1.2.3"), gw), nil},
		{"an own address", macRoute(1, rtUp|rtHost|0x200000, 1|2, 0, macSockaddr("192.168.1.5"), gw), nil},
		{"a group", macRoute(1, rtUp|0x800000, dstGwMask, 0, macSockaddr("224.0.0.0"), gw, macMask(240)), nil},
		{"on the link", macRoute(1, rtUp, dstGwMask, 0, macSockaddr("fe80:4::"), gw6, macMask6(255, 255, 255, 255, 255, 255, 255, 255)), nil},
		{"failed", macRoute(1, rtUp|rtGateway, dstGwMask, 17, macSockaddr("0.0.0.0"), gw, macMask()), nil},
		{"a look-up", macRoute(4, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), gw, macMask()), nil},
		{"a miss", macRoute(7, 0, 1, 0, macSockaddr("2001:db8::1")), nil},
		{"a group joined", macAddr(15, "224.0.0.1"), nil},

		{"address", macAddr(12, "192.168.1.5"), []string{"address: en0 has the address 192.168.1.5"}},
		{"address lost", macAddr(13, "192.168.1.5"), []string{"!address: en0 lost the address 192.168.1.5"}},
		{"IPv6 address lost", macAddr(13, "2600::5"), []string{"!address: en0 lost the address 2600::5"}},
		{"an empty mask", macMessage(13, 20, func(h []byte) { h[4], h[12] = 1<<2|1<<5, 2 }, macMask(), macSockaddr("192.168.1.5")), []string{"!address: en0 lost the address 192.168.1.5"}},
		{"link-local address lost", macAddr(13, "169.254.3.3"), nil},
		{"link-local address with its interface", macAddr(13, "fe80:4::5"), nil},

		{"down", macLink(2, 0x8802), []string{"!link: en0 went down"}},
		{"no carrier", macLink(2, 0x8803), []string{"!link: en0 went down"}},
		{"still up", macLink(2, 0x8843), []string{"link: en0 changed"}},
		{"up", macLink(3, 0x8843), []string{"link: en1 came up"}},
		{"still down", macLink(3, 0x8802), []string{"link: en1 changed"}},
		{"AirDrop", macLink(4, 0x8802), []string{"link: awdl0 went down"}},
		{"new", macLink(9, 0x8043), []string{"link: interface 9 is new"}},
		{"loopback", macLink(1, 0x8), nil},

		{"two", slices.Concat(def, macLink(2, 0x8802)), []string{"!route: the default route 0.0.0.0/0 was removed", "!link: en0 went down"}},
		{"empty", nil, nil},
		{"three bytes", def[:3], []string{lost}},
		{"longer than what is there", def[:len(def)-1], []string{lost}},
		{"no length", append([]byte{0, 0}, def[2:]...), []string{lost}},
		{"another version", version, []string{lost}},
		{"route without addresses", cut(def, 92), []string{lost}},
		{"route cut in its header", cut(def, 91), []string{lost}},
		{"route cut in an address", cut(def, 100), []string{lost}},
		{"address cut", cut(macAddr(13, "192.168.1.5"), 19), []string{lost}},
		{"address without an address", cut(macAddr(13, "192.168.1.5"), 28), []string{lost}},
		{"interface cut", cut(macLink(2, 0), 13), []string{lost}},
		{"good, then bad", slices.Concat(def, []byte{1}), []string{"!route: the default route 0.0.0.0/0 was removed", lost}},
	} {
		hints := ipwatch.RouteSocketHints(c.b, ipwatch.Links("lo0", "en0", "-en1", "awdl0"))
		checkHints(t, hints)
		if got := tellHints(hints); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzRouteSocketHints(f *testing.F) {
	f.Add(macRoute(2, rtUp|rtGateway, dstGwMask, 0, macSockaddr("0.0.0.0"), macSockaddr("192.168.1.1"), macMask()))
	f.Add(macRoute(1, rtUp|rtGateway, dstGwMask, 0, macSockaddr("2001:db8::"), macSockaddr("fe80::1"), macMask6(255, 255, 255, 255)))
	f.Add(slices.Concat(macAddr(13, "192.168.1.5"), macLink(2, 0x8802)))
	f.Add(macAddr(12, "2600::5"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkHints(t, ipwatch.RouteSocketHints(b, ipwatch.Links("lo0", "en0", "-en1")))
		checkHints(t, ipwatch.RouteSocketHints(b, nil))
	})
}
