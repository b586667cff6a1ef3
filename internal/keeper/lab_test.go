package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/google/go-cmp/cmp"
)

const (
	home   = "192.0.2.1"
	office = "192.0.2.2"
	train  = "192.0.2.3"
)

// lab is a laptop with its networks and a world of AWS.
type lab struct {
	*testing.T
	*keeper.Keeper
	world *world
	net   *network
	ahead atomic.Int64 // by which the wall clock is ahead of monotonic time; negative: it was set back
}

// inLab runs f in a bubble: time passes only while everybody waits.
func inLab(t *testing.T, f func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newLab(t)) })
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, world: newWorld(), net: newNetwork(home)}
	l.world.clocks = l.wall
	l.Keeper = l.laptop(filepath.Join(stateDir(t), "state"))
	l.Keeper.Targets = []keeper.Target{target("j-1")}
	return l
}

// stateDir is a folder in memory, where there is one: each change is synced to disk twice, and the tests make
// thousands.
func stateDir(t *testing.T) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "keeper"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// laptop is a keeper with its own state folder.
func (l *lab) laptop(dir string) *keeper.Keeper {
	l.Helper()
	store, err := keeper.OpenStore(dir, dir)
	if err != nil {
		l.Fatal(err)
	}
	return &keeper.Keeper{Open: l.world.open, Watch: l.net, Store: store, Who: "alice@laptop", Lease: 24 * time.Hour,
		Prefix6: 128, Transient: func(err error) bool { return errors.Is(err, errThrottled) || errors.Is(err, errLost) }, Wall: l.wall}
}

func (l *lab) wall() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// suspend is a sleep of the laptop: monotonic time stands still, the clocks do not.
func (l *lab) suspend(d time.Duration) {
	l.ahead.Add(int64(d))
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	l.world.skew += d
}

func target(cluster string) keeper.Target {
	return keeper.Target{Label: cluster, Cluster: cluster, Nodes: []string{"primary"}, Group: "managed", Port: 22}
}

// as returns a target with changes.
func as(t keeper.Target, change func(*keeper.Target)) keeper.Target {
	change(&t)
	return t
}

// round makes a round that must come to its end.
func (l *lab) round(req keeper.Request) keeper.Report {
	l.Helper()
	rep, err := l.Round(context.Background(), req)
	if err != nil {
		l.Fatalf("round: %v", err)
	}
	return rep
}

// good makes a round in which everything succeeds.
func (l *lab) good(req keeper.Request) keeper.Report {
	l.Helper()
	rep := l.round(req)
	if err := rep.Failed(); err != nil {
		l.Fatalf("round: %v", err)
	}
	return rep
}

// state reads the state file.
func (l *lab) state() *keeper.State {
	l.Helper()
	st, warning := l.Store.Load()
	if warning != "" {
		l.Fatal(warning)
	}
	return st
}

// key is the tag key of this laptop's leases.
func (l *lab) key() string {
	id := l.state().Installation
	if id == "" {
		id = keeper.Installation(l.Store.Dir(), l.Store.Dir())
	}
	return sgsync.Holder{UserID: "AIDAALICE", Installation: id}.Key()
}

// took returns the calls since the last time, and forgets them.
func (l *lab) took() []string {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	calls := l.world.calls
	l.world.calls = nil
	return calls
}

// writes are the calls among these that change something.
func writes(calls []string) []string {
	return slices.DeleteFunc(slices.Clone(calls), func(c string) bool {
		switch strings.Fields(c)[0] {
		case "open", "resolve", "rules", "tagged":
			return true
		}
		return false
	})
}

// rules tells the rules of the world, one a line: "sgr-1-1 192.0.2.1/32:22 alice@laptop", with "mine" for
// leases of this laptop's present installation, else the holders' names.
func (l *lab) rules() []string {
	l.Helper()
	return l.world.tell(map[string]string{l.key(): "mine"})
}

func (w *world) tell(names map[string]string) (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.rules)) {
		r := w.rules[id]
		line := fmt.Sprintf("%s %s:%d", id, r.CIDR, r.FromPort)
		for _, lease := range r.Leases() {
			if name := names[lease.Key]; name != "" {
				line += " " + name
			} else {
				line += " " + lease.Who
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// want compares lines.
func (l *lab) want(what string, got []string, want ...string) {
	l.Helper()
	if diff := cmp.Diff(append([]string{}, want...), append([]string{}, got...)); diff != "" {
		l.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// did tells a report's changes: "j-1 sg-1 add 192.0.2.1/32".
func did(rep keeper.Report) (lines []string) {
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", t.Target, g.ID, c.Do, c.CIDR))
			}
		}
	}
	return lines
}

// bobs are the tags of a rule that a colleague made; lines are pairs of key and value.
func bobs(until time.Duration) []string {
	h := sgsync.Holder{UserID: "AIDABOB", Installation: "b0b"}
	return []string{sgsync.OwnerTag, "AIDABOB", h.Key(), sgsync.FormatLease(time.Now().Add(until), time.Now(), "bob@desk")}
}

// v4 changes the address.
func (l *lab) v4(s sight) { l.net.be(ipwatch.V4, s) }

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ruleOn puts a rule on another port.
func ruleOn(port int) func(*sgsync.Rule) bool {
	return func(r *sgsync.Rule) bool { r.FromPort, r.ToPort = port, port; return true }
}
