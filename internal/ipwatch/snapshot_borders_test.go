package ipwatch_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestSnapshotTaken: what is taken is sorted, each once, and without what is never seen outside.
func TestSnapshotTaken(t *testing.T) {
	t.Parallel()
	home := snapLaptop{nil, byName{"4": "192.168.1.5"}}
	taker := home.snapshotter()
	taker.Targets = func() []netip.Addr { return []netip.Addr{{}, netip.MustParseAddr("52.1.2.3")} }
	taker.Interfaces = func() ([]ipwatch.Interface, error) {
		return []ipwatch.Interface{
			{Name: "wlan0", Addrs: append(addrs("192.168.1.5", "127.0.0.2", "10.0.0.1", "192.168.1.5", "fe80::1", "::1"), netip.Addr{})},
			{Name: "eth0", Addrs: addrs("192.168.1.5")},
		}, nil
	}
	s, err := taker.Take()
	if err != nil || len(s.Interfaces) != 2 || s.Interfaces[0].Name != "eth0" || !slices.Equal(s.Interfaces[1].Addrs, addrs("10.0.0.1", "192.168.1.5")) {
		t.Errorf("%+v, %v", s.Interfaces, err)
	}
	if len(s.Ways) != 3 || s.Ways[2].To.String() != "52.1.2.3" {
		t.Errorf("%+v", s.Ways)
	}
}

// TestSnapshotDiffBorders: single differences between snapshots, both ways.
func TestSnapshotDiffBorders(t *testing.T) {
	t.Parallel()
	of := func(is ...ipwatch.Interface) ipwatch.Snapshot { return ipwatch.Snapshot{Interfaces: is} }
	up := func(name string, as ...string) ipwatch.Interface {
		return ipwatch.Interface{Name: name, Up: true, Addrs: addrs(as...)}
	}
	down := func(name string, as ...string) ipwatch.Interface {
		return ipwatch.Interface{Name: name, Addrs: addrs(as...)}
	}
	target := ipwatch.Snapshot{Ways: []ipwatch.Way{{To: netip.MustParseAddr("52.1.2.3"), From: netip.MustParseAddr("10.0.0.1")}}}
	for _, c := range []struct {
		name             string
		old, now         ipwatch.Snapshot
		there, back      string
		lostNow, lostOld bool // there, and back
	}{
		{"up", of(down("a", "10.0.0.1")), of(up("a", "10.0.0.1")), "a is up", "a is down", false, true},
		{"still down", of(down("a", "10.0.0.1")), of(down("a", "10.0.0.1", "10.0.0.2")), "a has 10.0.0.2 now", "a lost 10.0.0.2", false, true},
		{"still up", of(up("a", "10.0.0.1")), of(up("a", "10.0.0.1", "10.0.0.2")), "a has 10.0.0.2 now", "a lost 10.0.0.2", false, true},
		{"new and down", of(), of(down("a")), "a is down", "a is gone or no longer used", false, true},
		{"another name", of(up("a")), of(up("b")), "a is gone or no longer used", "b is gone or no longer used", true, true},
		{"another order", of(up("a"), up("b")), of(up("b"), up("a")), "the same in another order", "the same in another order", false, false},
		{"the same", of(up("a"), down("b")), of(up("a"), down("b")), "", "", false, false},
		{"another target", ipwatch.Snapshot{}, target, "52.1.2.3 is a target now", "52.1.2.3 is no target any more", false, false},
	} {
		if there, back := c.now.Diff(c.old), c.old.Diff(c.now); there != c.there || back != c.back {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, there, back, c.there, c.back)
		}
		if now, old := ipwatch.Lost(c.now, c.old), ipwatch.Lost(c.old, c.now); now != c.lostNow || old != c.lostOld {
			t.Errorf("%s: lost %t and back %t", c.name, now, old)
		}
		if equal := c.now.Equal(c.old); equal != (c.there == "") {
			t.Errorf("%s: equal %t", c.name, equal)
		}
	}
}
