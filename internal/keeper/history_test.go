package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// told tells the history, one record a line.
func (l *lab) told() (lines []string) {
	l.Helper()
	recs, skipped, err := l.Store.History(time.Time{}, 0)
	if err != nil || skipped > 0 {
		l.Fatalf("%d lines skipped, %v", skipped, err)
	}
	for _, r := range recs {
		line := r.By + " " + r.Outcome
		for _, a := range r.Addresses {
			line += fmt.Sprintf(" [%s %s>%s %s]", a.Family, a.From, a.To, a.State)
		}
		for _, c := range r.Changes {
			line += fmt.Sprintf(" %s %s %s", c.Do, c.Rule, c.CIDR)
		}
		if r.Error != "" {
			line += " " + r.Error
		}
		if len(r.Lost) > 0 {
			line += fmt.Sprint(" lost ", r.Lost)
		}
		lines = append(lines, line)
	}
	return lines
}

// What is worth an entry gets one, and only that, by whoever made the round.
func TestHistory(t *testing.T) {
	inLab(t, func(l *lab) {
		l.By = "sync"
		l.good(keeper.Request{DryRun: true})
		l.want("after a plan", l.told())
		l.good(keeper.Request{})
		l.good(keeper.Request{}) // nothing new
		l.v4(at(office))
		l.good(keeper.Request{})
		l.world.failWith(func(context.Context, string) error { return errBroken })
		l.round(keeper.Request{})
		l.round(keeper.Request{}) // the same failure
		l.world.failWith(func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "resolve") {
				return errors.New("another one")
			}
			return nil
		})
		l.round(keeper.Request{})
		l.world.failWith(nil)
		l.good(keeper.Request{})
		l.v4(sight{state: ipwatch.Conflict})
		l.good(keeper.Request{})
		l.good(keeper.Request{})
		l.v4(at(office))
		l.good(keeper.Request{})
		if err := l.Store.Pause(context.Background(), keeper.Pause{Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Store.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
		l.By = "revoke"
		l.good(keeper.Request{Release: true})
		l.want("history", l.told(),
			"sync changed [ipv4 >192.0.2.1 confirmed] add sgr-1-1 192.0.2.1/32",
			"sync changed [ipv4 192.0.2.1>192.0.2.2 confirmed] move sgr-1-1 192.0.2.2/32",
			"sync failed broken for good",
			"sync failed another one",
			"sync recovered",
			"sync unknown [ipv4 192.0.2.2> conflict]",
			"sync unchanged [ipv4 192.0.2.2>192.0.2.2 confirmed]",
			"pause paused",
			"resume resumed",
			"revoke changed remove sgr-1-1 192.0.2.2/32")
	})
}

// A daemon's entry says what made it look, and how long each step took since then.
func TestHistoryTimes(t *testing.T) {
	inLab(t, func(l *lab) {
		l.By = "run"
		d := l.run()
		d.sleep(time.Minute)
		l.world.failWith(func(_ context.Context, call string) error {
			if !strings.HasPrefix(call, "open") { // others may wait for it at a mutex, which stops the time of the bubble
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		})
		l.v4(at(office))
		l.net.delay(ipwatch.V4, 30*time.Millisecond)
		d.hints <- ipwatch.Hint{Kind: ipwatch.HintAddress, Reason: "wlan0 has another address", At: time.Now().Add(-250 * time.Millisecond)}
		d.sleep(time.Minute)
		d.stop()
		recs, _, err := l.Store.History(time.Time{}, 0)
		if err != nil || len(recs) < 2 {
			t.Fatalf("%v %v", recs, err)
		}
		first, r := recs[0], recs[1]
		if first.Why != "the daemon has started" || r.Why != "wlan0 has another address" || r.By != "run" {
			t.Errorf("%+v\n%+v", first, r)
		}
		// rules and modify are behind each other, and behind the look at the address; the cluster may be known.
		if m := r.MS; m.Noticed < 250 || m.Noticed > 300 || m.Known < m.Noticed+30 || m.Known > m.Noticed+150 || m.Written < m.Known+200 || m.Written > m.Known+320 || m.Total < m.Written {
			t.Errorf("%+v", m)
		}
	})
}

// A rule that somebody else takes away again and again is noted; what this program takes away itself is not.
func TestHistoryLost(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		for i := range keeper.LostOften + 2 {
			time.Sleep(time.Hour)
			l.world.edit(fmt.Sprintf("sgr-1-%d", i+1), func(*sgsync.Rule) bool { return false })
			l.good(keeper.Request{})
		}
		if n := len(l.state().Lost["sg-1"]); n != keeper.LostOften+1 {
			t.Errorf("%d times are remembered", n)
		}
		if got := l.told(); len(got) != keeper.LostOften+3 || got[1] != "emr-accessd changed add sgr-1-2 192.0.2.1/32 lost [sgr-1-1]" {
			t.Errorf("%q", got)
		}
		time.Sleep(keeper.LostWindow + time.Hour)
		l.v4(at(office))
		l.good(keeper.Request{})
		if n := len(l.state().Lost); n != 0 {
			t.Errorf("%d groups are remembered for ever", n)
		}
		l.good(keeper.Request{Release: true})
		for _, line := range l.told()[keeper.LostOften+3:] {
			if strings.Contains(line, "lost") {
				t.Error(line)
			}
		}
	})
}

func historyStore(t *testing.T) *keeper.Store {
	dir := stateDir(t)
	s, err := keeper.OpenStore(filepath.Join(dir, "state"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Years of changes take two megabytes, and are read in a moment.
func TestHistoryRotates(t *testing.T) {
	s := historyStore(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const n = 12000
	for i := range n {
		rec := keeper.Record{At: begin.Add(time.Duration(i) * time.Hour), By: "run", Outcome: keeper.OutcomeChanged, Why: strings.Repeat("x", 150)}
		if err := s.Log(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(s.Path("history*"))
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Size() > 1<<20 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info, err)
		}
	}
	recs, skipped, err := s.History(time.Time{}, 0)
	if err != nil || skipped != 0 || len(recs) < 4000 {
		t.Fatalf("%d records, %d skipped, %v", len(recs), skipped, err)
	}
	for i, r := range recs {
		if want := begin.Add(time.Duration(n-len(recs)+i) * time.Hour); !r.At.Equal(want) {
			t.Fatalf("record %d is of %v, want %v", i, r.At, want)
		}
	}
	if recs, _, _ = s.History(begin.Add((n-10)*time.Hour), 0); len(recs) != 10 {
		t.Errorf("%d records since", len(recs))
	}
	if recs, _, _ = s.History(begin.Add((n-10)*time.Hour), 3); len(recs) != 3 || !recs[2].At.Equal(begin.Add((n-1)*time.Hour)) {
		t.Errorf("the last three: %v", recs)
	}
}

// A line that was cut off costs itself and no other.
func TestHistoryTorn(t *testing.T) {
	s := historyStore(t)
	log := func(why string) {
		if err := s.Log(t.Context(), keeper.Record{At: time.Now(), Why: why}); err != nil {
			t.Fatal(err)
		}
	}
	log("one")
	f, err := os.OpenFile(s.Path("history.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"{}\n", "null\n", "\x00\x00\x00\n", `{"at":"2026-01-02T`} {
		if _, err := f.WriteString(part); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	log("two")
	recs, skipped, err := s.History(time.Time{}, 0)
	if err != nil || len(recs) != 2 || recs[1].Why != "two" || skipped != 4 {
		t.Errorf("%v, %d skipped, %v", recs, skipped, err)
	}
}

// Writers do not mix their lines.
func TestHistoryWriters(t *testing.T) {
	dir := stateDir(t)
	var wg sync.WaitGroup
	for w := range 4 {
		s, err := keeper.OpenStore(dir, dir) // as another process would
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range 25 {
				if err := s.Log(context.Background(), keeper.Record{At: time.Now(), Why: fmt.Sprintf("%d/%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := keeper.OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	recs, skipped, err := s.History(time.Time{}, 0)
	seen := map[string]bool{}
	for _, r := range recs {
		seen[r.Why] = true
	}
	if err != nil || skipped != 0 || len(seen) != 100 {
		t.Errorf("%d records, %d skipped, %v", len(seen), skipped, err)
	}
}

// What others could have written is not shown, and costs no round.
func TestHistoryOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access lists")
	}
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		if err := os.Chmod(l.Store.Path("history.jsonl"), 0o666); err != nil {
			t.Fatal(err)
		}
		if recs, _, err := l.Store.History(time.Time{}, 0); err == nil || len(recs) > 0 {
			t.Errorf("%v %v", recs, err)
		}
		if err := os.Remove(l.Store.Path("history.jsonl")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(l.Store.Path("history.jsonl"), 0o700); err != nil {
			t.Fatal(err)
		}
		l.v4(at(office))
		if rep := l.good(keeper.Request{}); len(rep.Warnings) != 1 || !strings.Contains(rep.Warnings[0], "history") {
			t.Errorf("%q", rep.Warnings)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
	})
}

// A rule that an own call took away before the process was killed was not removed by somebody else, also when the next look at its
// group comes late, and other groups were looked at before.
func TestHistoryOfAKilledRelease(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, target("j-2"))
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		gone := func(call string) bool { return strings.HasPrefix(call, "revoke") }
		dead := false
		var disk []byte
		l.world.lose = func(call string) error {
			if gone(call) && !dead {
				dead = true
				disk, _ = os.ReadFile(l.Store.Path("state.json"))
			}
			return nil
		}
		l.round(keeper.Request{Release: true, Targets: l.Targets[:1]})
		if !dead {
			t.Fatal("nothing was revoked")
		}
		l.world.lose = nil
		if err := os.WriteFile(l.Store.Path("state.json"), disk, 0o600); err != nil { // as it was when the process was killed
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		l.v4(at(office))
		l.good(keeper.Request{Targets: l.Targets[1:]})
		l.good(keeper.Request{})
		if lost := l.state().Lost; len(lost) > 0 {
			t.Errorf("removed by somebody else: %v", lost)
		}
		for _, line := range l.told() {
			if strings.Contains(line, "lost") {
				t.Error(line)
			}
		}
	})
}
