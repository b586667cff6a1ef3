package keeper_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A rule that was deleted by hand is put back by the drift check.
func TestDaemonRepairsDrift(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.world.edit("sgr-1-1", func(*sgsync.Rule) bool { return false })
		d.ticks(17 * time.Minute)
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
		if st := l.state(); len(st.Rules) != 1 || st.Rules["sgr-1-2"].Group != "sg-1" {
			t.Errorf("rules that are remembered: %+v", st.Rules)
		}
		if a := d.instants("authorize"); len(a) != 2 || !near(a[1]-sgsync.Sigma, keeper.DriftCheck) {
			t.Errorf("added at %v", a)
		}
		d.stop()
	})
}

// A rule that was joined is read again when reads have caught up, and when its lease becomes firm.
func TestDaemonLooksAtFirmFrom(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", home+"/32", bobs(100*time.Hour)...)
		d := l.run()
		d.sleep(5 * time.Minute)
		d.wantRounds(0, sgsync.Sigma, sgsync.D+sgsync.ClockGrain)
		d.stop()
	})
}

func TestDaemonRenews(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		for range 49 * 12 {
			d.sleep(5 * time.Minute)
			d.hint(ipwatch.HintTimer)
		}
		d.sleep(0)
		tags := d.instants("tag ")
		half := func(got, from time.Duration) bool {
			return got-from >= 12*time.Hour && got-from < 12*time.Hour+17*time.Minute
		}
		if len(tags) != 4 || !half(tags[0], 0) || !half(tags[1], tags[0]) || !half(tags[2], tags[1]) {
			t.Errorf("renewed at %v", tags)
		}
		if n := len(d.rounds()); n > 49*5 {
			t.Errorf("%d rounds in 49 hours", n)
		}
		d.stop()
	})
}

// The due time is kept in the state, which commands change too.
func TestDaemonKeepsToTheState(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(5 * time.Minute)
		due := l.state().Status.NextRound
		command := *l.Keeper
		if _, err := command.Round(context.Background(), keeper.Request{}); err != nil {
			t.Fatal(err)
		}
		later := l.state().Status.NextRound
		if !later.After(due) {
			t.Fatalf("the next round is at %v, before %v", later, due)
		}
		n := len(d.rounds())
		d.sleep(time.Until(due))
		if len(d.rounds()) != n {
			t.Error("a round at the time that the command's round has moved")
		}
		d.sleep(time.Until(later))
		if len(d.rounds()) != n+1 {
			t.Error("no round at the new time")
		}
		d.stop()
	})
	inLab(t, func(l *lab) { // a command's temporary target is kept, and given back at its end
		d := l.run()
		d.sleep(time.Minute)
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(3 * time.Minute) })
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		l.v4(at(office))
		d.ticks(2 * time.Minute)
		l.want("both follow", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-2-1 192.0.2.2/32:22 mine")
		d.ticks(time.Minute)
		d.sleep(0)
		l.want("given back", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// An address that is not confirmed is asked for again by the regular checks, and followed when it is.
func TestDaemonUnsureAddress(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(sight{state: ipwatch.Conflict})
		d.hint(ipwatch.HintLink)
		d.sleep(5 * time.Second)
		l.v4(at(office))
		d.ticks(time.Minute)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// No hints any more: what is due is done all the same.
func TestDaemonWithoutHints(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		close(d.hints)
		d.sleep(time.Hour)
		if n := len(d.rounds()); n < 5 || n > 7 {
			t.Errorf("%d rounds", n)
		}
		d.stop()
	})
}

// A clock that was put back does not stop the rounds; a laptop that slept catches up.
func TestDaemonClocks(t *testing.T) {
	for _, back := range []time.Duration{2 * time.Minute, time.Hour, 400 * 24 * time.Hour} {
		inLab(t, func(l *lab) {
			d := l.run()
			d.sleep(5 * time.Minute)
			l.ahead.Store(int64(-back))
			l.world.edit("sgr-1-1", func(*sgsync.Rule) bool { return false })
			d.sleep(2 * keeper.MaxNext)
			l.want("rules", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
			d.stop()
		})
	}
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(5 * time.Minute)
		n := len(d.rounds())
		l.suspend(13 * time.Hour)
		d.hint(ipwatch.HintWake)
		d.sleep(time.Second)
		r := d.rounds()
		if len(r) != n+1 || r[n] != 5*time.Minute {
			t.Errorf("rounds at %v", r)
		}
		if tags := d.instants("tag "); len(tags) != 1 {
			t.Errorf("the lease was renewed at %v", tags)
		}
		d.stop()
	})
}

// A read that is too old when the write comes, because the laptop slept in between, is made again.
func TestSleepBetweenReadAndWrite(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.v4(at(office))
		l.took()
		l.world.lose = func(call string) error {
			if call == "rules sg-1" && l.ahead.Load() == 0 {
				l.suspend(10 * time.Second)
			}
			return nil
		}
		l.good(keeper.Request{})
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1", "rules sg-1", "modify sgr-1-1 192.0.2.2/32")
	})
}

// After a longer sleep the laptop may be elsewhere: nothing is written on the old look at the address.
func TestSleepBetweenAddressAndWrite(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.v4(at(office))
		l.world.lose = func(call string) error {
			if call == "rules sg-1" && l.ahead.Load() == 0 {
				l.suspend(time.Hour)
				l.v4(at(home))
			}
			return nil
		}
		rep, err := l.Round(context.Background(), keeper.Request{})
		if err != nil || !errors.Is(rep.Failed(), sgsync.ErrAddressOld) {
			t.Errorf("%v, %v", err, rep.Failed())
		}
		l.world.lose = nil
		l.took()
		l.good(keeper.Request{})
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1")
	})
}

// A terminated cluster stays so: it is looked at as rarely as one that is well.
func TestDaemonClusterEnded(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.world.places["j-1"]
		p.Ended = true
		l.world.places["j-1"] = p
		d := l.run()
		d.ticks(30 * time.Minute)
		if n := len(d.rounds()); n > 4 {
			t.Errorf("%d rounds in half an hour", n)
		}
		if st := l.state(); st.Status.LastError == "" {
			t.Error("the status does not tell")
		}
		d.stop()
	})
}

// A command may set an earlier round due than the daemon waits for: a rule that it has joined is to be confirmed.
func TestDaemonSeesWhatACommandSetsDue(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(2 * time.Minute)
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.world.put("sg-2", home+"/32", bobs(time.Hour)...)
		tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		due := l.state().Status.NextRound
		if wait := time.Until(due); wait <= 0 || wait > sgsync.D {
			t.Fatalf("due in %v", wait)
		}
		d.sleep(time.Until(due) + 2*time.Minute)
		if last := l.state().Status.LastRound; last.Before(due) {
			t.Errorf("the daemon has not looked: last round at %v, due was %v", last, due)
		}
		d.stop()
	})
}

// Looking whether something is due costs no call and no look at the address.
func TestDaemonLooksForWhatIsDueAtNoCost(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.took()
		asked := len(d.questions())
		d.sleep(keeper.DriftCheck / 2)
		l.want("calls", l.took())
		if n := len(d.questions()) - asked; n != 0 {
			t.Errorf("%d looks at the address", n)
		}
		d.stop()
	})
}
