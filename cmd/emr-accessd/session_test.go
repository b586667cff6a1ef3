package main

import (
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
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
