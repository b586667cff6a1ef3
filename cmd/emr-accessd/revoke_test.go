package main

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

// A revoke of everybody's that fails in a region is known to the sessions that are open all the same, and fails.
func TestRevokeAllMineHalfFailed(t *testing.T) {
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	open := flock.New(store.Path(keeper.SessionsLock))
	if ok, err := open.TryRLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer func() { _ = open.Unlock() }()
	down := errors.New("the region is down")
	mine := keeper.Target{Label: "j-1", Cluster: "j-1", Region: "eu-west-1", Nodes: []string{"primary"}, Port: 22}
	k := &keeper.Keeper{Store: store, Targets: []keeper.Target{mine}, Open: func(context.Context, string, string) (keeper.Cloud, error) { return nil, down }}
	rep, err := new(app).giveBackAll(t.Context(), k, nil, true, false)
	if err != nil || !errors.Is(rep.Failed(), down) {
		t.Errorf("%v, %v", err, rep.Failed())
	}
	if _, err := k.Round(t.Context(), following(mine)); !errors.Is(err, keeper.ErrRevoked) {
		t.Errorf("a session goes on: %v", err)
	}
}

// Who names a cluster means its sessions on other nodes, ports and profiles too, and nobody else's.
func TestSessionsTo(t *testing.T) {
	store, err := keeper.OpenStore(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	named := keeper.Target{Label: "j-1", Cluster: "j-1", Port: 22, Until: time.Now().Add(time.Hour)}
	port, profile, group, other := named, named, named, named
	port.Port, profile.Profile, group.Group = 2222, "work", "additional"
	other.Label, other.Cluster = "j-2", "j-2"
	unlock, err := store.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, _ := store.Load()
	st.Temporary = []keeper.Target{named, port, profile, other}
	over, kept := group, other // its time is over; and one of the configuration
	over.Until, kept.Label, kept.Until = time.Now().Add(-time.Hour), named.Label, time.Time{}
	st.Places = map[string]keeper.Remembered{"over": {Target: over}, "kept": {Target: kept}}
	if err := store.Save(st); err != nil {
		t.Fatal(err)
	}
	unlock()
	var got []string
	for _, o := range sessionsTo(store, []keeper.Target{named}) {
		switch {
		case o.Same(port):
			got = append(got, "port")
		case o.Same(profile):
			got = append(got, "profile")
		case o.Same(group):
			got = append(got, "group")
		default:
			got = append(got, o.Label)
		}
	}
	if want := []string{"port", "profile", "group"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
