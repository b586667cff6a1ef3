package ipwatch_test

import (
	"net/netip"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// Notification types of Windows: what is there changed, came, went; and the first call, which tells nothing.
const (
	winChanged, winAdded, winDeleted, winInitial = 0, 1, 2, 3
)

func TestWindowsHints(t *testing.T) {
	t.Parallel()
	addr := func(notification uint32, a string) func() (ipwatch.Hint, bool) {
		return func() (ipwatch.Hint, bool) {
			return ipwatch.WindowsAddrHint(notification, 12, netip.MustParseAddr(a))
		}
	}
	route := func(notification uint32, p string) func() (ipwatch.Hint, bool) {
		return func() (ipwatch.Hint, bool) {
			return ipwatch.WindowsRouteHint(notification, netip.MustParsePrefix(p))
		}
	}
	link := func(notification uint32) func() (ipwatch.Hint, bool) {
		return func() (ipwatch.Hint, bool) { return ipwatch.WindowsLinkHint(notification, 12) }
	}
	power := func(event uint32) func() (ipwatch.Hint, bool) {
		return func() (ipwatch.Hint, bool) { return ipwatch.WindowsPowerHint(event) }
	}
	for _, c := range []struct {
		name string
		hint func() (ipwatch.Hint, bool)
		want string
	}{
		{"address", addr(winAdded, "192.168.1.5"), "address: interface 12 has the address 192.168.1.5"},
		{"address renewed", addr(winChanged, "192.168.1.5"), "address: interface 12 has the address 192.168.1.5"},
		{"address lost", addr(winDeleted, "192.168.1.5"), "!address: interface 12 lost the address 192.168.1.5"},
		{"link-local", addr(winDeleted, "fe80::1"), ""},
		{"automatic address", addr(winAdded, "169.254.8.8"), ""},
		{"initial address", addr(winInitial, "192.168.1.5"), ""},
		{"no row", func() (ipwatch.Hint, bool) { return ipwatch.WindowsAddrHint(winDeleted, 0, netip.Addr{}) }, "!address: an address changed"},
		{"default", route(winAdded, "0.0.0.0/0"), "route: the default route 0.0.0.0/0 came or changed"},
		{"default lost", route(winDeleted, "::/0"), "!route: the default route ::/0 was removed"},
		{"network lost", route(winDeleted, "10.20.0.0/16"), "route: a route to 10.20.0.0/16 was removed"},
		{"group", route(winDeleted, "224.0.0.0/4"), ""},
		{"everybody", route(winDeleted, "255.255.255.255/32"), ""},
		{"on the link", route(winDeleted, "fe80::/64"), ""},
		{"initial route", route(winInitial, "0.0.0.0/0"), ""},
		{"unreadable route", func() (ipwatch.Hint, bool) { return ipwatch.WindowsRouteHint(winDeleted, netip.Prefix{}) }, "!route: a route changed"},
		{"interface", link(winChanged), "link: interface 12 changed"},
		{"interface added", link(winAdded), "link: interface 12 is new"},
		{"interface removed", link(winDeleted), "!link: interface 12 was removed"},
		{"initial interface", link(winInitial), ""},
		{"asleep", power(0x4), ""},
		{"awake", power(0x12), "!wake: the computer slept"},
		{"a person woke it up", power(0x7), "!wake: the computer slept"},
		{"battery", power(0xa), ""},
	} {
		h, ok := c.hint()
		if got := tellHint(h); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s: %q, %t; want %q", c.name, got, ok, c.want)
		}
	}
}

// TestWindowsSockaddr: the bytes are constructed from SOCKADDR_IN and SOCKADDR_IN6 of ws2def.h and ws2ipdef.h.
func TestWindowsSockaddr(t *testing.T) {
	t.Parallel()
	four := append([]byte{2, 0, 0, 22, 192, 168, 1, 5}, make([]byte, 20)...)
	six := append([]byte{23, 0, 0, 22, 0, 0, 0, 0}, append(netip.MustParseAddr("2600::5").AsSlice(), 0, 0, 0, 0)...)
	if a := ipwatch.WindowsAddr(four); a.String() != "192.168.1.5" {
		t.Errorf("%s", a)
	}
	if a := ipwatch.WindowsAddr(six); a.String() != "2600::5" {
		t.Errorf("%s", a)
	}
	for _, bad := range [][]byte{nil, four[:27], append([]byte{30}, six[1:]...)} {
		if a := ipwatch.WindowsAddr(bad); a.IsValid() {
			t.Errorf("%x gives %s", bad, a)
		}
	}
	for _, c := range []struct {
		b    []byte
		bits uint8
		want string
	}{{four, 24, "192.168.1.0/24"}, {six, 0, "::/0"}, {four, 33, "invalid Prefix"}, {nil, 0, "invalid Prefix"}} {
		if p := ipwatch.WindowsPrefix(c.b, c.bits); p.String() != c.want {
			t.Errorf("%s, want %s", p, c.want)
		}
	}
}

func FuzzWindowsPrefix(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint8(8), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, bits uint8, notification uint32) {
		p := ipwatch.WindowsPrefix(b, bits)
		if p.IsValid() && p != p.Masked() {
			t.Errorf("%s is not masked", p)
		}
		if h, ok := ipwatch.WindowsRouteHint(notification, p); ok {
			checkHints(t, []ipwatch.Hint{h})
		}
		if h, ok := ipwatch.WindowsAddrHint(notification, 1, ipwatch.WindowsAddr(b)); ok {
			checkHints(t, []ipwatch.Hint{h})
		}
	})
}
