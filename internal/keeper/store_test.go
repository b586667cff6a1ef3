package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func openStore(t *testing.T) *keeper.Store {
	t.Helper()
	dir := filepath.Join(stateDir(t), "a", "state")
	s, err := keeper.OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whoever waits for another program of the same user is told so: that one may be stopped in its terminal.
func TestLockIsWaitedForAloud(t *testing.T) {
	inLab(t, func(l *lab) {
		unlock, err := l.Store.Lock(context.Background())
		if err != nil {
			l.Fatal(err)
		}
		defer unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var said []string
		l.Progress = func(what string) { said = append(said, what) }
		if _, err := l.Round(ctx, keeper.Request{}); !errors.Is(err, context.DeadlineExceeded) {
			l.Errorf("round: %v", err)
		}
		if len(said) != 1 || !strings.Contains(said[0], "waiting for another emr-accessd") {
			l.Errorf("said %q", said)
		}
	})
}

// Who is interrupted is not told that somebody else is in the way.
func TestLockAfterAnInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openStore(t).Lock(ctx); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "another") {
		t.Errorf("lock: %v", err)
	}
}

// A state that is missing, damaged or foreign costs a round and nothing else.
func TestDamagedState(t *testing.T) {
	good := func(l *lab) string {
		b, err := os.ReadFile(l.Store.Path("state.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, damage := range map[string]func(string) string{
		"empty":            func(string) string { return "" },
		"truncated":        func(s string) string { return s[:len(s)/2] },
		"garbage":          func(string) string { return "<html>\x00\xff" },
		"null":             func(string) string { return "null" },
		"another kind":     func(string) string { return `["state"]` },
		"no version":       func(string) string { return `{}` },
		"a newer version":  func(s string) string { return strings.Replace(s, `"version": 1`, `"version": 2`, 1) },
		"huge":             func(s string) string { return s + strings.Repeat(" ", 17<<20) },
		"deep":             func(string) string { return strings.Repeat(`{"places":`, 20000) },
		"a wrong address":  func(s string) string { return strings.Replace(s, `"192.0.2.1/32"`, `"192.0.2.1/99"`, 1) },
		"a year too large": func(s string) string { return strings.Replace(s, `"2000-`, `"20000-`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.good(keeper.Request{})
				was := good(l)
				if err := os.WriteFile(l.Store.Path("state.json"), []byte(damage(was)), 0o600); err != nil {
					t.Fatal(err)
				}
				l.took()
				time.Sleep(time.Minute)
				rep := l.good(keeper.Request{})
				if len(rep.Warnings) != 1 || !strings.Contains(rep.Warnings[0], "state file") {
					t.Errorf("warnings: %q", rep.Warnings)
				}
				l.want("changes", did(rep), "j-1 sg-1 keep 192.0.2.1/32")
				l.want("writes", writes(l.took()))
				// A call of the process that damaged it may still act, and is not remembered: the rules are read again.
				if next := l.state().Status.NextRound.Sub(l.wall()); next <= 0 || next > sgsync.W+sgsync.Sigma {
					t.Errorf("the next round is due in %v", next)
				}
				l.world.fail = failing("resolve j-1", errThrottled) // which a round that fails does not forget
				l.round(keeper.Request{})
				l.world.fail = nil
				l.good(keeper.Request{})
				if next := l.state().Status.NextRound.Sub(l.wall()); next <= 0 || next > sgsync.W+sgsync.Sigma {
					t.Errorf("after a round that failed, the next one is due in %v", next)
				}
				time.Sleep(time.Minute)
				l.good(keeper.Request{})
				if next := l.state().Status.NextRound.Sub(l.wall()); next < keeper.DriftCheck/2 {
					t.Errorf("afterwards, the next round is due in %v", next)
				}
			})
		})
	}
}

// Values that only a damaged or a tampered file has do not stop the rounds.
func TestStrangeState(t *testing.T) {
	for _, replace := range [][2]string{
		{`"failures": 0`, `"failures": -9223372036854775808`},
		{`"failures": 0`, `"failures": 9223372036854775807`},
		{`"journal": [`, `"journal": [{"do":"dance","id":"","cidr":"","from":""},`},
		{`"temporary": null`, `"temporary": [{"Label":"x","Port":-1,"Until":"2000-01-01T01:00:00Z"}]`},
		{`"next_round": "2000`, `"next_round": "9999`},
		{`"families": {`, `"families": {"ipv4": {"address":"","confirmed":"9999-01-01T00:00:00Z","absent":"9999-01-01T00:00:00Z"},`},
		{`"rules": {`, `"rules": {"sgr-1-1": {"group":"sg-1","cidrs":null},"x":{},`},
	} {
		t.Run(replace[1], func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.good(keeper.Request{})
				b, _ := os.ReadFile(l.Store.Path("state.json"))
				changed := bytes.Replace(b, []byte(replace[0]), []byte(replace[1]), 1)
				if bytes.Equal(b, changed) {
					t.Fatalf("%s is not in the state:\n%s", replace[0], b)
				}
				if err := os.WriteFile(l.Store.Path("state.json"), changed, 0o600); err != nil {
					t.Fatal(err)
				}
				l.world.fail = failing("resolve j-1", errThrottled)
				l.round(keeper.Request{Check: true})
				if n := l.state().Failures; n < 0 || n > 9 {
					t.Errorf("%d failures", n)
				}
				l.world.fail = nil
				l.round(keeper.Request{})
				l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
			})
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1,"failures":-1,"places":{"x":{}},"journal":[{}]}`))
	f.Add([]byte(`{"version":1,"families":{"ipv4":{"address":"192.0.2.1"}},"status":{"report":{"targets":[{"groups":[{}]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := openStore(t)
		if err := os.WriteFile(s.Path("state.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		st, _ := s.Load()
		if err := s.Save(st); err != nil {
			t.Fatalf("what was loaded cannot be saved: %v", err)
		}
		if _, warning := s.Load(); warning != "" {
			t.Errorf("what was saved cannot be loaded: %s", warning)
		}
	})
}

func TestSaveLeavesNothingBehind(t *testing.T) {
	s := openStore(t)
	left := s.Path(".state-123") // of a process that was killed while it saved
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, warning := s.Load()
	if warning != "" {
		t.Error(warning)
	}
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	unlock()
	var names []string
	entries, _ := os.ReadDir(s.Dir())
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := fmt.Sprint(names); got != "[round.lock state.json]" {
		t.Errorf("files: %s", got)
	}
}

// Rounds of one installation come one after the other.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		unlock, err := s.Lock(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := s.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another emr-accessd") {
			t.Errorf("a second lock: %v", err)
		}
		time.AfterFunc(time.Second, unlock)
		start := time.Now()
		again, err := s.Lock(context.Background())
		if err != nil || time.Since(start) < time.Second || time.Since(start) > 1100*time.Millisecond {
			t.Fatalf("a second lock after %v: %v", time.Since(start), err)
		}
		again()
	})
}

func TestDaemonLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		if s.Running() {
			t.Error("running before anything was started")
		}
		release, err := s.Daemon()
		if err != nil {
			t.Fatal(err)
		}
		if !s.Running() {
			t.Error("not running")
		}
		if _, err := s.Daemon(); !errors.Is(err, keeper.ErrRunning) {
			t.Errorf("a second daemon: %v", err)
		}
		release()
		if s.Running() {
			t.Error("running after its end")
		}
	})
}

// A machine without an id gets a random one: made once, kept, and never by a dry run.
func TestMachineWithoutID(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Store.WithoutMachine()
		l.good(keeper.Request{DryRun: true})
		if id := l.state().Installation; id != "" {
			t.Errorf("a dry run has made the id %s", id)
		}
		l.good(keeper.Request{})
		id := l.state().Installation
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			t.Errorf("id %q", id)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		l.took()
		l.good(keeper.Request{})
		if l.state().Installation != id || len(writes(l.took())) > 0 {
			t.Error("the id did not stay")
		}
	})
}

func TestInstallation(t *testing.T) {
	a := keeper.Installation("/home/x/state", "/home/x/state")
	if a == "" {
		t.Skip("this machine has no id")
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(a) {
		t.Errorf("%q has characters that cut a lease key elsewhere", a)
	}
	if b := keeper.Installation("/home/y/state", "/home/y/state"); b != a {
		t.Error("the usual folder's name matters: the id does not come back in a renamed home")
	}
	if b := keeper.Installation("/tmp/other", "/home/x/state"); b == a || b != keeper.Installation("/tmp/other", "/home/z/state") {
		t.Error("another folder is another installation, always the same one")
	}
}

// What the daemon writes beside the rounds is not tidied away by them, and is there whole.
func TestStoreWritesBesideTheRounds(t *testing.T) {
	dir := stateDir(t)
	s, err := keeper.OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if unlock, err := s.Lock(context.Background()); err == nil {
				unlock()
			}
		}
	}()
	for i := range 300 {
		if err := s.WriteJSON("told.json", i); err != nil {
			t.Fatal(err)
		}
		var got int
		if err := s.ReadJSON("told.json", &got); err != nil || got != i {
			t.Fatal(got, err)
		}
	}
	close(stop)
	<-done
}
