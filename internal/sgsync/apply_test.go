package sgsync_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// try plans once and applies with the wall clock ahead of the read by age.
func try(w *world, want Want, m Me, age time.Duration) Result {
	have := Have{View: w.view()}
	return Applier{API: w, Wall: func() time.Time { return w.now.Add(age) }}.Apply(context.Background(), have, Plan(want, have, m, w.now))
}

func TestApplyOrder(t *testing.T) {
	w := newWorld()
	w.put(rule("203.0.113.7/32", bob, alice, day, -1))                 // mine alone, but bob made it: cannot be moved
	w.put(rule("203.0.113.8/32", alice, alice, day, -1, bob, day, -1)) // shared
	res := try(w, wants(knows("198.51.100.7/32")), alice, 0)
	if res.Err != nil || res.Replan {
		t.Fatal(res)
	}
	if diff := cmp.Diff([]string{"authorize 198.51.100.7/32", "revoke sgr-0001", "untag sgr-0002"}, w.calls); diff != "" {
		t.Error(diff)
	}
}

func TestApplyStaleReadWritesNothing(t *testing.T) {
	for _, age := range []time.Duration{WriteWindow + 1, 8 * time.Hour, -time.Second} {
		for name, r := range map[string]Rule{"add": admin("10.1.1.1/32"), "move": rule("203.0.113.7/32", alice, alice, day, -1),
			"join": rule("198.51.100.7/32", bob, bob, day, -1)} {
			w := newWorld()
			w.put(r)
			res := try(w, wants(knows("198.51.100.7/32")), alice, age)
			if !res.Replan || len(w.calls) != 0 {
				t.Errorf("%s at age %v: replan %v, calls %v", name, age, res.Replan, w.calls)
			}
		}
	}
}

func TestApplyFailures(t *testing.T) {
	lost := errors.New("connection reset")
	other := rule("203.0.113.7/32", bob, alice, day, -1) // leads to add, then remove
	mine := rule("203.0.113.7/32", alice, alice, day, -1)
	theirs := rule("198.51.100.7/32", bob, bob, day, -1)
	shared := rule("203.0.113.7/32", bob, alice, day, -1, bob, day, -1)
	six := rule("2001:db8::7/128", bob, alice, day, -1)
	wide := rule("198.51.100.0/28", alice, alice, day, -1) // once trusted
	for _, tt := range []struct {
		name   string
		rules  []Rule
		call   string
		err    error
		calls  []string
		replan bool
		failed error
	}{
		{"add lost/old rule stays", []Rule{other}, "authorize", lost, []string{"authorize 198.51.100.7/32"}, false, lost},
		{"add over quota/the old rule makes room", []Rule{other}, "authorize", ErrQuota, []string{"authorize 198.51.100.7/32", "revoke sgr-0001"}, true, ErrQuota},
		{"add over quota/a shared rule stays", []Rule{shared}, "authorize", ErrQuota, []string{"authorize 198.51.100.7/32"}, false, ErrQuota},
		{"add over quota/another family makes none", []Rule{six}, "authorize", ErrQuota, []string{"authorize 198.51.100.7/32"}, false, ErrQuota},
		{"add over quota/a range that covers the address stays", []Rule{wide}, "authorize", ErrQuota, []string{"authorize 198.51.100.7/32"}, false, ErrQuota},
		{"add is a duplicate/look again", []Rule{other}, "authorize", ErrDuplicate, []string{"authorize 198.51.100.7/32"}, true, nil},
		{"move is a duplicate/look again", []Rule{mine}, "modify", ErrDuplicate, []string{"modify sgr-0001 198.51.100.7/32"}, true, nil},
		{"move of a rule that is gone/look again", []Rule{mine}, "modify", ErrGone, []string{"modify sgr-0001 198.51.100.7/32"}, true, nil},
		{"move denied/look again", []Rule{mine}, "modify", ErrDenied, []string{"modify sgr-0001 198.51.100.7/32"}, true, nil},
		{"join denied/borrowed, old one removed", []Rule{theirs, other}, "tag", ErrDenied, []string{"tag sgr-0001", "revoke sgr-0002"}, false, nil},
		{"join lost/old rule stays", []Rule{theirs, other}, "tag", lost, []string{"tag sgr-0001"}, false, lost},
		{"join of a rule that is gone/look again", []Rule{theirs, other}, "tag", ErrGone, []string{"tag sgr-0001"}, true, nil},
		{"remove of a rule that is gone/done", []Rule{other}, "revoke", ErrGone, []string{"authorize 198.51.100.7/32", "revoke sgr-0001"}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			for _, r := range tt.rules {
				w.put(r)
			}
			w.fail = func(call string) error {
				if strings.HasPrefix(call, tt.call) {
					return tt.err
				}
				return nil
			}
			res := try(w, wants(knows("198.51.100.7/32")), alice, 0)
			if res.Replan != tt.replan || !errors.Is(res.Err, tt.failed) || (tt.failed == nil && res.Err != nil) {
				t.Errorf("replan %v, err %v", res.Replan, res.Err)
			}
			if diff := cmp.Diff(tt.calls, w.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What makes room in a full group admits none of what there was no room for: two addresses that are wanted may be without a rule.
// A rule on a port that nothing wants any more admits nothing that is.
func TestApplyMakesRoom(t *testing.T) {
	wide := rule("198.51.100.0/28", alice, alice, day, -1) // once trusted
	elsewhere := rule("198.51.100.7/32", alice, alice, day, -1)
	elsewhere.FromPort, elsewhere.ToPort = 8443, 8443
	last := rule("203.0.113.7/32", bob, alice, day, -1)
	others := rule("198.51.100.0/28", bob, bob, -60, -90)
	for name, tt := range map[string]struct {
		rule    Rule
		trusted string
		full    string // for what there is no room
		revoked bool
	}{
		"a range that covers one of two":                  {wide, "192.0.2.9/32", "", false},
		"a range that covers what has its rule now":       {wide, "192.0.2.9/32", "192.0.2.9/32", true},
		"an address in a range that is wanted":            {last, "203.0.113.0/28", "", false},
		"the last address, where both are somewhere else": {last, "192.0.2.9/32", "", true},
		"another port":                      {elsewhere, "192.0.2.9/32", "", true},
		"what others have left, and covers": {others, "192.0.2.9/32", "", false},
	} {
		w := newWorld()
		w.put(tt.rule)
		w.fail = func(call string) error {
			if strings.HasPrefix(call, "authorize "+tt.full) {
				return ErrQuota
			}
			return nil
		}
		want := wants(knows("198.51.100.7/32"))
		want.Ports[0].Trusted = []netip.Prefix{netip.MustParsePrefix(tt.trusted)}
		want.Ports = append(want.Ports, Port{Port: 8443, V4: Family{State: Absent}, V6: Family{State: Absent}})
		if res := try(w, want, alice, 0); (w.rules["sgr-0001"].ID == "") != tt.revoked || res.Replan != tt.revoked {
			t.Errorf("%s: replan %v, calls %q", name, res.Replan, w.calls)
		}
	}
}

// A full group is freed of what others have left behind, and looked at again; a denied courtesy is no failure.
func TestApplyCourtesies(t *testing.T) {
	expired := rule("203.0.113.9/32", bob, bob, -60, -90)
	w := newWorld()
	w.put(expired)
	w.fail = func(call string) error {
		if strings.HasPrefix(call, "authorize") {
			return ErrQuota
		}
		return nil
	}
	if res := try(w, wants(knows("198.51.100.7/32")), alice, 0); !res.Replan || !errors.Is(res.Err, ErrQuota) || len(w.rules) != 0 {
		t.Errorf("replan %v, err %v, rules %v", res.Replan, res.Err, w.rules)
	}
	w = newWorld()
	w.put(rule("198.51.100.7/32", alice, alice, day, -1))
	w.put(expired)
	w.fail = func(string) error { return ErrDenied }
	if res := try(w, wants(knows("198.51.100.7/32")), alice, 0); res.Err != nil || len(w.calls) != 1 {
		t.Errorf("err %v, calls %v", res.Err, w.calls)
	}
}

// What was known of the own address before a sleep is not written after it.
func TestApplyOldAddress(t *testing.T) {
	for _, age := range []time.Duration{AddressWindow + 1, 8 * time.Hour, -time.Minute} {
		w := newWorld()
		have := Have{View: w.view()}
		a := Applier{API: w, Wall: func() time.Time { return w.now }, Asked: w.now.Add(-age)}
		if res := a.Apply(context.Background(), have, Plan(wants(knows("198.51.100.7/32")), have, alice, w.now)); !errors.Is(res.Err, ErrAddressOld) || len(w.calls) != 0 {
			t.Errorf("age %v: err %v, calls %v", age, res.Err, w.calls)
		}
	}
}

func TestApplyRefusesForeignRules(t *testing.T) {
	w := newWorld()
	foreign := w.put(admin("0.0.0.0/0"))
	have := Have{View: w.view()}
	for _, do := range []Do{Move, Remove, Join, Renew, Leave, Purge} {
		for _, id := range []string{foreign, "sgr-unknown", ""} {
			res := Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have,
				Changes{Group: group, List: []Change{{Do: do, Rule: id, Port: 22, CIDR: pfx("198.51.100.7/32")}}})
			if !errors.Is(res.Err, ErrForeign) {
				t.Errorf("%s %q: %v", do, id, res.Err)
			}
		}
	}
	if len(w.calls) != 0 {
		t.Errorf("calls %v", w.calls)
	}
}

func TestApplyRecordsBeforeWriting(t *testing.T) {
	w := newWorld()
	w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	full := errors.New("disk full")
	have := Have{View: w.view()}
	a := Applier{API: w, Wall: func() time.Time { return w.now }, Before: func(c Change) error {
		if c.Do != Move || len(w.calls) != 0 {
			t.Errorf("recorded %v after %v", c.Do, w.calls)
		}
		return full
	}}
	if res := a.Apply(context.Background(), have, Plan(wants(knows("198.51.100.7/32")), have, alice, t0)); !errors.Is(res.Err, full) || len(w.calls) != 0 {
		t.Errorf("err %v, calls %v", res.Err, w.calls)
	}
}

// A write whose answer was lost is not relied on, nor counted as failed; a refused one was not made.
func TestApplyJournal(t *testing.T) {
	lost := errors.New("connection reset")
	for _, tt := range []struct {
		err   error
		maybe []bool // of the journal's entries
	}{{nil, []bool{false}}, {lost, []bool{true}}, {ErrRefused, nil}, {ErrDuplicate, nil}, {ErrGone, []bool{false}}} {
		w := newWorld()
		w.put(rule("203.0.113.7/32", alice, alice, day, -1))
		w.fail = func(string) error { return tt.err }
		res := try(w, wants(knows("198.51.100.7/32")), alice, 0)
		var maybe []bool
		for _, j := range res.Journal {
			maybe = append(maybe, j.Maybe)
		}
		if !slices.Equal(maybe, tt.maybe) {
			t.Errorf("%v: journal %+v", tt.err, res.Journal)
		}
		read := w.view()
		leased := false
		for _, r := range Overlay(read, res.Journal).Rules {
			leased = leased || r.Tags[alice.Key()] != ""
		}
		if want := !errors.Is(tt.err, lost) && !errors.Is(tt.err, ErrGone); leased != want {
			t.Errorf("%v: the lease is relied on: %v", tt.err, leased)
		}
	}
}

func TestLifeOfALaptop(t *testing.T) {
	w := newWorld()
	w.put(admin("0.0.0.0/0"))
	w.put(admin("203.0.113.200/32"))
	foreign := w.view().Rules
	cidrs := func() (out []string) {
		for _, r := range w.view().Rules[2:] {
			out = append(out, r.CIDR.String())
		}
		return out
	}
	expect := func(what string, ids int, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, cidrs()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if w.seq != ids {
			t.Errorf("%s: %d rules were ever made, want %d", what, w.seq, ids)
		}
	}
	w.round(t, wants(knows("198.51.100.7/32")), alice)
	expect("home", 3, "198.51.100.7/32")
	w.round(t, wants(knows("192.0.2.1/32")), alice)
	expect("moved in place", 3, "192.0.2.1/32")
	w.round(t, wants(knows("192.0.2.1/32")), bob)
	w.now = w.now.Add(time.Hour)
	w.round(t, wants(knows("198.51.100.7/32")), alice)
	expect("alice goes, bob stays", 4, "192.0.2.1/32", "198.51.100.7/32")
	w.round(t, wants(Family{State: Absent}), alice)
	expect("alice gives back", 4, "192.0.2.1/32")
	w.now = w.now.Add(48 * time.Hour)
	w.round(t, wants(knows("198.51.100.9/32")), carol)
	expect("bob's laptop is gone for good", 5, "198.51.100.9/32")
	w.round(t, wants(Family{State: Absent}), carol)
	if diff := cmp.Diff(foreign, w.view().Rules, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("rules of others: %s", diff)
	}
}
