package sgsync_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/google/go-cmp/cmp"
)

// The tests of this file hold what mutation testing (bench/mutate) found no other test to hold, of what is written
// and of what is remembered of it.

// Which own write is laid over a read, and how: by kind, by whether its answer came, and by what the read shows.
func TestOverlayCases(t *testing.T) {
	const id = "sgr-1"
	key := alice.Key()
	live, ended := FormatLease(t0.Add(time.Hour), t0, "x"), FormatLease(t0.Add(-time.Hour), t0.Add(-2*time.Hour), "x")
	read := func(mine string) View {
		r := rule("203.0.113.7/32", bob, bob, day, -1)
		r.ID, r.Group = id, group
		if mine != "" {
			r.Tags[key] = mine
		}
		return View{Group: group, AWS: t0, Sent: t0, Rules: []Rule{r}}
	}
	for _, tt := range []struct {
		name  string
		mine  string // the lease of mine that is read
		write Write
		lease string // the lease after it
		cidr  string // "" = the rule is not seen
	}{
		{"a renewal", ended, Write{Do: Renew, ID: id, Key: key, Value: live}, live, "203.0.113.7/32"},
		{"a join", "", Write{Do: Join, ID: id, Key: key, Value: live}, live, "203.0.113.7/32"},
		{"a leave", live, Write{Do: Leave, ID: id, Key: key, Value: "another"}, "", "203.0.113.7/32"},
		{"a purge of what is read", ended, Write{Do: Purge, ID: id, Key: key, Value: ended}, "", "203.0.113.7/32"},
		{"a purge of something else", live, Write{Do: Purge, ID: id, Key: key, Value: ended}, live, "203.0.113.7/32"},
		{"a purge of a rule that is not read", live, Write{Do: Purge, ID: "sgr-2", Key: key, Value: ""}, live, "203.0.113.7/32"},
		{"a removal", live, Write{Do: Remove, ID: id}, "", ""},
		{"a move", live, Write{Do: Move, ID: id, From: pfx("203.0.113.7/32"), CIDR: pfx("192.0.2.1/32"), Key: key}, live, "192.0.2.1/32"},
		{"a move, and moved on by somebody since", live, Write{Do: Move, ID: id, From: pfx("203.0.113.8/32"), CIDR: pfx("192.0.2.1/32"), Key: key, Value: live}, live, "203.0.113.7/32"},
		{"a move of a rule that is not read", live, Write{Do: Move, ID: "sgr-2", CIDR: pfx("192.0.2.1/32"), Key: key}, live, "203.0.113.7/32"},
		{"a join does not move", live, Write{Do: Join, ID: id, From: pfx("203.0.113.7/32"), CIDR: pfx("192.0.2.1/32"), Key: key, Value: live}, live, "203.0.113.7/32"},
		{"an addition keeps the lease that is read", live, Write{Do: Add, ID: id, CIDR: pfx("203.0.113.7/32"), Tags: map[string]string{key: ended}}, live, "203.0.113.7/32"},
		{"perhaps moved", live, Write{Do: Move, ID: id, Key: key, Maybe: true}, "", "203.0.113.7/32"},
		{"perhaps removed", live, Write{Do: Remove, ID: id, Key: key, Maybe: true}, "", "203.0.113.7/32"},
		{"perhaps left", live, Write{Do: Leave, ID: id, Key: key, Maybe: true}, "", "203.0.113.7/32"},
		{"perhaps joined, read as live", live, Write{Do: Join, ID: id, Key: key, Maybe: true}, live, "203.0.113.7/32"},
		{"perhaps joined, read as ended", ended, Write{Do: Join, ID: id, Key: key, Maybe: true}, "", "203.0.113.7/32"},
		{"perhaps renewed, read as ended", ended, Write{Do: Renew, ID: id, Key: key, Value: live, Maybe: true}, ended, "203.0.113.7/32"},
		{"perhaps purged", ended, Write{Do: Purge, ID: id, Key: key, Value: ended, Maybe: true}, ended, "203.0.113.7/32"},
		{"perhaps removed, no lease of mine known", live, Write{Do: Remove, ID: id, Maybe: true}, live, "203.0.113.7/32"},
		{"perhaps added", live, Write{Do: Add, ID: id, CIDR: pfx("192.0.2.1/32"), Key: key, Maybe: true}, live, "203.0.113.7/32"},
		{"perhaps moved, a rule that is not read", live, Write{Do: Move, ID: "sgr-2", Key: key, Maybe: true}, live, "203.0.113.7/32"},
	} {
		v := read(tt.mine)
		before := maps.Clone(v.Rules[0].Tags)
		tt.write.At, tt.write.Group = t0, group
		got := Overlay(v, []Write{tt.write})
		if len(got.Rules) > 1 || (tt.cidr == "") != (len(got.Rules) == 0) {
			t.Errorf("%s: %+v", tt.name, got.Rules)
			continue
		}
		if tt.cidr != "" && (got.Rules[0].Tags[key] != tt.lease || got.Rules[0].CIDR != pfx(tt.cidr) || got.Rules[0].Tags[bob.Key()] == "") {
			t.Errorf("%s: lease %q, %s; want %q, %s", tt.name, got.Rules[0].Tags[key], got.Rules[0].CIDR, tt.lease, tt.cidr)
		}
		if !maps.Equal(before, v.Rules[0].Tags) {
			t.Errorf("%s: the read itself was changed", tt.name)
		}
	}
	// A clock that was set back by no more than σ leaves a write in force.
	w := Write{At: t0.Add(Sigma), Do: Remove, Group: group, ID: id}
	if got := Recent([]Write{w}, t0); len(got) != 1 {
		t.Error("a write from σ ahead is forgotten")
	}
	if got := Recent([]Write{w}, t0.Add(-time.Nanosecond)); len(got) != 0 {
		t.Error("a write from further ahead is believed")
	}
}

func TestParseLeaseAtItsBorders(t *testing.T) {
	const at = "2026-11-22T10:00:00Z"
	for _, tt := range []struct {
		key, value string
		holder     Holder
		who        string
		bad        string // in the error
	}{
		{"AIDA-a1", at + " " + at + " alice@laptop of hers", Holder{"AIDA", "a1"}, "alice@laptop of hers", ""},
		{"AIDA-a1", at + " " + at, Holder{"AIDA", "a1"}, "", ""},
		{"A-B:x-y-a1", at + " " + at + " x", Holder{"A-B:x-y", "a1"}, "x", ""},
		{"A-1", at + " " + at + " x", Holder{"A", "1"}, "x", ""},
		{"-a1", at + " " + at + " x", Holder{}, "", "no installation"},
		{"AIDA-", at + " " + at + " x", Holder{}, "", "no installation"},
		{"AIDA", at + " " + at + " x", Holder{}, "", "no installation"},
		{"AIDA-a1", at, Holder{"AIDA", "a1"}, "", "no end and firm-from"},
		{"AIDA-a1", "soon " + at + " x", Holder{"AIDA", "a1"}, "", "lease end"},
		{"AIDA-a1", at + " soon x", Holder{"AIDA", "a1"}, "", "firm-from"},
	} {
		l, ok := ParseLease(LeasePrefix+tt.key, tt.value)
		if !ok || l.Holder != tt.holder || l.Who != tt.who || (tt.bad == "") != (l.Err == nil) || l.Err != nil && !strings.Contains(l.Err.Error(), tt.bad) {
			t.Errorf("%q=%q: %v %+v", tt.key, tt.value, ok, l)
		}
	}
	if l, ok := ParseLease("Name-x", at+" "+at); ok || l.Key != "" || l.Err != nil {
		t.Errorf("what is no lease: %v %+v", ok, l)
	}
	longest := Lease{End: t0.Add(MaxLease + D)}
	if longest.Strange(t0) != "" || longest.Strange(t0.Add(-time.Nanosecond)) == "" {
		t.Error("the longest lease that is believed ends MaxLease and D from now")
	}
}

// Who wrote a rule is told as it is, but for what EC2 does not take.
func TestDescribeKeepsWhatItCan(t *testing.T) {
	for who, want := range map[string]string{"azAZ09._-:/@+=": "azAZ09._-:/@+=", "a b\té\x00{[`^": "a-b-------", strings.Repeat("x", 121): strings.Repeat("x", 120)} {
		if got := Describe(who, t0); got != "emr-accessd "+want+" 2026-11-22T10:00Z" {
			t.Errorf("%q: %q", who, got)
		}
	}
}

// one applies a single change to a group and returns the result.
func one(w *world, c Change) Result {
	have := Have{View: w.view()}
	return Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have, Changes{Group: group, List: []Change{c}})
}

func TestApplyJudgesEachAnswer(t *testing.T) {
	lost := errors.New("connection reset")
	for _, tt := range []struct {
		do                     Do
		role                   Role
		err                    error
		fails, replan, noMove  bool
		noJoin, done, journals bool
	}{
		{do: Join, err: ErrDenied, noJoin: true},
		{do: Join, err: ErrTagsFull, noJoin: true},
		{do: Renew, err: ErrDenied, fails: true},
		{do: Renew, err: ErrTagsFull, fails: true},
		{do: Renew, err: ErrGone, replan: true, journals: true},
		{do: Move, err: ErrDenied, replan: true, noMove: true},
		{do: Remove, role: Other, err: ErrDenied},
		{do: Remove, role: Self, err: ErrDenied, fails: true},
		{do: Purge, role: Other, err: ErrDenied},
		{do: Purge, role: Other, err: lost, fails: true, journals: true},
		{do: Leave, role: Self, err: ErrDenied, fails: true},
		{do: Leave, role: Other, err: ErrDenied, fails: true},
		{do: Leave, err: ErrGone, journals: true},
		{do: Purge, err: ErrGone, journals: true},
		{do: Remove, err: ErrGone, journals: true},
		{do: "turn", fails: true, journals: true},
	} {
		w := newWorld()
		id := w.put(rule("203.0.113.7/32", alice, alice, day, -1))
		w.fail = func(string) error { return tt.err }
		res := one(w, Change{Do: tt.do, Rule: id, Port: 22, CIDR: pfx("203.0.113.7/32"), Role: tt.role, Firm: true, Key: alice.Key(), Value: "v"})
		out := res.Outcomes[0]
		if (res.Err != nil) != tt.fails || res.Replan != tt.replan || res.NoMove != tt.noMove || out.Done != tt.done || (len(res.Journal) > 0) != tt.journals {
			t.Errorf("%s %s, %v: %+v", tt.do, tt.role, tt.err, res)
		}
		if want := map[string]bool{id: true}; tt.noJoin != maps.Equal(res.NoJoin, want) || tt.noJoin && (out.Do != Borrow || out.Firm || out.Key != "" || out.Why == "") {
			t.Errorf("%s, %v: refused %v, %+v", tt.do, tt.err, res.NoJoin, out)
		}
	}
	// Two refusals are both remembered.
	w := newWorld()
	w.put(rule("203.0.113.7/32", bob, bob, day, -1))
	w.put(rule("203.0.113.8/32", bob, bob, day, -1))
	w.fail = func(string) error { return ErrDenied }
	if res := try(w, wants(knows("203.0.113.7/32", "203.0.113.8/32")), alice, 0); len(res.NoJoin) != 2 {
		t.Errorf("refused: %v", res.NoJoin)
	}
}

// What is opened and what is left hang together: a failure of one kind ends which of the others?
func TestApplyGoesOnAfterAFailure(t *testing.T) {
	lost := errors.New("connection reset")
	add := func(cidr string) Change { return Change{Do: Add, Port: 22, CIDR: pfx(cidr), Role: Self} }
	for _, tt := range []struct {
		name string
		fail map[string]error // by the call's beginning
		want []string
	}{
		{"none", nil, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32", "untag sgr-0002", "revoke sgr-0001", "revoke sgr-0003"}},
		{"full", map[string]error{"authorize 192.0.2.1": ErrQuota}, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32", "revoke sgr-0003"}},
		{"denied", map[string]error{"authorize 192.0.2.1": ErrDenied}, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32"}},
		{"the second denied", map[string]error{"authorize 192.0.2.2": ErrDenied}, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32"}},
		{"refused", map[string]error{"authorize 192.0.2.1": ErrRefused}, []string{"authorize 192.0.2.1/32"}},
		{"lost", map[string]error{"authorize 192.0.2.1": lost}, []string{"authorize 192.0.2.1/32"}},
		{"a leave denied", map[string]error{"untag": ErrDenied}, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32", "untag sgr-0002", "revoke sgr-0001", "revoke sgr-0003"}},
		{"a leave lost", map[string]error{"untag": lost}, []string{"authorize 192.0.2.1/32", "authorize 192.0.2.2/32", "untag sgr-0002"}},
	} {
		w := newWorld()
		mine := w.put(rule("203.0.113.7/32", alice, alice, day, -1))
		shared := w.put(rule("203.0.113.8/32", bob, alice, day, -1, bob, day, -1))
		dead := w.put(rule("203.0.113.9/32", bob, bob, -60, -90))
		w.fail = func(call string) error {
			for begin, err := range tt.fail {
				if strings.HasPrefix(call, begin) {
					return err
				}
			}
			return nil
		}
		list := []Change{add("192.0.2.1/32"), add("192.0.2.2/32"), {Do: Leave, Rule: shared, Role: Self, Key: alice.Key()}, {Do: Remove, Rule: mine, Role: Self}, {Do: Remove, Rule: dead, Role: Other}}
		have := Have{View: w.view()}
		res := Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have, Changes{Group: group, List: list})
		if diff := cmp.Diff(tt.want, w.calls); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if res.Replan != (tt.name == "full") {
			t.Errorf("%s: replan %v", tt.name, res.Replan)
		}
	}
}

// A full group is looked at again only when room was made.
func TestApplyFullGroupWithoutRoom(t *testing.T) {
	for _, calls := range [][]string{{"authorize"}, {"authorize", "revoke"}} {
		w := newWorld()
		w.put(rule("203.0.113.9/32", bob, bob, day, -1, carol, -60, -90)) // leads to a purge
		if len(calls) > 1 {
			w.put(rule("203.0.113.10/32", bob, bob, -60, -90)) // to a removal, that is denied
		}
		w.fail = func(call string) error {
			switch {
			case strings.HasPrefix(call, "authorize"):
				return ErrQuota
			case strings.HasPrefix(call, "revoke"):
				return ErrDenied
			}
			return nil
		}
		if res := try(w, wants(knows("198.51.100.7/32")), alice, 0); res.Replan || !errors.Is(res.Err, ErrQuota) {
			t.Errorf("%v: replan %v, err %v", w.calls, res.Replan, res.Err)
		}
		for i, call := range w.calls {
			if i >= len(calls) || !strings.HasPrefix(call, calls[i]) {
				t.Errorf("calls %v, want %v", w.calls, calls)
			}
		}
	}
	w := newWorld()
	w.fail = func(call string) error {
		if call == "authorize 198.51.100.7/32" {
			return ErrQuota
		}
		return nil
	}
	if res := try(w, wants(knows("198.51.100.7/32", "2001:db8::7/128", "198.51.100.8/32")), alice, 0); res.Replan || len(w.calls) != 2 {
		t.Errorf("what was added makes no room: %v", w.calls)
	}
}

// A lease that could not be renewed keeps what is old, as a rule that could not be added does.
func TestApplyKeepsTheOldWhenARenewalFails(t *testing.T) {
	w := newWorld()
	w.put(rule("198.51.100.7/32", alice, alice, 11*60, -1))
	w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	w.fail = func(call string) error {
		if strings.HasPrefix(call, "tag") {
			return ErrDenied
		}
		return nil
	}
	if res := try(w, wants(knows("198.51.100.7/32")), alice, 0); !errors.Is(res.Err, ErrDenied) || len(w.calls) != 1 {
		t.Errorf("%v, %v", res.Err, w.calls)
	}
}

func TestApplyAtTheEndOfItsWindows(t *testing.T) {
	w := newWorld()
	if res := try(w, wants(knows("198.51.100.7/32")), alice, WriteWindow); res.Err != nil || len(w.calls) != 1 {
		t.Errorf("a read of just WriteWindow ago: %v, %v", res.Err, w.calls)
	}
	for age, want := range map[time.Duration]error{0: nil, AddressWindow: nil, AddressWindow + 1: ErrAddressOld, -1: ErrAddressOld} {
		w := newWorld()
		have := Have{View: w.view()}
		a := Applier{API: w, Wall: func() time.Time { return w.now }, Asked: w.now.Add(-age)}
		if res := a.Apply(context.Background(), have, Plan(wants(knows("198.51.100.7/32")), have, alice, w.now)); !errors.Is(res.Err, want) || want == nil && res.Err != nil {
			t.Errorf("asked %v ago: %v", age, res.Err)
		}
	}
	// Without a clock of the caller's it is the computer's.
	for ago, calls := range map[time.Duration]int{0: 1, time.Hour: 0} {
		w := newWorld()
		w.now = time.Now().Add(-ago).Round(0)
		have := Have{View: w.view()}
		if res := (Applier{API: w}).Apply(context.Background(), have, Plan(wants(knows("198.51.100.7/32")), have, alice, w.now)); len(w.calls) != calls || res.Replan != (calls == 0) {
			t.Errorf("read %v ago: %v", ago, w.calls)
		}
	}
}

// A plan of one group cannot write to a rule of another one, nor to another rule than it names.
func TestApplyWritesToTheRuleOfItsGroup(t *testing.T) {
	w := newWorld()
	id := w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	v := w.view()
	v.Rules[0].Group = otherGroup
	apply := func(v View, id string) Result {
		return Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), Have{View: v}, Changes{Group: group, List: []Change{{Do: Remove, Rule: id, Port: 22}}})
	}
	for _, res := range []Result{apply(v, id), apply(w.view(), "sgr-9999")} {
		if !errors.Is(res.Err, ErrForeign) || len(w.calls) != 0 {
			t.Errorf("%v, %v", res.Err, w.calls)
		}
	}
}

// An interrupt ends a plan between two changes.
func TestApplyInterrupted(t *testing.T) {
	w := newWorld()
	ctx, interrupt := context.WithCancel(context.Background())
	w.after = interrupt
	have := Have{View: w.view()}
	a := Applier{API: w, Wall: func() time.Time { return w.now }}
	res := a.Apply(ctx, have, Plan(wants(knows("198.51.100.7/32", "198.51.100.8/32")), have, alice, w.now))
	if len(w.calls) != 1 || len(res.Outcomes) != 1 || !res.Outcomes[0].Done {
		t.Errorf("calls %v", slices.Clone(w.calls))
	}
}
