package ipwatch

import (
	"context"
	"slices"
	"time"
)

// race is one hedged run of questions. It lives in one goroutine; only the questions run beside it.
type race struct {
	d       *Detector
	family  Family
	sources []Source
	asked   []bool
	answers []*Answer // nil while a question runs, or was not asked
}

// hedge asks sources until an address is confirmed or nobody is left to ask, and returns the answers of those
// that were asked, in the order of the sources.
func (d *Detector) hedge(ctx context.Context, f Family, sources []Source) []Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{d: d, family: f, sources: sources,
		asked: make([]bool, len(sources)), answers: make([]*Answer, len(sources))}
	type result struct {
		i int
		a Answer
	}
	results := make(chan result, len(sources))
	running := 0
	start := func(i int) {
		r.asked[i] = true
		running++
		go func() { results <- result{i, d.ask(ctx, sources[i], f)} }()
	}
	for _, i := range r.first() {
		start(i)
	}
	timer := time.NewTimer(HedgeDelay)
	defer timer.Stop()
	done := false
	for running > 0 {
		var hurry bool
		select {
		case res := <-results:
			running--
			if done && faultOf(res.a.Err) == FaultStopped {
				res.a.Err = fault(FaultSkipped, "not waited for, the others agreed first")
			}
			r.answers[res.i] = &res.a
			state, _, _ := Decide(d.Policy, f, r.given())
			if state == Confirmed {
				done = true
				cancel()
			}
			hurry = res.a.Err != nil || state == Conflict || running == 0
		case <-timer.C:
			hurry = true
		}
		if i, ok := r.next(); hurry && ok && ctx.Err() == nil {
			start(i)
			timer.Reset(HedgeDelay)
		}
	}
	return r.given()
}

// given are the answers so far.
func (r *race) given() []Answer {
	var as []Answer
	for _, a := range r.answers {
		if a != nil {
			as = append(as, *a)
		}
	}
	return as
}

// first are the sources to ask at once: the first one of the required operator, then the first ones of others,
// as many operators as must agree.
func (r *race) first() []int {
	var picked []int
	var ops []string
	pick := func(i int) {
		if op := operatorKey(r.sources[i].Operator); len(ops) < r.d.Policy.agree() && !slices.Contains(ops, op) {
			picked, ops = append(picked, i), append(ops, op)
		}
	}
	for i, s := range r.sources {
		if operatorKey(s.Operator) == operatorKey(r.d.Policy.Require) {
			pick(i)
		}
	}
	for i := range r.sources {
		pick(i)
	}
	return picked
}

// next is the source to ask when more evidence is wanted. An operator that has given a valid answer has had its
// vote. Of the others those come first that are not being asked just now, the required one before the rest.
func (r *race) next() (int, bool) {
	voted, busy := make(map[string]bool), make(map[string]bool)
	for i, s := range r.sources {
		op := operatorKey(s.Operator)
		switch {
		case r.asked[i] && r.answers[i] == nil:
			busy[op] = true
		case r.answers[i] != nil && r.answers[i].Err == nil:
			voted[op] = true
		}
	}
	best, rank := 0, 4
	for i, s := range r.sources {
		op := operatorKey(s.Operator)
		if r.asked[i] || voted[op] {
			continue
		}
		score := 0
		if busy[op] {
			score += 2
		}
		if op != operatorKey(r.d.Policy.Require) {
			score++
		}
		if score < rank {
			best, rank = i, score
		}
	}
	return best, rank < 4
}

// stopped tells whether the caller gave up before the questions were answered.
func stopped(as []Answer) bool {
	return slices.ContainsFunc(as, func(a Answer) bool { return faultOf(a.Err) == FaultStopped })
}
