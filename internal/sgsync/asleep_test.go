package sgsync_test

import (
	"context"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A laptop may sleep while a change is written to disk, between the look at the clock and the call. Found by the
// team test: alice plans to move her rule, falls asleep while she records it, bob's join becomes firm, and she
// moves the rule away from under him when she wakes.
func TestApplyAsleepWhileRecording(t *testing.T) {
	w := newWorld()
	id := w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	have := Have{View: w.view()}
	plan := Plan(wants(knows("198.51.100.7/32")), have, alice, w.now)
	res := Applier{API: w, Wall: func() time.Time { return w.now }, Before: func(Change) error {
		w.now = w.now.Add(50 * time.Second)
		return w.Tag(context.Background(), id, bob.Key(), FormatLease(w.now.Add(day), w.now, "bob@desk"))
	}}.Apply(context.Background(), have, plan)
	if !res.Replan || res.Err != nil || w.rules[id].CIDR != pfx("203.0.113.7/32") {
		t.Errorf("replan %v, error %v, calls %q, rule %v", res.Replan, res.Err, w.calls, w.rules[id])
	}
	if len(res.Journal) != 0 {
		t.Errorf("journal of a call that was not made: %v", res.Journal)
	}
}
