package main

import (
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

// A session renews its target, also one whose time went by while the computer slept, and shortens none.
func TestRenewed(t *testing.T) {
	now := time.Now()
	target := keeper.Target{Label: "j-2AXXXXXXGAPLF", Until: now.Add(40 * time.Minute)}
	for name, tt := range map[string]struct{ left, want time.Duration }{
		"one that stands": {40 * time.Minute, afterSession}, "one that ran out": {-time.Hour, afterSession}, "a longer one": {8 * time.Hour, 8 * time.Hour},
	} {
		target.Until = now.Add(tt.left)
		if got := renewed(target, now).Until.Sub(now); got.Round(time.Second) != tt.want {
			t.Errorf("%s: for %v", name, got)
		}
	}
	target.Until = time.Time{}
	if got := renewed(target, now); !got.Until.IsZero() {
		t.Errorf("one of the configuration ends: %v", got.Until)
	}
}

// How long a temporary target lasts, and for how long its rule is kept whatever session ends.
func TestBegin(t *testing.T) {
	rules := config.Rules{Lease: 24 * time.Hour}
	for name, tt := range map[string]struct {
		f          stay
		life, kept time.Duration
	}{
		"a session":       {stay{}, afterSession, 0},
		"for longer":      {stay{life: 8 * time.Hour}, 8 * time.Hour, 8 * time.Hour},
		"for less":        {stay{life: 30 * time.Minute}, 30 * time.Minute, 30 * time.Minute},
		"kept":            {stay{keep: true}, 24 * time.Hour, 24 * time.Hour},
		"connected again": {stay{life: 8 * time.Hour, again: true}, afterSession, 0},
	} {
		now := time.Now()
		got := tt.f.begin(keeper.Target{Until: now.Add(-time.Hour), Kept: now.Add(time.Minute)}, rules)
		kept := time.Duration(0)
		if !got.Kept.IsZero() {
			kept = got.Kept.Sub(now).Round(time.Minute)
		}
		if life := got.Until.Sub(now).Round(time.Minute); life != tt.life || kept != tt.kept {
			t.Errorf("%s: for %v, kept for %v", name, life, kept)
		}
	}
	if got := (stay{life: time.Hour}).begin(keeper.Target{}, rules); !got.Until.IsZero() || !got.Kept.IsZero() {
		t.Errorf("one of the configuration: %+v", got)
	}
}

// The last session to a cluster gives back its own rule, also where the state knows it no more, and what sessions to other
// nodes have left.
func TestToGiveBack(t *testing.T) {
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	configured := keeper.Target{Label: "j-1", Port: 8443, Until: now.Add(-time.Hour)} // once it was a session's
	k := &keeper.Keeper{Store: store, Targets: []keeper.Target{configured}}
	mine := keeper.Target{Label: "j-1", Port: 22, Until: now.Add(time.Hour)}
	core, longer, other := mine, mine, mine
	core.Nodes, core.Until = []string{"core"}, now.Add(2*time.Hour)
	longer.Until = now.Add(2 * time.Hour)
	other.Label = "j-2"
	places := func(ts ...keeper.Target) map[string]keeper.Remembered {
		m := map[string]keeper.Remembered{}
		for i, t := range ts {
			m[strconv.Itoa(i)] = keeper.Remembered{Target: t}
		}
		return m
	}
	for name, st := range map[string]*keeper.State{
		"known":                           {Temporary: []keeper.Target{longer, core, other}, Places: places(mine, core, other)},
		"forgotten":                       {Temporary: []keeper.Target{core, other}},
		"all slept past their time":       {Places: places(mine, core, other)},
		"one is in the configuration now": {Temporary: []keeper.Target{core}, Places: places(configured)},
	} {
		if got, want := toGiveBack(k, st, mine), []keeper.Target{mine, core}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: given back: %+v, want %+v", name, got, want)
		}
	}
}

// Each cluster leaves no files behind for ever, and none is taken away that a session still needs.
func TestSessionFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps a file that is open, and so the locks")
	}
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper.Keeper{Store: store}
	open := func(label string) func() {
		t.Helper()
		end, err := new(app).session(t.Context(), k, keeper.Target{Label: label, Until: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	want := func(what string, n int) {
		t.Helper()
		if files, _ := filepath.Glob(store.Path("session-*")); len(files) != n {
			t.Errorf("%s: %q, want %d files", what, files, n)
		}
	}
	end1, end2, end3 := open("j-1"), open("j-1"), open("j-2")
	want("while three sessions to two clusters are open", 2)
	end1()
	end3()
	want("after one of each", 1)
	end2()
	want("after all", 0)
}

// Who begins a session while another one tidies holds a lock that counts.
func TestSessionBesideTidying(t *testing.T) {
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper.Keeper{Store: store}
	path := sessionPath(k, keeper.Target{Label: "j-1"}) + ".lock"
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				tidySessions(k)
			}
		}
	}()
	for range 100 {
		lock, err := lockSession(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if other := flock.New(path); !inPlace(lock) {
			t.Fatal("the lock of a session was tidied away")
		} else if alone, err := other.TryLock(); err != nil || alone {
			t.Fatalf("another one is alone: %v, %v", alone, err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-done
}

// Sessions to several clusters end at once, as when a terminal's tabs are closed: each is the last one of its cluster, and holds the
// file that the next session will lock.
func TestSessionsEndTogether(t *testing.T) {
	dir := t.TempDir()
	st, err := keeper.OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper.Keeper{Store: st}
	for range 200 {
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 3 {
			lock, err := lockSession(t.Context(), sessionPath(k, keeper.Target{Label: strconv.Itoa(i)})+".lock")
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { // as in the func that session returns
				<-start
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				defer tidySessions(k)
				_ = lock.Unlock()
				if !lastSession(lock) {
					t.Errorf("session %d is not the last", i)
				} else if !inPlace(lock) {
					t.Errorf("session %d holds a file that is gone", i)
				}
				_ = lock.Unlock()
			})
		}
		close(start)
		wg.Wait()
	}
}
