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
)

// The loop ends at once, whatever it is at.
func TestDaemonStops(t *testing.T) {
	for name, busy := range map[string]func(*daemon){
		"idle": func(d *daemon) { d.sleep(time.Minute) },
		"waiting for the next look": func(d *daemon) {
			for range 8 {
				d.hint(ipwatch.HintLink)
				d.sleep(100 * time.Millisecond)
			}
		},
		"hanging call": func(d *daemon) {
			d.world.failWith(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
			d.sleep(20 * time.Minute)
		},
		"hanging write": func(d *daemon) {
			d.world.failWith(func(ctx context.Context, call string) error {
				if strings.HasPrefix(call, "modify") {
					<-ctx.Done()
				}
				return ctx.Err()
			})
			d.v4(at(office))
			d.hint(ipwatch.HintTimer)
			d.sleep(time.Second)
		},
		"asking for the address": func(d *daemon) {
			d.net.delay(ipwatch.V4, time.Hour)
			d.hint(ipwatch.HintTimer)
			d.sleep(time.Second)
		},
		"between passes": func(d *daemon) {
			d.world.failWith(failing("modify", errThrottled))
			d.v4(at(office))
			d.hint(ipwatch.HintTimer)
			d.sleep(1500 * time.Millisecond)
		},
		"backing off": func(d *daemon) {
			d.world.failWith(failing("open", errBroken))
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
	inLab(t, func(l *lab) { // a warning of each round is not one of each check
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{Targets: []keeper.Target{target("j-2")}})
		l.Log = slog.New(slog.NewTextHandler(&out, nil))
		l.world.fail = failing("rules sg-2", errBroken)
		d := l.run()
		d.ticks(40 * time.Minute)
		if n, rounds := lines("level=WARN"), len(d.rounds())-1; n != rounds || n > 4 {
			t.Errorf("%d warnings in %d rounds", n, rounds)
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
		l.world.failWith(failing("rules", errBroken))
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
