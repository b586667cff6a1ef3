package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// looked runs exams in a bubble and returns what was told of each, and how long it took.
func looked(ctx context.Context, exams ...*exam) (text string, took time.Duration) {
	begin := time.Now()
	var lines []string
	examine(ctx, exams, func(*exam) {}, func(e *exam) { lines = append(lines, fmt.Sprintf("%s %s %s", e.id, e.state, e.seen)) })
	return strings.Join(lines, "\n"), time.Since(begin)
}

func sleeping(d time.Duration, f finding) func(context.Context) finding {
	return func(ctx context.Context) finding {
		sleep(ctx, d)
		if ctx.Err() != nil {
			return finding{}
		}
		return f
	}
}

func TestExamineInOrderAndSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &exam{id: "a", look: sleeping(3*time.Second, ok("good"))}
		b := &exam{id: "b-c", look: sleeping(time.Second, bad("wrong", "mend it"))}
		c := &exam{id: "c", needs: []*exam{a, b}, look: sleeping(time.Second, ok("never"))}
		d := &exam{id: "d", needs: []*exam{c}, look: sleeping(time.Second, ok("never"))}
		e := &exam{id: "e", after: []*exam{d, b}, look: sleeping(time.Second, ok("at last"))}
		text, took := looked(t.Context(), a, b, c, d, e)
		want := "a ok good\nb-c bad wrong\nc skipped needs b c\nd skipped needs b c\ne ok at last"
		if text != want || took != 4*time.Second {
			t.Errorf("after %v:\n%s", took, text)
		}
		if a.took != 3*time.Second || c.took != 0 {
			t.Errorf("took %v and %v", a.took, c.took)
		}
	})
}

func TestExamineGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := bad("wrong", "")
		f.goOn = true
		a := &exam{id: "a", look: sleeping(0, f)}
		b := &exam{id: "b", needs: []*exam{a}, look: sleeping(0, ok("all the same"))}
		if text, _ := looked(t.Context(), a, b); text != "a bad wrong\nb ok all the same" {
			t.Error(text)
		}
	})
}

func TestExamineEnds(t *testing.T) {
	deaf := func(context.Context) finding {
		time.Sleep(time.Minute)
		return ok("much too late")
	}
	synctest.Test(t, func(t *testing.T) { // by the limit of one look, which may be deaf
		a := &exam{id: "a", limit: 2 * time.Second, look: deaf}
		b := &exam{id: "b", needs: []*exam{a}, look: sleeping(0, ok("never"))}
		c := &exam{id: "c", look: sleeping(time.Hour, finding{})}
		text, took := looked(t.Context(), a, b, c)
		if text != "a unknown no answer within 2 s\nb skipped needs a\nc unknown no answer within 15 s" || took > 17*time.Second {
			t.Errorf("after %v:\n%s", took, text)
		}
		time.Sleep(time.Minute) // the deaf one ends
	})
	synctest.Test(t, func(t *testing.T) { // by Ctrl-C
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		a := &exam{id: "a", look: sleeping(0, ok("good"))}
		b := &exam{id: "b", look: sleeping(time.Hour, bad("half", ""))}
		c := &exam{id: "c", needs: []*exam{b}, look: sleeping(0, ok("never"))}
		text, took := looked(ctx, a, b, c)
		if text != "a ok good\nb skipped interrupted\nc skipped needs b" || took > 3*time.Second {
			t.Errorf("after %v:\n%s", took, text)
		}
	})
	synctest.Test(t, func(t *testing.T) { // by the limit of all
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var all []*exam
		for i := range 3 * looksAtOnce {
			all = append(all, &exam{id: fmt.Sprint(i), look: sleeping(4*time.Second, ok("good"))})
		}
		text, took := looked(ctx, all...)
		if strings.Count(text, "ok good") != looksAtOnce || strings.Count(text, "no time was left") != 2*looksAtOnce || took > 7*time.Second {
			t.Errorf("after %v:\n%s", took, text)
		}
	})
}
