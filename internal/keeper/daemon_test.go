package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// An address that is not confirmed is asked for again, and followed when it is.
func TestDaemonUnsureAddress(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(sight{state: ipwatch.Conflict})
		d.hint(ipwatch.HintLink)
		d.sleep(5 * time.Second)
		l.v4(at(office))
		d.sleep(keeper.UnsureRecheck)
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

// The loop ends at once, whatever it is at.
func TestDaemonStops(t *testing.T) {
	for name, busy := range map[string]func(*daemon){
		"idle": func(d *daemon) { d.sleep(time.Minute) },
		"settling": func(d *daemon) {
			d.hint(ipwatch.HintLink)
			d.sleep(100 * time.Millisecond)
		},
		"hanging call": func(d *daemon) {
			d.world.fail = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
			d.sleep(20 * time.Minute)
		},
		"hanging write": func(d *daemon) {
			d.world.fail = func(ctx context.Context, call string) error {
				if strings.HasPrefix(call, "modify") {
					<-ctx.Done()
				}
				return ctx.Err()
			}
			d.v4(at(office))
			d.hint(ipwatch.HintTimer)
			d.sleep(time.Second)
		},
		"asking for the address": func(d *daemon) {
			d.net.slow[ipwatch.V4] = time.Hour
			d.hint(ipwatch.HintTimer)
			d.sleep(time.Second)
		},
		"between passes": func(d *daemon) {
			d.world.fail = failing("modify", errThrottled)
			d.v4(at(office))
			d.hint(ipwatch.HintTimer)
			d.sleep(1500 * time.Millisecond)
		},
		"backing off": func(d *daemon) {
			d.world.fail = failing("open", errBroken)
			d.sleep(20 * time.Minute)
		},
		"waiting for a command": func(d *daemon) {
			unlock, err := d.Store.Lock(context.Background())
			if err != nil {
				d.Fatal(err)
			}
			d.Cleanup(unlock)
			d.hint(ipwatch.HintTimer)
			d.sleep(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				d := l.run()
				d.sleep(time.Minute)
				busy(d)
				d.stop()
				if release, err := l.Store.Daemon(); err != nil {
					t.Error(err)
				} else {
					release()
				}
			})
		})
	}
}

func TestSecondDaemon(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		second := *l.Keeper
		if err := second.Run(context.Background(), nil); !errors.Is(err, keeper.ErrRunning) {
			t.Errorf("a second daemon: %v", err)
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
			l.slept = -back
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
		l.slept, l.world.skew = 13*time.Hour, 13*time.Hour
		d.hint(ipwatch.HintWake)
		d.sleep(time.Second)
		r := d.rounds()
		if len(r) != n+1 || r[n] != 5*time.Minute+keeper.SettleQuiet {
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
			if call == "rules sg-1" && l.slept == 0 {
				l.slept, l.world.skew = time.Hour, time.Hour
			}
			return nil
		}
		l.good(keeper.Request{})
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1", "rules sg-1", "modify sgr-1-1 192.0.2.2/32")
	})
}

// What goes wrong is told once, not every half minute.
func TestDaemonLogs(t *testing.T) {
	var out bytes.Buffer
	lines := func(what string) int {
		n := strings.Count(out.String(), what)
		out.Reset()
		return n
	}
	inLab(t, func(l *lab) {
		l.Log = slog.New(slog.NewTextHandler(&out, nil))
		l.Targets = nil
		d := l.run()
		d.ticks(time.Hour)
		if n := lines("level=ERROR"); n != 1 {
			t.Errorf("no target at all was told %d times in an hour", n)
		}
		d.stop()
	})
	inLab(t, func(l *lab) {
		l.Log = slog.New(slog.NewTextHandler(&out, nil))
		if err := l.Store.Save(&keeper.State{Version: 99}); err != nil { // a warning of the first round
			t.Fatal(err)
		}
		d := l.run()
		d.ticks(10 * time.Minute)
		if n := lines("state file"); n != 1 {
			t.Errorf("a warning was told %d times in ten minutes", n)
		}
		l.v4(at(office))
		d.ticks(time.Minute)
		if s := out.String(); strings.Count(s, "rule changed") != 1 || !strings.Contains(s, "192.0.2.2/32") || !strings.Contains(s, "do=move") {
			t.Errorf("log of a move:\n%s", s)
		}
		out.Reset()
		l.world.fail = failing("rules", errBroken)
		d.ticks(30 * time.Minute)
		if n := lines("target failed"); n == 0 || n > 12 {
			t.Errorf("a failure was told %d times", n)
		}
		d.stop()
	})
}

// Rounds of a command and of the daemon exclude each other.
func TestCommandBesideDaemon(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.fail = func(ctx context.Context, call string) error {
			if strings.HasPrefix(call, "authorize") {
				time.Sleep(3 * time.Second)
			}
			return nil
		}
		d := l.run()
		command := *l.Keeper
		if _, err := command.Round(context.Background(), keeper.Request{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w := writes(slices.Clone(l.took())); len(w) != 1 {
			t.Errorf("writes: %q", w)
		}
		d.stop()
	})
}
