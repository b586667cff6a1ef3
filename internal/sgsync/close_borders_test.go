package sgsync_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// closing is a closer on a world, with its reads counted.
func (w *closeWorld) closer(reads map[string]int, fail map[string]error) Closer {
	return Closer{
		Rules: func(_ context.Context, id string) (View, error) {
			reads[id]++
			if err := fail[id]; err != nil {
				return View{}, err
			}
			v := w.view()
			v.Group = id
			return v, nil
		},
		Revoke: func(_ context.Context, _, id string) error {
			w.revoked = append(w.revoked, id)
			return w.fail
		},
		Wall: func() time.Time { return w.wall },
	}
}

// What was shown is compared in every field: only what the user has seen is removed.
func TestCloseComparesWhatWasShown(t *testing.T) {
	for name, edit := range map[string]func(shown, there *Rule){
		"another protocol was shown":       func(shown, _ *Rule) { shown.Protocol = "-1" },
		"another first port was shown":     func(shown, _ *Rule) { shown.FromPort = 0 },
		"another last port was shown":      func(shown, _ *Rule) { shown.ToPort = 65535 },
		"another source was shown":         func(shown, _ *Rule) { shown.CIDR = pfx("::/0") },
		"it admits a group, too":           func(_, there *Rule) { there.SourceGroup = otherGroup },
		"it admits a prefix list, too":     func(_, there *Rule) { there.PrefixList = "pl-1" },
		"it is in another group":           func(_, there *Rule) { there.Group = otherGroup },
		"own rule of another group":        nil,
		"the read is of another group":     nil,
		"the own rule's group is not read": nil,
	} {
		w := newCloseWorld()
		shown, want := w.rules[w.public], ErrNotPublic
		c := w.closer(map[string]int{}, nil)
		switch {
		case edit != nil:
			w.edit(w.public, func(r *Rule) { edit(&shown, r) })
		case name == "own rule of another group":
			w.edit(w.own, func(r *Rule) { r.Group = otherGroup })
			want = ErrNoFooting
		case name == "the read is of another group":
			c.Rules = func(context.Context, string) (View, error) {
				v := w.view()
				v.Group = otherGroup
				return v, nil
			}
		default:
			want = errors.New("no way there")
			c = w.closer(map[string]int{}, map[string]error{otherGroup: want})
		}
		own := []Footing{w.footing()}
		if name == "the own rule's group is not read" {
			own = append(own, Footing{Group: otherGroup, Rule: w.own, Holder: alice.Holder})
		}
		if gone, err := c.Close(context.Background(), shown, 22, own...); gone || !errors.Is(err, want) || len(w.revoked) != 0 {
			t.Errorf("%s: gone %v, %v, revoked %v", name, gone, err, w.revoked)
		}
	}
}

func TestCloseReadsEachGroupOnce(t *testing.T) {
	w := newCloseWorld()
	reads := map[string]int{}
	if _, err := w.closer(reads, nil).Close(context.Background(), w.rules[w.public], 22, w.footing(), w.footing()); err != nil || reads[group] != 1 || len(reads) != 1 {
		t.Errorf("%v, %v", reads, err)
	}
	broken := errors.New("no way there")
	if gone, err := w.closer(reads, map[string]error{group: broken}).Close(context.Background(), w.rules[w.public], 22, w.footing()); gone || !errors.Is(err, broken) {
		t.Errorf("the first read fails: %v, %v", gone, err)
	}
}

// A read may be as old as WriteWindow; without a clock of the caller's it is the computer's that tells.
func TestCloseAtTheEndOfItsWindow(t *testing.T) {
	w := newCloseWorld()
	w.wall = t0.Add(WriteWindow)
	if _, err := w.closer(map[string]int{}, nil).Close(context.Background(), w.rules[w.public], 22, w.footing()); err != nil {
		t.Error(err)
	}
	c := w.closer(map[string]int{}, nil)
	c.Wall = nil
	if _, err := c.Close(context.Background(), w.rules[w.public], 22, w.footing()); !errors.Is(err, ErrStale) || len(w.revoked) != 1 {
		t.Errorf("t0 is long ago: %v", err)
	}
}

// When an answer was lost, only a look that shows the rule gone, and nothing else in its place, says that it went.
func TestCloseLostAnswerNeedsALook(t *testing.T) {
	lost := errors.New("connection reset")
	for name, look := range map[string]func(*closeWorld) (View, error){
		"nobody can look": func(*closeWorld) (View, error) { return View{Group: group}, lost },
		"it is there, but other": func(w *closeWorld) (View, error) {
			w.edit(w.public, func(r *Rule) { r.ToPort = 23 })
			return w.view(), nil
		},
		"it is there": func(w *closeWorld) (View, error) { return w.view(), nil },
	} {
		w := newCloseWorld()
		w.fail = lost
		c := w.closer(map[string]int{}, nil)
		first := c.Rules
		c.Rules = func(ctx context.Context, id string) (View, error) {
			if len(w.revoked) > 0 {
				return look(w)
			}
			return first(ctx, id)
		}
		if gone, err := c.Close(context.Background(), w.rules[w.public], 22, w.footing()); gone || !errors.Is(err, ErrUnsure) || !errors.Is(err, lost) {
			t.Errorf("%s: %v, %v", name, gone, err)
		}
	}
	w := newCloseWorld()
	c := w.closer(map[string]int{}, nil)
	c.Before = func(Rule) error { return lost }
	if gone, err := c.Close(context.Background(), w.rules[w.public], 22, w.footing()); gone || !errors.Is(err, lost) {
		t.Errorf("not on record: %v, %v", gone, err)
	}
}
