package keeper_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// A conflict that stays says what it means, without a call to AWS.
func TestStandingConflict(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.net.mu.Lock()
		l.net.pool = []string{"192.0.2.1", "192.0.2.200"}
		l.net.mu.Unlock()
		l.v4(sight{state: ipwatch.Conflict})
		d.hint(ipwatch.HintOutside)
		d.sleep(3 * time.Second)
		calls := len(d.rounds())
		if v := l.state().Status.Report.Targets[0].Verdicts["ipv4"]; v.State != string(ipwatch.Conflict) || strings.Contains(v.Why, "looks in a row") {
			t.Errorf("after the first looks: %+v", v)
		}
		d.sleep(2 * time.Minute)
		v := l.state().Status.Report.Targets[0].Verdicts["ipv4"]
		if !strings.Contains(v.Why, "looks in a row") || v.Remedy == "" || !strings.Contains(v.Why, v.Remedy) {
			t.Errorf("after two minutes: %+v", v)
		}
		if n := len(d.rounds()); n != calls {
			t.Errorf("%d rounds with AWS for a sentence", n-calls)
		}
		d.stop()
	})
}

// A check confirms what it has seen, and nothing else: IPv6 that did not answer is not confirmed by IPv4.
func TestCheckConfirmsWhatItSaw(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.good(keeper.Request{})
		start := time.Now()
		l.net.be(ipwatch.V6, sight{state: ipwatch.Offline})
		time.Sleep(time.Hour)
		l.round(keeper.Request{}) // the drift
		for range 10 {
			time.Sleep(time.Minute)
			l.good(keeper.Request{Check: true})
		}
		for key, mem := range l.state().Families {
			late := mem.Confirmed.After(start.Add(30 * time.Minute))
			if six := strings.HasPrefix(key, "ipv6"); six == late {
				t.Errorf("%s was confirmed at %v", key, mem.Confirmed.Sub(start))
			}
		}
	})
}

// A target without a node is compared with the way to AWS's endpoint in its region.
func TestStandIn(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.world.places["j-1"]
		p.Nodes = nil
		l.world.places["j-1"] = p
		l.net.endpoint = []netip.Addr{netip.MustParseAddr("203.0.113.99")}
		l.net.split["203.0.113.99"] = ipwatch.SplitRoute
		rep := l.round(keeper.Request{})
		if v := rep.Targets[0].Verdicts["ipv4"]; v.State != string(ipwatch.SplitRoute) {
			t.Errorf("verdict %+v", v)
		}
		l.want("rules", l.rules())
		delete(l.net.split, "203.0.113.99")
		l.good(keeper.Request{Check: true})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		if len(l.net.looked) == 0 || slices.Contains(l.net.looked, "") {
			t.Errorf("looked up %q", l.net.looked)
		}
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "")
		l.good(keeper.Request{})
		n := len(l.net.looked)
		l.good(keeper.Request{Check: true})
		if len(l.net.looked) != n {
			t.Error("a stand-in was looked up for a target that has a node")
		}
	})
}
