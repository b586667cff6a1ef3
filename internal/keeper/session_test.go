package keeper_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/gofrs/flock"
)

// session opens a session, as far as the state folder shows it. The function that it returns ends it.
func (l *lab) session() (end func()) {
	l.Helper()
	lock := flock.New(l.Store.Path(keeper.SessionsLock))
	if ok, err := lock.TryRLock(); !ok || err != nil {
		l.Fatal(ok, err)
	}
	return func() { _ = lock.Unlock() }
}

// temporary is a target of a session, which lasts for an hour.
func temporary(cluster string) keeper.Target {
	return as(target(cluster), func(t *keeper.Target) { t.Until, t.Lease = time.Now().Add(time.Hour), time.Hour })
}

// follow is what an open session does by itself.
func (l *lab) follow(t keeper.Target) error {
	l.Helper()
	rep, err := l.Round(context.Background(), keeper.Request{Targets: []keeper.Target{t}, Session: true})
	if err == nil {
		err = rep.Failed()
	}
	return err
}

// A session brings back nothing that a person has revoked while it was open, also not after its target's time; a person and the
// daemon may.
func TestSessionAndRevoke(t *testing.T) {
	for name, tmp := range map[string]bool{"temporary": true, "of the configuration": false} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				defer l.session()()
				mine := l.Targets[0]
				if tmp {
					mine, l.Targets = temporary("j-1"), nil
				}
				l.good(keeper.Request{Targets: []keeper.Target{mine}})
				if err := l.follow(mine); err != nil {
					t.Fatal(err)
				}
				revoke := keeper.Request{Release: true}
				l.good(revoke)
				l.took()
				for range 3 {
					if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
						t.Fatalf("a session after a revoke: %v", err)
					}
					time.Sleep(2 * time.Hour)
				}
				l.want("calls", l.took())
				mine.Until = mine.Until.Add(24 * time.Hour)
				if !tmp {
					mine.Until = time.Time{}
				}
				l.good(keeper.Request{Targets: []keeper.Target{mine}}) // a person connects again
				if err := l.follow(mine); err != nil {
					t.Errorf("a session after somebody has connected again: %v", err)
				}
				if n := len(l.rules()); n != 1 {
					t.Errorf("%d rules", n)
				}
				if !tmp {
					l.good(revoke)
					l.good(keeper.Request{}) // the daemon wants it
					if err := l.follow(mine); err != nil {
						t.Errorf("a session after the daemon's round: %v", err)
					}
				}
			})
		})
	}
}

// A target's time may be over when it is revoked: the computer has slept.
func TestSessionThatSleptAndRevoke(t *testing.T) {
	inLab(t, func(l *lab) {
		defer l.session()()
		mine := temporary("j-2")
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		time.Sleep(2 * time.Hour)
		l.good(keeper.Request{Release: true})
		mine.Until = time.Now().Add(time.Hour)
		if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
			t.Error(err)
		}
		l.want("rules", l.rules())
	})
}

// What a session gives back at its end is nobody's word, and what is revoked while no session is open concerns none.
func TestSessionGivesBack(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.good(keeper.Request{Release: true})
		if l.remembers() {
			t.Error("remembered for no session")
		}
		end := l.session()
		mine := temporary("j-1")
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		l.good(keeper.Request{Targets: []keeper.Target{mine}, Release: true, Session: true})
		if err := l.follow(mine); err != nil {
			t.Error(err)
		}
		l.good(keeper.Request{Release: true})
		if !l.remembers() {
			t.Error("nothing is remembered")
		}
		end()
		l.good(keeper.Request{})
		if l.remembers() {
			t.Error("remembered when the sessions are over")
		}
	})
}

// What sessions to other nodes have left is found when their time is over, too, and a round has forgotten their targets.
func TestSessionsThatSleptGiveBack(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		core := as(target("j-1"), func(t *keeper.Target) { t.Cluster, t.SecurityGroup = "", "sg-2" })
		l.world.cluster("sg-2", "sg-2", "203.0.113.10", "")
		l.good(keeper.Request{Targets: []keeper.Target{as(target("j-1"), func(t *keeper.Target) { t.Until = l.wall().Add(time.Hour) })}})
		l.good(keeper.Request{Targets: []keeper.Target{as(core, func(t *keeper.Target) { t.Until = l.wall().Add(time.Hour) })}})
		l.suspend(26 * time.Hour)
		// The first one has ended, and could not be the last.
		ts := l.state().OfSessions()
		l.good(keeper.Request{Targets: ts[1:], Release: true, Session: true})
		if n := len(l.rules()); len(ts) != 2 || n != 1 {
			t.Fatalf("%d targets, %d rules: the test is about one that is left", len(ts), n)
		}
		l.good(keeper.Request{Targets: l.state().OfSessions(), Release: true, Session: true})
		l.want("rules", l.rules())
		if left := l.state().OfSessions(); len(left) != 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

// A pause holds what an open session does by itself; what it gives back at its end, it gives back.
func TestSessionAndPause(t *testing.T) {
	inLab(t, func(l *lab) {
		defer l.session()()
		mine := temporary("j-1")
		l.Targets = nil
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		l.stopFor(30 * time.Minute)
		l.v4(at(office))
		if err := l.follow(mine); !errors.Is(err, keeper.ErrPaused) {
			t.Error(err)
		}
		l.want("calls", l.took())
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		time.Sleep(30 * time.Minute)
		if err := l.follow(mine); err != nil {
			t.Error(err)
		}
		l.want("rules after the pause", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		l.stopFor(0)
		l.good(keeper.Request{Targets: []keeper.Target{mine}, Release: true, Session: true})
		l.want("rules at the end", l.rules())
	})
}

// The longest time that was asked for counts, for the target and for the lease on its rule; a second round writes nothing.
func TestLongestPromise(t *testing.T) {
	hours := func(n time.Duration, kept bool) keeper.Target {
		return as(target("j-1"), func(t *keeper.Target) {
			t.Until, t.Lease = time.Now().Add(n*time.Hour), n*time.Hour
			if kept {
				t.Kept = t.Until
			}
		})
	}
	inLab(t, func(l *lab) {
		l.Targets = nil
		ends := func() time.Duration {
			lease, _ := sgsync.ParseLease(l.key(), l.world.rules["sgr-1-1"].Tags[l.key()])
			return time.Until(lease.End)
		}
		l.good(keeper.Request{Targets: []keeper.Target{hours(1, false)}})
		l.good(keeper.Request{Targets: []keeper.Target{hours(8, true)}})
		if got := ends(); got != 8*time.Hour {
			t.Errorf("after eight hours were asked for, the lease ends in %v", got)
		}
		time.Sleep(3*time.Hour + 500*time.Millisecond) // less than half; a lease ends at a whole second
		l.good(keeper.Request{Targets: []keeper.Target{hours(8, true)}})
		if got := ends(); got != 8*time.Hour-500*time.Millisecond {
			t.Errorf("after they were asked for again, the lease ends in %v", got)
		}
		l.took()
		time.Sleep(time.Second)
		l.good(keeper.Request{})
		l.want("writes of a second round", writes(l.took()))
		promised := l.state().Temporary[0].Kept
		l.good(keeper.Request{Targets: []keeper.Target{hours(9, false)}}) // a session outlives it
		if st := l.state(); len(st.Temporary) != 1 || !st.Temporary[0].Kept.Equal(promised) || !st.Temporary[0].Until.After(promised) {
			t.Errorf("%+v", st.Temporary)
		}
		if got := ends(); got < 8*time.Hour-2*time.Second {
			t.Errorf("after a session the lease ends in %v", got)
		}
		if err := l.Store.Keep(context.Background(), hours(10, false)); err != nil {
			t.Fatal(err)
		}
		if st := l.state(); time.Until(st.Temporary[0].Kept) != 10*time.Hour {
			t.Errorf("handed over: %v", st.Temporary[0].Kept)
		}
		_ = l.Store.Keep(context.Background(), hours(9, false))
		if st := l.state(); time.Until(st.Temporary[0].Kept) != 10*time.Hour {
			t.Errorf("a shorter time has shortened it: %v", st.Temporary[0].Kept)
		}
		l.good(keeper.Request{Release: true})
		if err := l.Store.Keep(context.Background(), hours(10, false)); err != nil || len(l.state().Temporary) > 0 {
			t.Errorf("a revoked one is kept: %v", err)
		}
	})
}

// A promise beyond what a lease can reach does not have it renewed in every round.
func TestPromiseBeyondTheLease(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		far := as(temporary("j-1"), func(t *keeper.Target) {
			t.Lease, t.Until = 24*time.Hour, time.Now().Add(48*time.Hour)
			t.Kept = t.Until
		})
		l.good(keeper.Request{Targets: []keeper.Target{far}})
		l.took()
		renewals := 0
		for range 47 * 4 {
			time.Sleep(15 * time.Minute)
			l.good(keeper.Request{})
			renewals += len(slices.DeleteFunc(writes(l.took()), func(c string) bool { return c != "tag sgr-1-1" }))
		}
		if renewals < 2 || renewals > 4 {
			t.Errorf("renewed %d times in two days", renewals)
		}
	})
}
