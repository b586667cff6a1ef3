package keeper_test

import (
	"slices"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// Without a route AWS cannot be reached either: nobody calls it, and the network that comes back is followed at once.
func TestAwayAndBack(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		rounds := len(d.rounds())
		l.v4(sight{state: away})
		d.hint(ipwatch.HintLink)
		d.sleep(800 * time.Millisecond)
		if v := l.state().Status.Report.Targets[0].Verdicts["ipv4"]; v.State != string(ipwatch.Offline) || v.Address != "" {
			t.Errorf("the status says %+v", v)
		}
		if n := len(d.rounds()); n != rounds {
			t.Errorf("%d rounds with AWS without a network", n-rounds)
		}
		l.v4(at(office))
		back := time.Since(d.start)
		d.hint(ipwatch.HintAddress)
		d.sleep(time.Second)
		if got := d.instants("modify"); !slices.Equal(got, []time.Duration{back}) {
			t.Errorf("moved at %v, and the network was back at %v", got, back)
		}
		l.v4(sight{state: away})
		d.hint(ipwatch.HintLink)
		d.sleep(10 * time.Second)
		l.v4(at(office)) // the same as before: the rules are looked at all the same
		rounds = len(d.rounds())
		d.hint(ipwatch.HintAddress)
		d.sleep(3 * time.Second)
		if n := len(d.rounds()); n != rounds+1 {
			t.Errorf("%d rounds after the network was back", n-rounds)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
	inLab(t, func(l *lab) { // what is due is tried all the same: a proxy may lead to AWS
		d := l.run()
		d.sleep(time.Minute)
		l.v4(sight{state: away})
		d.hint(ipwatch.HintLink)
		d.sleep(keeper.MaxNext)
		if n := len(d.rounds()); n < 3 {
			t.Errorf("%d rounds in %v", n, keeper.MaxNext)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		d.stop()
	})
}
