package sgsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Applier carries out a plan.
type Applier struct {
	API API
	// Wall is the laptop's wall clock without a monotonic reading. nil is the real one.
	Wall func() time.Time
	// Asked is the wall time at which the own address was looked at; nothing is written on an address older
	// than [AddressWindow], because the laptop may have slept and moved. Zero: the plan needs no address.
	Asked time.Time
	// Before is called before each write, so that the caller can put on disk what is about to be done: a
	// process may be killed at any instruction. An error stops the plan. May be nil.
	Before func(Change) error
}

// Outcome is what became of one change.
type Outcome struct {
	Change       // Rule holds the id of an added rule; a refused join becomes borrow
	Err    error // nil: done, or nothing to do
	Done   bool  // EC2 was called and the change stands
}

// Result is what became of a plan.
type Result struct {
	Outcomes []Outcome
	Journal  []Write         // own writes, to be laid over reads for the next σ
	Replan   bool            // what was read is no longer so: read and plan anew before judging
	NoMove   bool            // ModifySecurityGroupRules was refused
	NoJoin   map[string]bool // rules that could not be tagged
	Err      error           // the first failure that is not a reason to plan anew
}

// Errors of [Applier.Apply] itself.
var (
	// ErrStale: the read that a write was planned on is older than [WriteWindow].
	ErrStale = errors.New("what was read is too old to write on")
	// ErrAddressOld: the own address was looked at too long ago; only a new round may write.
	ErrAddressOld = errors.New("the own address was looked at too long ago (was the computer asleep?); the next round looks again")
	// ErrForeign: a plan named a rule that does not carry our tags. It is a bug; nothing was written.
	ErrForeign = errors.New("refusing to write to a rule without our tags")
)

// Apply carries out the changes in their order. Rules are left and removed only when everything that
// opens has succeeded (I3), but for those that make room in a full group. "Already there" and "already gone" are not failures: they end in Replan or in
// success.
func (a Applier) Apply(ctx context.Context, have Have, changes Changes) Result {
	run := applyRun{Applier: a, have: have, group: changes.Group}
	if run.Wall == nil {
		run.Wall = func() time.Time { return time.Now().Round(0) }
	}
	openFailed := false
	for _, c := range changes.List {
		if openFailed && c.phase() >= 3 && !run.makesRoom(c) {
			continue
		}
		out := run.one(ctx, c)
		run.res.Outcomes = append(run.res.Outcomes, out)
		if run.res.Replan || ctx.Err() != nil {
			break
		}
		if out.Err == nil {
			continue
		}
		run.res.Err = errors.Join(run.res.Err, out.Err)
		openFailed = openFailed || out.opens()
		if !errors.Is(out.Err, ErrQuota) && !errors.Is(out.Err, ErrDenied) {
			break // the network, the credentials or the service: the next call would fail alike
		}
	}
	if errors.Is(run.res.Err, ErrQuota) && slices.ContainsFunc(run.res.Outcomes, func(o Outcome) bool { return o.Do == Remove && o.Done }) {
		run.res.Replan = true
	}
	return run.res
}

type applyRun struct {
	Applier
	have  Have
	group string
	res   Result
}

// makesRoom reports whether a change makes room in a group that was found full. What others have left behind does, and a rule
// of mine for an address that is mine no more: kept, it would shut me out for as long as the group is full. It must admit none of
// the addresses that there was no room for.
func (r *applyRun) makesRoom(c Change) bool {
	full := false
	for _, o := range r.res.Outcomes {
		switch {
		case o.Err == nil:
		case c.Port == o.Port && c.CIDR.Overlaps(o.CIDR):
			return false
		case errors.Is(o.Err, ErrQuota) && (c.Role == Other || is4(c.CIDR) == is4(o.CIDR)):
			full = true
		}
	}
	return full && c.Do == Remove
}

func (r *applyRun) one(ctx context.Context, c Change) Outcome {
	out := Outcome{Change: c}
	if !c.Write() {
		return out
	}
	if !r.checked(&out) {
		return out
	}
	if r.Before != nil {
		if err := r.Before(c); err != nil {
			out.Err = fmt.Errorf("could not record the change before making it: %w", err)
			return out
		}
		if !r.checked(&out) { // a slow disk, or a laptop that slept over it
			return out
		}
	}
	r.write(ctx, &out)
	return out
}

// checked reports whether a change may be made now, and notes why not.
func (r *applyRun) checked(out *Outcome) bool {
	err := r.check(out.Change)
	if errors.Is(err, ErrStale) {
		r.res.Replan = true
	} else {
		out.Err = err
	}
	return err == nil
}

// check guards every write: the read must be young, by the wall clock and in both directions (a clock
// that was set back proves nothing), and the rule one of ours (I1).
func (r *applyRun) check(c Change) error {
	now := r.Wall()
	if age := now.Sub(r.have.Sent); age < 0 || age > WriteWindow {
		return ErrStale
	}
	if age := now.Sub(r.Asked); !r.Asked.IsZero() && (age < 0 || age > AddressWindow) {
		return ErrAddressOld
	}
	if c.Do == Add {
		return nil
	}
	for _, rule := range r.have.Rules {
		if rule.ID == c.Rule && rule.Group == r.group && rule.Managed() {
			return nil
		}
	}
	return fmt.Errorf("%w: %s %s", ErrForeign, c.Do, c.Rule)
}

// write makes the one call of a change and judges its answer.
func (r *applyRun) write(ctx context.Context, out *Outcome) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	c := out.Change
	w := Intent(r.group, c)
	var err error
	switch c.Do {
	case Add:
		var rule Rule
		rule, err = r.API.Authorize(ctx, r.group, NewRule{Port: c.Port, CIDR: c.CIDR, Description: c.Description, Tags: c.Tags})
		out.Rule, w.ID = rule.ID, rule.ID
	case Move:
		err = r.API.Modify(ctx, r.group, c.Rule, NewRule{Port: c.Port, CIDR: c.CIDR, Description: c.Description})
	case Remove:
		err = r.API.Revoke(ctx, r.group, c.Rule)
	case Join, Renew:
		err = r.API.Tag(ctx, c.Rule, c.Key, c.Value)
	case Leave, Purge:
		err = r.API.Untag(ctx, c.Rule, c.Key, c.Value)
	default:
		err = fmt.Errorf("unknown change %q", c.Do)
	}
	switch {
	case err == nil:
		out.Done = true
	case errors.Is(err, ErrGone):
		// However stale the reads are: this rule does not come back, ids are not reused.
		r.journal(Write{Do: Remove, Group: r.group, ID: c.Rule})
		if c.Do != Remove && c.Do != Leave && c.Do != Purge {
			r.res.Replan = true
		}
		err = nil
	case errors.Is(err, ErrDuplicate):
		r.res.Replan, err = true, nil
	case c.Do == Move && errors.Is(err, ErrDenied):
		r.res.NoMove, r.res.Replan, err = true, true, nil
	case c.Do == Join && (errors.Is(err, ErrDenied) || errors.Is(err, ErrTagsFull)):
		if r.res.NoJoin == nil {
			r.res.NoJoin = map[string]bool{}
		}
		r.res.NoJoin[c.Rule] = true
		out.Do, out.Firm, out.FirmFrom, out.Key, out.Value, err = Borrow, false, time.Time{}, "", "", nil
		out.Why = "the rule stands but tagging it was refused; it may go without notice"
	case (c.Do == Purge || c.Do == Remove && c.Role == Other) && errors.Is(err, ErrDenied):
		err = nil // tidying for others is a courtesy
	}
	out.Err = err
	if out.Done {
		w.Maybe = false
		r.journal(w)
	} else if unsure(err) {
		r.journal(w)
	}
}

func (r *applyRun) journal(w Write) {
	w.At = r.Wall()
	r.res.Journal = append(r.res.Journal, w)
}

// unsure reports whether a failed write may have taken effect all the same: its answer was lost.
func unsure(err error) bool {
	for _, certain := range []error{ErrDuplicate, ErrGone, ErrDenied, ErrTagsFull, ErrQuota, ErrRefused} {
		if errors.Is(err, certain) {
			return false
		}
	}
	return err != nil
}
