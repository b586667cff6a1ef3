package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What a check of doctor came to.
const (
	stateOK      = "ok"
	stateBad     = "bad"     // a reason why one cannot connect
	stateUnknown = "unknown" // it could not be found out
	stateSkipped = "skipped" // something before it has to be good first
)

// finding is what one look came to.
type finding struct {
	state  string
	seen   string   // a sentence
	remedy string   // what to do about it; "" for nothing
	notes  []string // sentences that do not change the state
	root   string   // of a skipped one: the id of the check that is to blame
	goOn   bool     // what needs this look is looked at although it is not ok
}

func ok(seen string) finding          { return finding{state: stateOK, seen: seen} }
func bad(seen, remedy string) finding { return finding{state: stateBad, seen: seen, remedy: remedy} }
func notKnown(seen, remedy string) finding {
	return finding{state: stateUnknown, seen: seen, remedy: remedy}
}

// examLimit ends a look that has no limit of its own.
const examLimit = 15 * time.Second

// exam is one check: a look at one thing, once what it needs has been looked at.
type exam struct {
	subject, id string
	needs       []*exam // all must be ok, or this one is skipped
	after       []*exam // only have to have ended: this one uses what they saw, if they saw it
	limit       time.Duration
	// look must heed its context: a look that goes on after its limit is left behind, so it must not write then what
	// others read.
	look func(context.Context) finding

	finding
	took time.Duration
	done chan struct{} // closed when the finding stands
}

// looksAtOnce bounds how many looks are under way: a pattern may select many clusters, and AWS's limits are per account.
const looksAtOnce = 16

// examine makes the looks side by side, as far as one does not need another, and calls told with each in order as
// soon as it and those before it have ended. waits is called with the one that is waited for. When ctx ends, what
// has not ended is skipped.
func examine(ctx context.Context, exams []*exam, waits, told func(*exam)) {
	slots := make(chan struct{}, looksAtOnce)
	for _, e := range exams {
		e.done = make(chan struct{})
	}
	var wg sync.WaitGroup
	for _, e := range exams {
		wg.Go(func() {
			defer close(e.done)
			e.finding = e.run(ctx, slots)
		})
	}
	for _, e := range exams {
		waits(e)
		<-e.done
		told(e)
	}
	wg.Wait()
}

// run waits for what comes before, and looks.
func (e *exam) run(ctx context.Context, slots chan struct{}) finding {
	for _, others := range [][]*exam{e.needs, e.after} {
		for _, o := range others {
			<-o.done // which comes even when ctx ends
		}
	}
	for _, o := range e.needs {
		if o.state != stateOK && !o.goOn {
			root := o.id
			if o.root != "" {
				root = o.root
			}
			return finding{state: stateSkipped, seen: "needs " + label(root), root: root}
		}
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	limit := e.limit
	if limit == 0 {
		limit = examLimit
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	defer func() { e.took = time.Since(begin) }()
	found := make(chan finding, 1)
	go func() { found <- e.look(bounded) }()
	select {
	case f := <-found:
		return e.judge(ctx, bounded, f, limit)
	case <-bounded.Done():
	}
	select { // it may only just have heeded its context
	case f := <-found:
		return e.judge(ctx, bounded, f, limit)
	case <-time.After(lookGrace):
	}
	return e.judge(ctx, bounded, finding{}, limit)
}

// lookGrace is what a look has to come back after its limit. It must not be long: somebody waits.
const lookGrace = time.Second

// judge tells what an end by the clock or by the user means.
func (e *exam) judge(ctx, bounded context.Context, f finding, limit time.Duration) finding {
	switch {
	case f.state == stateOK || bounded.Err() == nil:
		return f
	case ctx.Err() != nil:
		return interrupted(ctx)
	}
	return notKnown("no answer within "+span(limit), "try again; if it stays so, look at the network and the proxy")
}

func interrupted(ctx context.Context) finding {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return finding{state: stateSkipped, seen: "no time was left for it"}
	}
	return finding{state: stateSkipped, seen: "interrupted"}
}

// label is a check's name for people.
func label(id string) string {
	text := []byte(id)
	for i, b := range text {
		if b == '-' {
			text[i] = ' '
		}
	}
	return string(text)
}
