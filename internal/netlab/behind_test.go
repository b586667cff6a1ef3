//go:build linux

package netlab_test

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// The router gets another address, which nothing on the laptop shows.
func TestReaddress(t *testing.T) {
	t.Parallel()
	for _, mode := range []netlab.NAT{netlab.Masquerade, netlab.StaticAlive, netlab.StaticDead} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			tr := begin(t, netlab.Options{})
			check(t, tr.Home.UseNAT(mode))
			tr.run(nil)
			tr.rules("at first", "198.51.100.10/32")
			time.Sleep(7 * time.Second) // both servers have been asked
			tr.mark()
			for _, next := range []string{"198.51.100.20", "198.51.100.21"} {
				tr.mayHave(next + "/32")
				began := time.Now()
				check(t, tr.Home.Readdress(netip.MustParseAddr(next)))
				tr.rules("then", next+"/32")
				t.Logf("noticed and moved after %.2f intervals", time.Since(began).Seconds()/5)
			}
			tr.few("two changes", 6)
			asked, ports := 0, 0
			for _, s := range tr.STUN {
				times, p := s.Asked()
				asked, ports = asked+len(times), ports+p
			}
			if ports < asked {
				t.Errorf("%d questions came from %d ports: a port that is used again sees the past", asked, ports)
			}
		})
	}
}

// UDP does not get through: HTTPS is asked now and then, which status says. A command sees the change at once.
func TestUDPBlocked(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("198.51.100.20/32")
	check(t, tr.Home.Drop("meta l4proto udp"))
	tr.run(nil)
	tr.rules("at first", "198.51.100.10/32")
	tr.noticing("UDP is blocked here")
	tr.few("blocked UDP", 4)
	check(t, tr.Home.Readdress(netip.MustParseAddr("198.51.100.20")))
	if _, err := tr.daemon.Command(t.Context(), "sync"); err != nil {
		t.Error(err)
	}
	tr.rules("sync looks", "198.51.100.20/32")
}

// Only STUN is blocked: name servers are asked, at the same pace.
func TestSTUNBlocked(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("198.51.100.20/32")
	check(t, tr.Home.Drop("udp dport 3478"))
	tr.run(nil)
	tr.rules("at first", "198.51.100.10/32")
	tr.noticing("name servers are asked")
	check(t, tr.Home.Readdress(netip.MustParseAddr("198.51.100.20")))
	tr.rules("then", "198.51.100.20/32")
	tr.few("all of it", 6)
}

// STUN servers that lie cost a few looks and change nothing. What is true is noticed beside them.
func TestLyingSTUN(t *testing.T) {
	t.Parallel()
	lie := netip.MustParseAddrPort("198.51.100.66:1234")
	for _, tt := range []struct {
		name string
		say  func(netip.AddrPort) netip.AddrPort
		most int // looks at the sources
	}{
		{"always the same", func(netip.AddrPort) netip.AddrPort { return lie }, 2},
		{"silent", netlab.Silent, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := begin(t, netlab.Options{})
			tr.mayHave("198.51.100.20/32")
			tr.STUN[0].Say(tt.say)
			tr.run(nil)
			tr.rules("at first", "198.51.100.10/32")
			writes := tr.Cloud.Writes()
			tr.still("lies", 25*time.Second)
			tr.few("lies", tt.most)
			if n := tr.Cloud.Writes() - writes; n > 0 {
				t.Errorf("%d writes for lies", n)
			}
			check(t, tr.Home.Readdress(netip.MustParseAddr("198.51.100.20")))
			tr.rules("a true change", "198.51.100.20/32")
		})
	}
}

// A server that starts to lie in the middle, as an address that really changes looks, costs a look and is refuted.
func TestSTUNTurnsLiar(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.run(nil)
	tr.rules("at first", "198.51.100.10/32")
	time.Sleep(7 * time.Second)
	tr.mark()
	for _, s := range tr.STUN {
		s.Say(func(netip.AddrPort) netip.AddrPort { return netip.MustParseAddrPort("198.51.100.66:1234") })
	}
	deadline := time.Now().Add(patience)
	for tr.looks() == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the sources were not asked: this liar would not be noticed if it told the truth")
		}
		time.Sleep(50 * time.Millisecond)
	}
	tr.still("lies", 10*time.Second)
	tr.few("lies", 4)
}

// All servers lie, another lie each time: each is a hint, and there is a limit to what it costs.
func TestRestlessLiars(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("198.51.100.20/32")
	var n atomic.Int32
	for _, s := range tr.STUN {
		s.Say(func(netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + n.Add(1)%100)}), 1)
		})
	}
	tr.run(nil)
	tr.rules("at first", "198.51.100.10/32")
	writes := tr.Cloud.Writes()
	tr.mark()
	tr.still("lies", 50*time.Second)
	tr.few("lies", ipwatch.HintsPerMinute)
	if tr.looks() < 2 {
		t.Error("there was no hint: this test shows nothing")
	}
	if n := tr.Cloud.Writes() - writes; n > 0 {
		t.Errorf("%d writes for lies", n)
	}
	tr.noticing("keep seeing other addresses than the sources")
	check(t, tr.Home.Readdress(netip.MustParseAddr("198.51.100.20")))
	if _, err := tr.daemon.Command(t.Context(), "sync"); err != nil {
		t.Error(err)
	}
	tr.rules("a command looks", "198.51.100.20/32")
}

// The router sends port 443 another way than port 22: only a connection to the node's port can tell.
func TestPort443GoesElsewhere(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.had = []string{"192.0.2.77/32"} // and the sources cannot know better
	check(t, tr.Home.Divert(tr.Internet, 443, netip.MustParseAddr("192.0.2.77")))
	tr.run(nil)
	tr.rules("what the sources see", "192.0.2.77/32")
	if why := tr.reach("silent"); !strings.Contains(why, "another way than port 443") {
		t.Errorf("%q does not name the cause", why)
	}
}
