//go:build linux

package netlab_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// unseen is an interval in which nothing is noticed by asking: what is noticed, the system's events have told.
var unseen = map[string]string{"interval": `"1h"`}

// A laptop goes from one network to the next, loses the network, and comes back.
func TestRoam(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("192.0.2.10/32")
	cafe, err := tr.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	tr.run(unseen)
	tr.rules("at home", "198.51.100.10/32")
	tr.mark()
	tr.roam(cafe, netip.MustParseAddr("192.168.7.30"))
	tr.rules("in the café", "192.0.2.10/32")
	tr.few("one roam", 5) // a busy computer sees it in more steps

	writes := tr.Cloud.Writes()
	check(t, tr.WiFi.Unplug())
	tr.verdict("ipv4", "offline")
	tr.mark()
	tr.still("without a network", 3*time.Second)
	tr.few("without a network", 0)
	if n := tr.Cloud.Writes() - writes; n > 0 {
		t.Errorf("%d writes without a network", n)
	}
	check(t, tr.WiFi.Plug(cafe))
	check(t, tr.WiFi.Configure(netip.MustParseAddr("192.168.7.30")))
	tr.verdict("ipv4", "confirmed")
	tr.rules("back", "192.0.2.10/32")
}

// Two routers that give out the same private address: all that the laptop can see is that the link went and came.
func TestSamePrivateAddress(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	cafe, err := tr.Cafe("cafe", netlab.HomeInner, netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	tr.run(unseen)
	tr.rules("at home", "198.51.100.10/32")
	time.Sleep(2 * time.Second)
	// After the first event since the start, the program has a picture of the network to compare with.
	check(t, tr.Laptop.Batch("addr add 192.168.50.9/24 dev wlan0", "addr del 192.168.50.9/24 dev wlan0"))
	time.Sleep(3 * time.Second)
	quick := false // the link went and came within the settling time
	for i, to := range []*netlab.Router{cafe, tr.Home, cafe, tr.Home, cafe, tr.Home} {
		outer := to.Outer.As4()
		outer[3] = byte(20 + i)
		next := netip.AddrFrom4(outer)
		tr.mayHave(next.String() + "/32")
		check(t, to.Readdress(next))
		tr.mark()
		begin := time.Now()
		check(t, tr.WiFi.Plug(to)) // at once, so that what has settled is the same as before
		check(t, tr.WiFi.Configure(netlab.Laptop))
		quick = quick || time.Since(begin) < 100*time.Millisecond
		tr.rules("the other network", next.String()+"/32")
		tr.few("one roam", 5) // a busy computer sees it in more steps
		if strings.Contains(tr.daemon.Log(), "sees another public address") {
			return
		}
		// This computer was slow, so that the laptop could see the network go.
		time.Sleep(3 * time.Second)
	}
	// Every change was followed, but not by what this test is about. A computer that is busy with other tests cannot
	// do better.
	if quick && buildFlags == nil {
		t.Error("the laptop could always see the change: this test shows nothing")
	}
	t.Log("the laptop could always see the change: nothing had to look from outside")
}

// uplink gives the laptop a second interface, to a router whose outer address is 192.0.2.77. No route leads there.
func (tr *trial) uplink() *netlab.Router {
	tr.t.Helper()
	r, err := tr.Cafe("vpn", netip.MustParsePrefix("10.8.0.1/24"), netip.MustParseAddr("192.0.2.77"))
	check(tr.t, err)
	s := &netlab.Socket{Host: tr.Laptop, Name: "tun0"}
	check(tr.t, s.Plug(r))
	check(tr.t, tr.Laptop.IP("addr", "add", "10.8.0.2/24", "dev", "tun0"))
	return r
}

// A VPN that takes the way to the node alone: what the sources see is not what the node sees.
func TestSplitTunnel(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.uplink()
	node := netlab.NodeAddr.String()
	check(t, tr.Laptop.IP("route", "add", node, "via", "10.8.0.1"))
	tr.run(nil)
	why := tr.verdict("ipv4", "split-route")
	for _, part := range []string{node, "10.8.0.2", "192.168.50.2", "198.51.100.10", "nothing is changed"} {
		if !strings.Contains(why, part) {
			t.Errorf("%q does not name %s", why, part)
		}
	}
	tr.still("split", 2*time.Second)
	if n := tr.Cloud.Writes(); n != 0 {
		t.Errorf("%d writes", n)
	}

	check(t, tr.Laptop.IP("route", "del", node))
	tr.rules("the tunnel is gone", "198.51.100.10/32")
	check(t, tr.Laptop.IP("route", "add", node, "via", "10.8.0.1"))
	tr.verdict("ipv4", "split-route")
	tr.still("split again", 2*time.Second)
}

// Two ways out at the same time. When the better one goes, the other one's address counts.
func TestSeveralUplinks(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("192.0.2.77/32")
	tr.uplink()
	check(t, tr.Laptop.IP("route", "add", "default", "via", "10.8.0.1", "metric", "600"))
	tr.run(unseen)
	tr.rules("the better way", "198.51.100.10/32")
	check(t, tr.WiFi.Unplug())
	tr.rules("the other way", "192.0.2.77/32")
	check(t, tr.WiFi.Plug(tr.Home))
	check(t, tr.WiFi.Configure(netlab.Laptop))
	tr.rules("the better way again, and the other one held, since it flips", "192.0.2.77/32", "198.51.100.10/32")
}

// The ways out depend on the destination: the sources contradict each other, and the sentence says what to write.
func TestUplinksByDestination(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.uplink()
	for _, op := range []string{"example", "third"} {
		check(t, tr.Laptop.IP("route", "add", netlab.EchoAddrs[op].String(), "via", "10.8.0.1"))
	}
	tr.standingConflict()
}

// A provider's NAT that picks another address for each destination.
func TestCGNATPool(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	check(t, tr.Home.IP("addr", "add", "198.51.100.11/24", "dev", "wan"))
	check(t, tr.Home.Translate(fmt.Sprintf("ip daddr { %s, %s, %s } snat to 198.51.100.10", netlab.EchoAddrs["aws"], netlab.APIAddr, netlab.NodeAddr), "snat to 198.51.100.11"))
	tr.standingConflict()
}

// standingConflict checks what the daemon does where the sources never agree: nothing, until the line that it names is
// in the configuration.
func (tr *trial) standingConflict() {
	t := tr.t
	t.Helper()
	tr.run(nil)
	why := tr.verdict("ipv4", "conflict")
	line := `ipv4 = "198.51.100.10"`
	if !strings.Contains(why, line+" under [address]") {
		t.Errorf("%q does not name the line %s", why, line)
	}
	tr.still("conflict", 3*time.Second)
	if n := tr.Cloud.Writes(); n != 0 {
		t.Errorf("%d writes", n)
	}
	tr.few("conflict", 6)
	check(t, tr.daemon.Stop())

	key, value, _ := strings.Cut(line, " = ")
	check(t, tr.Config(map[string]string{key: value}))
	path, err := program()
	check(t, err)
	tr.daemon, err = tr.Run(path)
	check(t, err)
	tr.rules("with the line", "198.51.100.10/32")
	tr.reach("open")
}

// reach waits until the port of the node is said to be in this state, and returns the sentence.
func (tr *trial) reach(want string) (why string) {
	tr.t.Helper()
	tr.wait("the port is "+want, func(s netlab.Status) bool {
		if len(s.Targets) != 1 || s.Targets[0].Reach == nil {
			return false
		}
		why = s.Targets[0].Reach.Why
		return s.Targets[0].Reach.State == want
	})
	return why
}

// Thousands of changes that mean nothing, more than the kernel keeps for a listener; and one in the middle that counts.
func TestFlood(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("192.0.2.10/32")
	cafe, err := tr.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	check(t, tr.Laptop.Batch("link add flood0 type veth peer name flood1", "link set flood1 up", "link set flood0 up"))
	tr.run(unseen)
	tr.rules("at home", "198.51.100.10/32")
	tr.mark()
	flood := func() {
		var lines []string
		for i := range 3000 {
			a := fmt.Sprintf("10.%d.%d.1/32", 100+i/250, i%250)
			lines = append(lines, "addr add "+a+" dev flood0", "addr del "+a+" dev flood0")
		}
		check(t, tr.Laptop.Batch(lines...))
	}
	flood()
	tr.still("flood", time.Second)
	tr.few("flood", ipwatch.LooksPerMinute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(100 * time.Millisecond)
		tr.roam(cafe, netip.MustParseAddr("192.168.7.30"))
	}()
	flood()
	<-done
	tr.rules("roam in the flood", "192.0.2.10/32")
	tr.few("all of it", 6)
}
