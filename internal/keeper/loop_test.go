package keeper_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// daemon is a laptop whose loop runs.
type daemon struct {
	*lab
	hints  chan ipwatch.Hint
	cancel context.CancelFunc
	done   chan error
	start  time.Time
}

func (l *lab) run() *daemon {
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{lab: l, hints: make(chan ipwatch.Hint, 16), cancel: cancel, done: make(chan error, 1), start: time.Now()}
	go func() { d.done <- d.Keeper.Run(ctx, d.hints) }()
	synctest.Wait()
	return d
}

// stop ends the loop, which must return at once.
func (d *daemon) stop() {
	d.Helper()
	start := time.Now()
	d.cancel()
	if err := <-d.done; err != nil || time.Since(start) > 0 {
		d.Errorf("the loop ended %v after it was told to, with %v", time.Since(start), err)
	}
}

func (d *daemon) hint(kind ipwatch.HintKind) {
	d.hints <- ipwatch.Hint{Kind: kind, At: time.Now()}
}

// sleep lets time pass, and the loop come to rest.
func (d *daemon) sleep(t time.Duration) {
	time.Sleep(t)
	synctest.Wait()
}

// ticks sends timer hints for a while, as the daemon's own timer does.
func (d *daemon) ticks(t time.Duration) {
	for range t / (30 * time.Second) {
		d.sleep(30 * time.Second)
		d.hint(ipwatch.HintTimer)
	}
	synctest.Wait()
}

// instants are when calls with a prefix were made, since the start.
func (d *daemon) instants(prefix string) (at []time.Duration) {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	for _, s := range d.world.times {
		if strings.HasPrefix(s.call, prefix) {
			at = append(at, s.at.Sub(d.start))
		}
	}
	return at
}

// rounds are the instants of rounds that called AWS.
func (d *daemon) rounds() []time.Duration { return d.instants("open") }

func (d *daemon) wantRounds(want ...time.Duration) {
	d.Helper()
	if got := d.rounds(); !slices.Equal(got, want) {
		d.Errorf("rounds at %v, want %v", got, want)
	}
}

// near reports whether a jittered pause is what it should be.
func near(got, want time.Duration) bool { return got >= want*9/10 && got <= want*11/10 }

func TestLoopSteadyState(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		d.wantRounds(0, sgsync.Sigma) // the start, and a look at what it wrote
		asked := len(d.questions())
		d.ticks(10 * time.Minute)
		d.wantRounds(0, sgsync.Sigma)
		if n := len(d.questions()) - asked; n != 20 {
			t.Errorf("the address was asked for %d times in 20 ticks", n)
		}
		d.ticks(35 * time.Minute)
		r := d.rounds()
		if len(r) != 4 && len(r) != 5 || !near(r[2]-r[1], keeper.DriftCheck) || !near(r[3]-r[2], keeper.DriftCheck) {
			t.Errorf("rounds at %v", r)
		}
		l.want("writes", writes(l.took()), "authorize sg-1 192.0.2.1/32 22")
		d.stop()
	})
}

// The loop's first act is a whole round, even when hints are waiting already.
func TestLoopStart(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.took()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		hints := make(chan ipwatch.Hint, 1)
		hints <- ipwatch.Hint{Kind: ipwatch.HintLink}
		done := make(chan error)
		go func() { done <- l.Keeper.Run(ctx, hints) }()
		synctest.Wait()
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1")
		cancel()
		<-done
	})
}

// A hint has settled already: the loop looks at once, and a hint without a change costs no AWS call.
func TestLoopFollowsHints(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(at(office))
		d.hint(ipwatch.HintTimer)
		d.sleep(0)
		if got := d.instants("modify"); !slices.Equal(got, []time.Duration{time.Minute}) {
			t.Errorf("moved at %v", got)
		}
		d.hint(ipwatch.HintLink) // and an event with the same address is no round
		d.sleep(time.Second)
		d.wantRounds(0, sgsync.Sigma, time.Minute)
		d.stop()
	})
}

// Failures back off by a table; an event cuts the pause short, a mere tick does not.
func TestLoopBacksOff(t *testing.T) {
	for name, breaks := range map[string]func(*lab){
		"no sign-in":    func(l *lab) { l.world.failWith(failing("open", errBroken)) },
		"throttled":     func(l *lab) { l.world.failWith(failing("rules", errThrottled)) },
		"write refused": func(l *lab) { l.world.failWith(failing("authorize", sgsync.ErrDenied)) },
		"no network": func(l *lab) {
			l.v4(sight{state: ipwatch.Offline})
			l.world.failWith(failing("open", errBroken))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				breaks(l)
				d := l.run()
				d.ticks(30 * time.Minute)
				r := d.rounds()
				for i, want := range []time.Duration{1, 2, 4, 8, 15, 30, 60, 120, 300, 300} {
					if name == "throttled" { // another try may help, and somebody is shut out
						want = min(want, 60)
					}
					if i+1 >= len(r) || !near(r[i+1]-r[i], want*time.Second) {
						t.Fatalf("rounds at %v: pause %d is not about %v", r, i, want*time.Second)
					}
				}
				d.sleep(time.Until(l.state().Status.NextRound) + 10*time.Second) // none is due for a while
				n := len(d.rounds())
				d.hint(ipwatch.HintTimer)
				d.sleep(ipwatch.LookSpacing)
				if len(d.rounds()) != n {
					t.Error("a tick cut the pause short")
				}
				now := time.Since(d.start)
				d.hint(ipwatch.HintLink)
				d.sleep(ipwatch.LookSpacing)
				if r := d.rounds(); len(r) != n+1 || r[n] < now || r[n] > now+ipwatch.LookSpacing {
					t.Errorf("an event at %v made rounds at %v", now, r[n:])
				}
				if st := l.state(); st.Status.LastError == "" || st.Failures == 0 {
					t.Errorf("status: %+v", st.Status)
				}
				l.world.failWith(nil)
				l.v4(at(home))
				l.world.cluster("j-1", "sg-1", "203.0.113.10", "")
				d.hint(ipwatch.HintLink)
				d.sleep(time.Minute) // the looks of before may have used up what there is in a minute
				if st := l.state(); st.Status.LastError != "" || st.Failures != 0 {
					t.Errorf("status: %+v", st.Status)
				}
				l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
				d.stop()
			})
		})
	}
}

// A round that fails slowly pauses all the same.
func TestLoopPausesAfterSlowFailures(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.fail = func(ctx context.Context, call string) error {
			time.Sleep(20 * time.Second)
			return errors.New("timeout")
		}
		d := l.run()
		d.sleep(2 * time.Minute)
		if r := d.rounds(); len(r) < 4 || !near(r[3]-r[2]-20*time.Second, 4*time.Second) {
			t.Errorf("rounds at %v", r)
		}
		d.cancel()
		<-d.done
	})
}

// A target that fails for good does not keep another from being looked at in its time.
func TestLoopOneTargetFails(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.Targets = append(l.Targets, target("j-none"))
		d := l.run()
		d.sleep(sgsync.D + 2*sgsync.ClockGrain) // AWS's clock has whole seconds
		if r := d.rounds(); r[len(r)-1] < sgsync.D {
			t.Errorf("rounds at %v, none at firm-from (%v)", r, sgsync.D)
		}
		d.stop()
	})
}
