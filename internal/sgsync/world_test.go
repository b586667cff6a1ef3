package sgsync_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const group = "sg-0123456789abcdef0"

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func pfxs(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, pfx(s))
	}
	return ps
}

// world is a group whose rules act like EC2's: one rule for a tuple, ids that never come back.
type world struct {
	now   time.Time
	rules map[string]Rule
	seq   int
	calls []string
	// check runs around each write.
	before, after func()
	fail          func(call string) error
}

func newWorld() *world { return &world{now: t0, rules: map[string]Rule{}} }

func (w *world) put(r Rule) string {
	w.seq++
	r.ID, r.Group = fmt.Sprintf("sgr-%04d", w.seq), group
	if r.Protocol == "" {
		r.Protocol = "tcp"
	}
	if r.FromPort == 0 && r.Protocol == "tcp" {
		r.FromPort, r.ToPort = 22, 22
	}
	r.Tags = maps.Clone(r.Tags)
	w.rules[r.ID] = r
	return r.ID
}

func (w *world) view() View {
	v := View{Group: group, AWS: w.now, Sent: w.now}
	for _, id := range slices.Sorted(maps.Keys(w.rules)) {
		r := w.rules[id]
		r.Tags = maps.Clone(r.Tags)
		v.Rules = append(v.Rules, r)
	}
	return v
}

func (w *world) call(format string, args ...any) (func(), error) {
	name := fmt.Sprintf(format, args...)
	w.calls = append(w.calls, name)
	if w.before != nil {
		w.before()
	}
	if w.fail != nil {
		if err := w.fail(name); err != nil {
			return func() {}, err
		}
	}
	return func() {
		if w.after != nil {
			w.after()
		}
	}, nil
}

func (w *world) taken(port int, p netip.Prefix, but string) bool {
	for id, r := range w.rules {
		if id != but && r.Protocol == "tcp" && r.FromPort == port && r.ToPort == port && r.CIDR == p {
			return true
		}
	}
	return false
}

func (w *world) Authorize(_ context.Context, _ string, n NewRule) (Rule, error) {
	done, err := w.call("authorize %s", n.CIDR)
	if err != nil {
		return Rule{}, err
	}
	defer done()
	if w.taken(n.Port, n.CIDR, "") {
		return Rule{}, ErrDuplicate
	}
	id := w.put(Rule{FromPort: n.Port, ToPort: n.Port, CIDR: n.CIDR, Description: n.Description, Tags: n.Tags})
	return w.rules[id], nil
}

func (w *world) Modify(_ context.Context, _, id string, n NewRule) error {
	done, err := w.call("modify %s %s", id, n.CIDR)
	if err != nil {
		return err
	}
	defer done()
	r, ok := w.rules[id]
	if !ok {
		return ErrGone
	}
	if w.taken(n.Port, n.CIDR, id) {
		return ErrDuplicate
	}
	r.CIDR, r.Description = n.CIDR, n.Description
	w.rules[id] = r
	return nil
}

func (w *world) Revoke(_ context.Context, _, id string) error {
	done, err := w.call("revoke %s", id)
	if err != nil {
		return err
	}
	defer done()
	if _, ok := w.rules[id]; !ok {
		return ErrGone
	}
	delete(w.rules, id)
	return nil
}

func (w *world) Tag(_ context.Context, id, key, value string) error {
	done, err := w.call("tag %s", id)
	if err != nil {
		return err
	}
	defer done()
	r, ok := w.rules[id]
	if !ok {
		return ErrGone
	}
	if _, has := r.Tags[key]; !has && len(r.Tags) >= MaxTags {
		return ErrTagsFull
	}
	r.Tags = maps.Clone(r.Tags)
	if r.Tags == nil {
		r.Tags = map[string]string{}
	}
	r.Tags[key] = value
	w.rules[id] = r
	return nil
}

func (w *world) Untag(_ context.Context, id, key, value string) error {
	done, err := w.call("untag %s", id)
	if err != nil {
		return err
	}
	defer done()
	if r, ok := w.rules[id]; ok && r.Tags[key] == value {
		r.Tags = maps.Clone(r.Tags)
		delete(r.Tags, key)
		w.rules[id] = r
	}
	return nil
}

func me(user, installation string) Me {
	return Me{Holder: Holder{user, installation}, Who: "alice@laptop", Lease: 24 * time.Hour}
}

func knows(addrs ...string) Family { return Family{State: Known, Self: pfxs(addrs...)} }

func wants(v4 Family) Want {
	return Want{Group: group, Complete: true, Ports: []Port{{Port: 22, V4: v4, V6: Family{State: Absent}}}}
}

// round plans and applies until nothing is left to re-plan, as a keeper does.
func (w *world) round(t testing.TB, want Want, m Me) Changes {
	t.Helper()
	for range 5 {
		have := Have{View: w.view()}
		c := Plan(want, have, m, w.now)
		res := Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have, c)
		if res.Err != nil {
			t.Fatalf("apply: %v", res.Err)
		}
		want.NoMove, want.NoJoin = want.NoMove || res.NoMove, res.NoJoin
		if !res.Replan {
			return c
		}
	}
	t.Fatal("no plan stands after five rounds")
	return Changes{}
}
