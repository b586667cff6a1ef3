package keeper_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A new address waits for no look at the cluster: it was found a moment ago. The next round looks again.
func TestEventKnowsThePlace(t *testing.T) {
	t.Run("a cluster", func(t *testing.T) { eventKnowsThePlace(t, func(*keeper.Place, *keeper.Target) {}) })
	t.Run("a pattern", func(t *testing.T) {
		eventKnowsThePlace(t, func(p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.NamePattern = "", "j-1"
			p.Cluster, p.State, p.Clusters = "", "", []string{"j-1", "j-2"}
		})
	})
}

func eventKnowsThePlace(t *testing.T, change func(*keeper.Place, *keeper.Target)) {
	inLab(t, func(l *lab) {
		p := l.world.places["j-1"]
		change(&p, &l.Targets[0])
		l.world.places["j-1"] = p
		d := l.run()
		d.sleep(5 * time.Minute)
		l.took()
		l.v4(at(office))
		d.hint(ipwatch.HintAddress)
		d.sleep(3 * time.Second)
		calls := l.took()
		if n := count(calls, "resolve"); n != 0 || len(writes(calls)) != 1 {
			t.Errorf("%v: want one write, and no look at the cluster before it", calls)
		}
		d.sleep(30 * time.Second)
		if n := count(l.took(), "resolve"); n == 0 {
			t.Error("the cluster was not looked at afterwards")
		}
		d.stop()
	})
}

// justBefore the event; the daemon reads each minute what is due.
const justBefore = 4*time.Minute + 30*time.Second

// Where anything may have changed since, the place is looked up.
func TestEventLooksUpThePlace(t *testing.T) {
	for name, change := range map[string]func(*lab, *keeper.Place, *keeper.Target){
		"it starts":         func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.State = "STARTING" },
		"it ends":           func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.State = "TERMINATING" },
		"a node starts":     func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Nodes[0].State = "BOOTSTRAPPING" },
		"no node yet":       func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Nodes = nil },
		"IPv6 is not known": func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Unclear6 = true },
		"nothing matches": func(_ *lab, p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.NamePattern = "", "j-1"
			p.Nodes, p.Warnings = nil, []string{"no cluster matches"}
		},
		"a group": func(_ *lab, p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.SecurityGroup = "", "j-1"
			*p = keeper.Place{Groups: p.Groups}
		},
		"the clock was put back": func(l *lab, _ *keeper.Place, _ *keeper.Target) {
			time.AfterFunc(justBefore, func() { l.ahead.Store(int64(-time.Hour)) })
		},
		"the computer slept": func(l *lab, _ *keeper.Place, _ *keeper.Target) {
			time.AfterFunc(justBefore, func() { l.suspend(time.Hour) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				p := l.world.places["j-1"]
				change(l, &p, &l.Targets[0])
				l.world.places["j-1"] = p
				d := l.run()
				d.sleep(justBefore)
				l.took()
				l.v4(at(office))
				d.hint(ipwatch.HintAddress)
				d.sleep(3 * time.Second)
				if calls := l.took(); count(calls, "resolve") == 0 {
					t.Errorf("%v: the cluster was not looked at", calls)
				}
				d.stop()
			})
		})
	}
}

// In a crowded account the pauses are long from the start, whatever comes in between, and only the rules are read again.
func TestCrowded(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		var full atomic.Bool
		full.Store(true)
		l.world.failWith(func(_ context.Context, call string) error {
			if full.Load() && strings.HasPrefix(call, "authorize") {
				return errThrottled
			}
			return nil
		})
		d := l.run()
		d.sleep(10 * time.Minute)
		rounds := d.rounds()
		if len(rounds) < 4 || len(rounds) > 10 {
			t.Errorf("%d rounds in 10 minutes: %v", len(rounds), rounds)
		}
		if n := count(l.took(), "resolve"); n != 1 {
			t.Errorf("%d looks at the cluster, want the first", n)
		}
		full.Store(false)
		d.sleep(8 * time.Minute)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		d.stop()
	})
}

// EMR has no answer: the cluster is where it was some hours ago, for the daemon. A command says so instead.
func TestOldPlace(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.world.failWith(failing("resolve", errThrottled))
		d.sleep(5 * time.Hour)
		l.v4(at(office))
		d.hint(ipwatch.HintAddress)
		d.sleep(3 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 "+office+"/32:22 mine")
		if rep := l.state().Status.Report; rep.Failed() != nil || len(rep.Targets[0].Warnings) != 1 || !strings.Contains(rep.Targets[0].Warnings[0], "could not be looked up") {
			t.Errorf("%+v", rep.Targets[0])
		}
		if rep := l.round(keeper.Request{}); rep.Failed() == nil {
			t.Error("a command takes an old place")
		}
		d.sleep(8 * time.Hour)
		l.v4(at(train))
		d.hint(ipwatch.HintAddress)
		d.sleep(3 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 "+office+"/32:22 mine")
		l.world.failWith(nil)
		d.sleep(10 * time.Minute)
		l.want("rules", l.rules(), "sgr-1-1 "+train+"/32:22 mine")
		d.stop()
	})
}

// What could not be tidied for others makes no round fail: it would be made again and again, and everybody in the group would.
func TestTidyingFails(t *testing.T) {
	inLab(t, func(l *lab) {
		gone := sgsync.Holder{UserID: "AIDADAVE", Installation: "d"}
		l.world.put("sg-1", "192.0.2.99/32", sgsync.OwnerTag, "AIDADAVE", gone.Key(), sgsync.FormatLease(time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour), "dave@gone"))
		var full atomic.Bool
		full.Store(true)
		l.world.failWith(func(_ context.Context, call string) error {
			if full.Load() && strings.HasPrefix(call, "revoke") {
				return errThrottled
			}
			return nil
		})
		l.good(keeper.Request{})
		if st := l.state(); st.Failures != 0 || st.Status.NextRound.Before(time.Now()) {
			t.Errorf("the round counts as failed: %+v", st.Status)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
	})
}

func count(calls []string, prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return !strings.HasPrefix(c, prefix) }))
}

// AWS is down for long. Who waits for access tries each minute; who has it leaves the room to the others.
func TestOutage(t *testing.T) {
	for name, tt := range map[string]struct {
		move        bool
		least, most int
	}{"waiting": {true, 50, 75}, "not waiting": {false, 4, 8}} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				d := l.run()
				d.sleep(20 * time.Minute)
				l.world.failWith(failing("rules", errThrottled))
				if tt.move {
					l.v4(at(office))
					d.hint(ipwatch.HintAddress)
				}
				d.sleep(40 * time.Minute) // until the pauses have grown
				before := len(d.rounds())
				d.sleep(time.Hour)
				if n := len(d.rounds()) - before; n < tt.least || n > tt.most {
					t.Errorf("%d rounds in an hour, want %d to %d", n, tt.least, tt.most)
				}
				d.stop()
			})
		})
	}
}
