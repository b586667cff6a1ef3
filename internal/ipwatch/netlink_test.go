package ipwatch_test

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestNetlinkRecorded reads what a kernel said (testdata/netlink tells what was done). "!" is a loss; a message that
// means nothing, such as that of a route of the local table, gives no hint.
func TestNetlinkRecorded(t *testing.T) {
	t.Parallel()
	littleEndian(t)
	want := map[string][]string{
		"address-add": {"address: eth0 has the address 192.168.1.5", "route: a route to 192.168.1.0/24 came or changed"},
		"address-del": {"!address: eth0 lost the address 192.168.1.5", "route: a route to 192.168.1.0/24 was removed"},
		// A renewed lease.
		"address-renew": {"address: eth0 has the address 192.168.1.5"},
		"address6": {
			"route: a route to 2001:db8:1::/64 came or changed", "address: eth0 has the address 2001:db8:1::5", "address: eth0 has the address 2001:db8:1::5",
			"!address: eth0 lost the address 2001:db8:1::5", "route: a route to 2001:db8:1::/64 was removed",
		},
		// The own address and not the other end's.
		"peer-address": {"address: eth0 has the address 10.8.0.2", "route: a route to 10.8.0.1/32 came or changed"},
		"link-local":   nil,
		"carrier-lost": {"!link: peer0 went down", "!link: eth0 went down", "link: peer0 changed", "link: peer0 came up", "link: eth0 came up"},
		// The default route goes too, and the kernel does not say so.
		"link-down":        {"!link: eth0 went down", "!link: peer0 went down"},
		"link-deleted":     {"!link: eth0 went down", "!link: peer0 went down", "link: eth0 was removed", "link: peer0 was removed"},
		"default-route":    {"route: the default route 0.0.0.0/0 came or changed", "!route: the default route 0.0.0.0/0 was removed"},
		"default-replaced": {"!route: the default route 0.0.0.0/0 was replaced"},
		"default-route6":   {"route: the default route ::/0 came or changed", "!route: the default route ::/0 was removed"},
		"halves":           {"route: the default route 0.0.0.0/1 came or changed", "!route: the default route 0.0.0.0/1 was removed"},
		"other-table":      {"route: a route to 10.20.0.0/16 came or changed", "route: a route to 10.20.0.0/16 was removed"},
		"unreachable":      {"route: the default route 0.0.0.0/0 came or changed", "!route: the default route 0.0.0.0/0 was removed"},
		// veth1 is a port of the bridge, so it is no loss.
		"container": {
			"link: veth2 is new", "link: veth1 is new", "link: veth1 changed", "link: veth1 changed", "link: br0 is new", "link: br0 changed",
			"link: veth1 changed", "link: veth2 changed", "link: veth2 came up", "link: veth1 came up", "link: veth1 went down", "!link: veth2 went down",
			"link: br0 changed", "link: br0 changed", "link: veth1 was removed", "link: veth2 was removed", "!link: br0 went down",
		},
	}
	files, err := filepath.Glob("testdata/netlink/*.hex")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d recordings, want %d: %v", len(files), len(want), err)
	}
	for name, want := range want {
		links := ipwatch.Links("lo", "peer0", "eth0")
		var got []string
		for _, b := range recorded(t, "netlink", name+".hex") {
			hints := ipwatch.NetlinkHints(b, links)
			checkHints(t, hints)
			got = append(got, tellHints(hints)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q\nwant %q", name, got, want)
		}
	}
}

// TestNetlinkUnknownLinks: where the interfaces could not be read at the beginning, one that is down has gone down.
func TestNetlinkUnknownLinks(t *testing.T) {
	t.Parallel()
	littleEndian(t)
	var got []string
	for _, b := range recorded(t, "netlink", "link-down.hex") {
		got = append(got, tellHints(ipwatch.NetlinkHints(b, nil))...)
	}
	if want := []string{"!link: eth0 went down", "!link: peer0 went down"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// A new interface that is down is no loss where they could be read, nor is its end.
	links := ipwatch.Links()
	down, gone := recorded(t, "netlink", "link-deleted.hex")[0], slices.Clone(recorded(t, "netlink", "link-deleted.hex")[0])
	binary.NativeEndian.PutUint16(gone[4:], 17)
	got = append(tellHints(ipwatch.NetlinkHints(down, links)), tellHints(ipwatch.NetlinkHints(gone, links))...)
	if want := []string{"link: eth0 is new", "link: eth0 was removed"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNetlinkHostile: what is cut, lies about its length or comes with a strange name ends in "look again".
func TestNetlinkHostile(t *testing.T) {
	t.Parallel()
	littleEndian(t)
	const lost = "!overflow: a message of the kernel could not be read"
	addr := recorded(t, "netlink", "address-add.hex")[0]
	down := recorded(t, "netlink", "link-down.hex")[0]
	change := func(b []byte, at int, to ...byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], to)
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want []string
	}{
		{"empty", nil, nil},
		{"cut header", addr[:15], []string{lost}},
		{"cut body", addr[:len(addr)-1], []string{lost}},
		{"no length", change(addr, 0, 0, 0, 0, 0), []string{lost}},
		{"shorter than its header", change(addr, 0, 15), []string{lost}},
		{"huge length", change(addr, 0, 0xff, 0xff, 0xff, 0xff), []string{lost}},
		{"header alone", change(addr[:16], 0, 16), []string{lost}},
		{"no attributes", change(addr[:24], 0, 24), []string{lost}},
		{"attribute without a length", change(addr, 24, 0, 0), []string{lost}},
		{"attribute too long", change(addr, 24, 0xff), []string{lost}},
		{"an address of 5 bytes", change(addr, 24, 9), []string{lost}},
		{"IPv4 and IPv6 mixed", change(recorded(t, "netlink", "default-route6.hex")[0], 16, 2, 64), []string{lost}},
		{"impossible prefix", change(recorded(t, "netlink", "other-table.hex")[0], 17, 33), []string{lost}},
		{"overrun", change(addr, 4, 4, 0), []string{"!overflow: the kernel dropped messages"}},
		{"error", change(addr, 4, 2, 0), nil},
		{"other family", change(addr, 16, 7), nil},
		{"an address of the link alone", change(addr, 19, 253), nil},
		{"loopback", change(down, 24, 8), nil},
		{"local table", change(recorded(t, "netlink", "default-route.hex")[0], 32, 255), nil},
		{"another subject", change(addr, 4, 28), nil},
		{"bad name", change(down, 36, '\x1b', '[', '2', 'J'), []string{`!link: \x1b[2J went down`}},
		{"two", slices.Concat(addr, addr), []string{"address: eth0 has the address 192.168.1.5", "address: eth0 has the address 192.168.1.5"}},
		{"good, then bad", slices.Concat(addr, []byte{1}), []string{"address: eth0 has the address 192.168.1.5", lost}},
	} {
		hints := ipwatch.NetlinkHints(c.b, ipwatch.Links("lo", "peer0", "eth0"))
		checkHints(t, hints)
		if got := tellHints(hints); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzNetlinkHints(f *testing.F) {
	files, _ := filepath.Glob("testdata/netlink/*.hex")
	for _, name := range files {
		for _, b := range recorded(f, "netlink", filepath.Base(name)) {
			f.Add(b)
		}
	}
	f.Add([]byte(strings.Repeat("\x10\x00\x00\x00\x10\x00\x00\x00", 4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		hints := ipwatch.NetlinkHints(b, ipwatch.Links("lo", "-eth0", "wlan0"))
		checkHints(t, hints)
		if len(hints) > len(b)/16+1 {
			t.Errorf("%d hints of %d bytes", len(hints), len(b))
		}
		ipwatch.NetlinkHints(b, nil)
	})
}

// littleEndian skips a test of bytes that were recorded on a little-endian computer.
func littleEndian(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the recordings are little-endian")
	}
}
