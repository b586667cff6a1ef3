package keeper_test

import (
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

func TestSessions(t *testing.T) {
	dir := t.TempDir() + "/state"
	store, err := keeper.OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	if store.Sessions() {
		t.Error("a session without any")
	}
	one, two := flock.New(store.Path(keeper.SessionsLock)), flock.New(store.Path(keeper.SessionsLock))
	for _, l := range []*flock.Flock{one, two} {
		if ok, err := l.TryRLock(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for _, l := range []*flock.Flock{one, two} {
		if !store.Sessions() {
			t.Error("an open session is not seen")
		}
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	if store.Sessions() {
		t.Error("a session that has ended is still seen")
	}
}
