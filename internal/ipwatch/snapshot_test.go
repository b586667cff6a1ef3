package ipwatch_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// snapLaptop is a computer for snapshots: its interfaces by name, "-name" is down, and what it sends from.
type snapLaptop struct {
	interfaces map[string]string // addresses with spaces
	ways       map[string]string // by target; "4" and "6" stand for the internet
}

func (l snapLaptop) snapshotter(targets ...string) ipwatch.Snapshotter {
	v4, v6 := ipwatch.Anchors()
	return ipwatch.Snapshotter{
		Targets: func() (as []netip.Addr) {
			for _, a := range targets {
				as = append(as, netip.MustParseAddr(a))
			}
			return as
		},
		Interfaces: func() (all []ipwatch.Interface, _ error) {
			for name, addrs := range l.interfaces {
				i := ipwatch.Interface{Name: strings.TrimPrefix(name, "-"), Up: name[0] != '-'}
				for a := range strings.FieldsSeq(addrs) {
					i.Addrs = append(i.Addrs, netip.MustParseAddr(a))
				}
				all = append(all, i)
			}
			return all, nil
		},
		LocalAddr: func(f ipwatch.Family, to netip.Addr) (netip.Addr, error) {
			key := to.String()
			switch {
			case !f.Has(to):
				return netip.Addr{}, errors.New("family and address do not match")
			case to == v4:
				key = "4"
			case to == v6:
				key = "6"
			}
			if from, ok := l.ways[key]; ok {
				return netip.ParseAddr(from)
			}
			return netip.Addr{}, ipwatch.ErrNoRoute
		},
	}
}

func (l snapLaptop) take(t *testing.T, targets ...string) ipwatch.Snapshot {
	t.Helper()
	s, err := l.snapshotter(targets...).Take()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type byName = map[string]string

func TestSnapshotDiff(t *testing.T) {
	t.Parallel()
	home := snapLaptop{byName{"wlan0": "192.168.1.5 fe80::1 2001:db9::5 2001:db9::77", "lo": "127.0.0.1 ::1"}, byName{"4": "192.168.1.5", "6": "2001:db9::77"}}
	with := func(interfaces, ways byName) snapLaptop { return snapLaptop{interfaces, ways} }
	for _, c := range []struct {
		name string
		now  snapLaptop
		want string
		lost bool
	}{
		{"the same", home, "", false},
		{"link-local addresses come and go", with(byName{"wlan0": "2001:db9::77 192.168.1.5 2001:db9::5 169.254.3.3 fe80::2%wlan0"}, home.ways), "", false},
		{"containers", with(byName{"wlan0": home.interfaces["wlan0"], "docker0": "172.17.0.1", "veth1": "fe80::9", "br-7": "172.18.0.1 fd00::1", "-virbr0": "192.168.122.1"}, home.ways), "", false},
		{"a VPN without a way", with(byName{"wlan0": home.interfaces["wlan0"], "tun0": "10.8.0.2"}, home.ways), "", false},
		{"another network", with(byName{"wlan0": "10.0.0.7"}, byName{"4": "10.0.0.7"}),
			"wlan0 has 10.0.0.7 now, and lost 192.168.1.5, 2001:db9::5, 2001:db9::77; the way to the internet over IPv4 is from 10.0.0.7 now, and was from 192.168.1.5; there is no way to the internet over IPv6 any more", true},
		{"the temporary address is deprecated", with(home.interfaces, byName{"4": "192.168.1.5", "6": "2001:db9::5"}),
			"the way to the internet over IPv6 is from 2001:db9::5 now, and was from 2001:db9::77", true},
		{"a new temporary address", with(byName{"wlan0": home.interfaces["wlan0"] + " 2001:db9::99"}, home.ways), "wlan0 has 2001:db9::99 now", false},
		{"a cable", with(byName{"wlan0": home.interfaces["wlan0"], "eth0": "192.168.1.9"}, byName{"4": "192.168.1.9", "6": "2001:db9::77"}),
			"eth0 has 192.168.1.9 now; the way to the internet over IPv4 is from 192.168.1.9 now, and was from 192.168.1.5", true},
		{"a public address elsewhere", with(byName{"wlan0": home.interfaces["wlan0"], "-ppp0": "198.41.7.7"}, home.ways), "ppp0 has 198.41.7.7 now; ppp0 is down", false},
		{"no carrier", with(byName{"-wlan0": home.interfaces["wlan0"]}, byName{"4": "192.168.1.5", "6": "2001:db9::77"}), "wlan0 is down", true},
		{"nothing left", snapLaptop{}, "wlan0 is gone or no longer used; there is no way to the internet over IPv4 any more; there is no way to the internet over IPv6 any more", true},
		{"only link-local", with(home.interfaces, byName{"4": "169.254.3.3", "6": "fe80::1"}), "there is no way to the internet over IPv4 any more; there is no way to the internet over IPv6 any more", true},
		{"a hostile name", with(byName{"wlan0": home.interfaces["wlan0"], "\x1b[2J": "198.41.7.7"}, home.ways), `\x1b[2J has 198.41.7.7 now`, false},
		{"many", with(byName{"wlan0": home.interfaces["wlan0"] + " 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"}, home.ways), "wlan0 has 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 2 more now", false},
	} {
		before, now := home.take(t), c.now.take(t)
		if got := now.Diff(before); got != c.want || now.Equal(before) != (c.want == "") || ipwatch.Lost(now, before) != c.lost {
			t.Errorf("%s: %q, lost %t; want %q, %t", c.name, got, ipwatch.Lost(now, before), c.want, c.lost)
		}
	}
	// And back: what comes is no loss.
	if ipwatch.Lost(home.take(t), snapLaptop{}.take(t)) {
		t.Error("what comes is taken for a loss")
	}
	if back := home.take(t).Diff(snapLaptop{}.take(t)); !strings.HasPrefix(back, "wlan0 has 192.168.1.5, 2001:db9::5, 2001:db9::77 now; there is a way to the internet over IPv4 now, from 192.168.1.5") {
		t.Errorf("back: %q", back)
	}
}

func TestSnapshotTargets(t *testing.T) {
	t.Parallel()
	home := snapLaptop{byName{"wlan0": "192.168.1.5", "tun0": "10.8.0.2"}, byName{"4": "192.168.1.5", "52.1.2.3": "192.168.1.5", "10.20.0.1": "192.168.1.5"}}
	vpn := snapLaptop{home.interfaces, byName{"4": "192.168.1.5", "52.1.2.3": "192.168.1.5", "10.20.0.1": "10.8.0.2"}}
	before, now := home.take(t, "52.1.2.3", "10.20.0.1"), vpn.take(t, "10.20.0.1", "::ffff:10.20.0.1", "52.1.2.3")
	if got, want := now.Diff(before), "tun0 has 10.8.0.2 now; the way to 10.20.0.1 is from 10.8.0.2 now, and was from 192.168.1.5"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	v4, _ := ipwatch.Anchors()
	if same := home.take(t, "10.20.0.1", v4.String(), "52.1.2.3"); !same.Equal(before) {
		t.Errorf("the order of targets matters: %+v", same)
	}
	if got, want := home.take(t, "52.1.2.4", "52.1.2.3").Diff(before), "52.1.2.4 is a target now; 10.20.0.1 is no target any more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	_, err := ipwatch.Snapshotter{Interfaces: func() ([]ipwatch.Interface, error) { return nil, errors.New("refused") }}.Take()
	if err == nil || err.Error() != "network interfaces: refused" {
		t.Errorf("error %v", err)
	}
}

// Another target is no other network: the first round learns of nodes, and that makes nobody look.
func TestComparingTargets(t *testing.T) {
	t.Parallel()
	var targets []netip.Addr
	now := snapLaptop{byName{"wlan0": "192.168.1.5"}, byName{"4": "192.168.1.5", "203.0.113.7": "192.168.1.5"}}
	s := now.snapshotter()
	s.Targets = func() []netip.Addr { return targets }
	compare := s.Comparing()
	for _, step := range [][]netip.Addr{nil, {netip.MustParseAddr("203.0.113.7")}, nil} {
		targets = step
		if got := compare(); got != "" {
			t.Errorf("with the targets %v: %q", targets, got)
		}
	}
}

func TestComparing(t *testing.T) {
	t.Parallel()
	now := snapLaptop{byName{"wlan0": "192.168.1.5"}, byName{"4": "192.168.1.5"}}
	var broken error
	s := ipwatch.Snapshotter{
		Interfaces: func() ([]ipwatch.Interface, error) {
			if broken != nil {
				return nil, broken
			}
			return now.snapshotter().Interfaces()
		},
		LocalAddr: func(f ipwatch.Family, to netip.Addr) (netip.Addr, error) { return now.snapshotter().LocalAddr(f, to) },
	}
	compare := s.Comparing()
	expect := func(want string) {
		t.Helper()
		if got := compare(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect("")
	expect("")
	now.interfaces = byName{"wlan0": "192.168.1.5 192.168.1.6"}
	expect("wlan0 has 192.168.1.6 now")
	expect("")
	broken = errors.New("too many \x1bfiles")
	expect(`it is not known whether addresses have changed: network interfaces: too many \x1bfiles`)
	expect(`it is not known whether addresses have changed: network interfaces: too many \x1bfiles`)
	broken = nil
	expect("the addresses can be compared again")
	expect("")
	broken = errors.New("no")
	expect(`it is not known whether addresses have changed: network interfaces: no`)
	broken, now.interfaces = nil, byName{"wlan0": "192.168.1.5"}
	expect("wlan0 lost 192.168.1.6") // says more than that they can be compared again
	if !s.Routed() {
		t.Error("no way out, although there is one")
	}
	now.ways = byName{"6": "fe80::1"}
	if s.Routed() {
		t.Error("a link-local address is taken for a way out")
	}
	s.Targets = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("10.20.0.1")} }
	if now.ways = (byName{"10.20.0.1": "10.8.0.2"}); !s.Routed() {
		t.Error("no way out, although there is one to a target")
	}
}

// TestSnapshotOfThisComputer takes one with the system's own means.
func TestSnapshotOfThisComputer(t *testing.T) {
	t.Parallel()
	loop := netip.MustParseAddr("127.0.0.1")
	s, err := ipwatch.Snapshotter{Targets: func() []netip.Addr { return []netip.Addr{loop} }}.Take()
	if err != nil || len(s.Ways) != 3 || s.Ways[2] != (ipwatch.Way{To: loop, From: loop}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, i := range s.Interfaces {
		for _, a := range i.Addrs {
			if a.IsLoopback() || a.IsLinkLocalUnicast() {
				t.Errorf("%s has %s", i.Name, a)
			}
		}
	}
}

// TestSnapshotProperties: Diff is empty exactly for equal snapshots, and the order in which the system lists things
// does not matter.
func TestSnapshotProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "198.41.7.7", "2600::1", "fe80::1", "169.254.1.1"})
		draw := func(label string) snapLaptop {
			l := snapLaptop{byName{}, byName{}}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, label) {
				l.interfaces[name] = strings.Join(rapid.SliceOfN(some, 0, 3).Draw(t, label+name), " ")
			}
			for _, to := range []string{"4", "6", "52.1.2.3"} {
				if rapid.Bool().Draw(t, label+to) {
					l.ways[to] = some.Draw(t, label+to)
				}
			}
			return l
		}
		one, two := draw("one"), draw("two")
		a, _ := one.snapshotter("52.1.2.3").Take()
		again, _ := one.snapshotter("52.1.2.3").Take()
		b, _ := two.snapshotter("52.1.2.3").Take()
		if !a.Equal(again) || a.Diff(again) != "" || ipwatch.Lost(a, again) {
			t.Fatalf("%+v differs from itself: %q", a, a.Diff(again))
		}
		if a.Equal(b) != (b.Diff(a) == "") || a.Equal(b) != (a.Diff(b) == "") || a.Equal(b) != b.Equal(a) {
			t.Fatalf("equal %t, but %q", a.Equal(b), b.Diff(a))
		}
		if a.Equal(b) && ipwatch.Lost(b, a) {
			t.Fatal("equal, and something is lost")
		}
	})
}
