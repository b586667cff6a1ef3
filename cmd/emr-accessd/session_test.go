package main

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

// A session renews its target, also one whose time went by while the computer slept, and does not bring back what was revoked.
func TestRenewed(t *testing.T) {
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper.Keeper{Store: store}
	now := time.Now().Round(0)
	target := keeper.Target{Label: "j-2AXXXXXXGAPLF", Nodes: []string{"primary"}, Port: 22, Until: now.Add(40 * time.Minute)}
	has := func(all ...keeper.Target) {
		t.Helper()
		st, _ := store.Load()
		st.Temporary = all
		if err := store.Save(st); err != nil {
			t.Fatal(err)
		}
	}
	has(target)
	if got, ok := renewed(k, target, now); !ok || !got.Until.Equal(now.Add(afterSession)) {
		t.Errorf("one that stands: until %v, %v", got.Until, ok)
	}
	other := target
	other.Port = 2222
	has(other)
	if _, ok := renewed(k, target, now); ok {
		t.Error("a revoked one came back")
	}
	late := now.Add(2 * time.Hour)
	if got, ok := renewed(k, target, late); !ok || !got.Until.Equal(late.Add(afterSession)) {
		t.Errorf("one that ran out: until %v, %v", got.Until, ok)
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
	open := func(label string) (keeper.Target, func()) {
		t.Helper()
		target := keeper.Target{Label: label, Until: time.Now().Add(time.Hour)}
		end, err := new(app).session(t.Context(), k, target, true)
		if err != nil {
			t.Fatal(err)
		}
		return target, end
	}
	want := func(what string, n int) {
		t.Helper()
		if files, _ := filepath.Glob(store.Path("session-*")); len(files) != n {
			t.Errorf("%s: %q, want %d files", what, files, n)
		}
	}
	one, end1 := open("j-1")
	_, end2 := open("j-1")
	_, end3 := open("j-2")
	want("while three sessions to two clusters are open", 2)
	end1()
	end3()
	want("after one of each", 1)
	end2()
	want("after all", 0)

	_, end4 := open("j-1")
	if err := handOver(k, one); err != nil {
		t.Fatal(err)
	}
	end4()
	if handedOver(k, one).IsZero() {
		t.Error("another program's session is forgotten")
	}
	tidySessions(k, one.Until.Add(-time.Second))
	want("while another program may go on", 2)
	tidySessions(k, one.Until)
	want("after its time", 0)
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
				tidySessions(k, time.Now())
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
