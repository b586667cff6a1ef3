package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Why a round gives up a group.
var (
	// ErrNotVisible says that EC2 keeps contradicting its own reads.
	ErrNotVisible = errors.New("the rules kept changing, or EC2 does not show yet what it did; the next round looks again")
	// ErrSlow: each read was too old to write on when it had come.
	ErrSlow = fmt.Errorf("the network or this computer is too slow: what is read of the rules must be written on within %v; the next round tries again", sgsync.WriteWindow)
)

// group brings one group to what is wanted: read, plan, apply, and again while what was read turned out to
// have changed. A rule that was joined is read again at once: it may have been moved in the meantime.
func (r *round) group(ctx context.Context, w *groupWork) {
	var done []sgsync.Outcome
	for pass := range passWait {
		w.unsure = false
		if err := r.pause(ctx, passWait[pass]); err != nil {
			w.fail(err)
			return
		}
		if pass > 0 {
			r.say(fmt.Sprintf("reading %s again", w.id))
		} else {
			r.say("reading the rules of " + w.id)
		}
		view, err := w.cloud.Rules(ctx, w.id)
		if err != nil {
			if w.rep.Err == nil { // else the failed write says more
				w.fail(err)
			}
			return
		}
		again, outcomes := r.pass(ctx, w, view)
		for _, o := range outcomes {
			if o.Done {
				done = append(done, o)
			}
		}
		w.report(r.req.DryRun, done, outcomes)
		if again {
			continue
		}
		until := r.unsureUntil(w, view.Sent)
		if w.unshown.After(until) {
			until = w.unshown
		}
		if until.IsZero() || r.req.DryRun {
			return
		}
		w.unsure = true
		w.soon(until)
		if !r.req.Release {
			return
		}
		r.say("waiting until EC2 shows for certain who holds the rules") // nobody may believe that a rule is gone that is not
		if err := r.pause(ctx, until.Sub(r.wall())); err != nil {
			w.fail(err)
			return
		}
	}
	switch {
	case w.rep.Err != nil:
	case w.slow:
		w.fail(ErrSlow)
	default:
		w.fail(ErrNotVisible)
	}
}

// pass is one read, plan and apply. again asks for another.
func (r *round) pass(ctx context.Context, w *groupWork, raw sgsync.View) (again bool, out []sgsync.Outcome) {
	w.rep.Err, w.rep.Error = nil, nil
	me := r.me(w.cloud.Identity(), w.lease)
	if !w.promised.IsZero() { // a little less: else a lease of that very length would be renewed for the seconds that have gone by
		me.Promised = w.promised.Add(raw.AWS.Sub(raw.Sent) - promiseGrain)
	}
	if r.cloned(raw, me) {
		return true, nil
	}
	r.mu.Lock()
	have := sgsync.Have{View: sgsync.Overlay(raw, r.st.Journal), Bare: r.st.Bare}
	plan := sgsync.Plan(w.want.Shift(raw.AWS.Sub(raw.Sent)), have, me, raw.AWS)
	r.note(w, plan, have.View, me)
	r.mu.Unlock()
	if r.recalled() && len(plan.Writes()) > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stale = true // every write rests on a fresh look
		return false, nil
	}
	if r.req.DryRun {
		for _, c := range plan.List {
			out = append(out, sgsync.Outcome{Change: c})
		}
		return false, out
	}
	if len(plan.Writes()) > 0 {
		r.say(fmt.Sprintf("changing the rules of %s", w.id))
	}
	res := sgsync.Applier{API: w.cloud, Wall: r.wall, Asked: r.asked, Before: func(c sgsync.Change) error { return r.before(w.id, c) }}.Apply(ctx, have, plan)
	r.after(w, raw.Sent, res)
	w.slow = res.Replan && len(res.Journal) == 0 && r.wall().Sub(raw.Sent) > sgsync.WriteWindow
	sure := slices.DeleteFunc(slices.Clone(res.Journal), func(j sgsync.Write) bool { return j.Maybe })
	w.rep.Rules = reportRules(sgsync.Overlay(have.View, sure), w.want, me, raw.AWS)
	w.want.NoMove = w.want.NoMove || res.NoMove
	for id := range res.NoJoin {
		if w.want.NoJoin == nil {
			w.want.NoJoin = map[string]bool{}
		}
		w.want.NoJoin[id] = true
	}
	joined := slices.ContainsFunc(res.Outcomes, func(o sgsync.Outcome) bool { return o.Do == sgsync.Join && o.Done })
	if res.Err != nil {
		w.fail(res.Err)
		transient := r.Transient != nil && r.Transient(res.Err)
		if transient && tidying(plan.List, res.Outcomes) && !r.req.Release { // the next round that looks for drift does it
			w.rep.Err, w.rep.Error = nil, nil
			return res.Replan || joined, res.Outcomes
		}
		return ctx.Err() == nil && (res.Replan || transient), res.Outcomes
	}
	return res.Replan || joined, res.Outcomes
}

// tidying reports whether nothing failed but what would have been done for others, their rules and leases that have ended,
// and nothing of ours was left undone for that: a failure ends the plan, and what makes room for a lease comes before it.
func tidying(planned []sgsync.Change, outcomes []sgsync.Outcome) bool {
	courtesy := func(c sgsync.Change) bool {
		return !c.Write() || c.Role == sgsync.Other && (c.Do == sgsync.Remove || c.Do == sgsync.Purge)
	}
	return !slices.ContainsFunc(planned[min(len(outcomes), len(planned)):], func(c sgsync.Change) bool { return !courtesy(c) }) && !slices.ContainsFunc(outcomes, func(o sgsync.Outcome) bool {
		return o.Err != nil && !courtesy(o.Change)
	})
}

// promiseGrain is how much earlier than promised a lease may end, for a round that takes long and clocks that differ.
const promiseGrain = time.Minute

func (w *groupWork) fail(err error) {
	text := err.Error()
	w.rep.Err, w.rep.Error = err, &text
}

// note keeps what a plan found. The caller holds the lock.
func (r *round) note(w *groupWork, plan sgsync.Changes, view sgsync.View, me sgsync.Me) {
	w.rep.read = true
	w.unshown = time.Time{}
	if !plan.Unshown.IsZero() {
		w.unshown = view.Sent.Add(plan.Unshown.Sub(view.AWS)).Add(sgsync.ClockGrain)
	}
	w.rep.Public = append([]string{}, plan.Public...)
	w.rep.Expired = plan.Expired
	w.rep.Rules = reportRules(view, w.want, me, view.AWS)
	w.warnings = slices.Concat(plan.Warnings, sgsync.Crowded(w.id, view.Rules))
	if !plan.Next.IsZero() {
		w.soon(view.Sent.Add(plan.Next.Sub(view.AWS)).Add(sgsync.ClockGrain))
	}
	for _, rule := range view.Rules {
		r.bare[rule.ID] = slices.Contains(plan.Bare, rule.ID)
		if !r.bare[rule.ID] {
			delete(r.st.Bare, rule.ID)
		} else if _, ok := r.st.Bare[rule.ID]; !ok {
			r.st.Bare[rule.ID] = view.AWS
		}
	}
	here := map[string]bool{}
	for _, rule := range view.Rules {
		if settled(rule, me, view.AWS) {
			here[rule.ID] = true
			if !r.blind() && !r.movedLately(rule.ID, view) {
				r.st.placed(rule.ID, w.id, rule.CIDR)
			}
		}
	}
	for id, mem := range r.st.Rules {
		if mem.Group == w.id && !here[id] {
			r.missed(id, view)
			delete(r.st.Rules, id)
		}
	}
}

func (r *round) pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// report lists what was done in all passes, and what the last one left as it is.
func (w *groupWork) report(dry bool, done, last []sgsync.Outcome) {
	w.rep.Changes = []ChangeReport{}
	seen := map[string]bool{}
	for _, o := range done {
		w.rep.Changes = append(w.rep.Changes, reportChange(o.Change, ""))
		seen[o.Rule] = seen[o.Rule] || o.Do != sgsync.Purge // tidying a rule says nothing about my lease on it
	}
	for _, o := range last {
		if dry {
			w.rep.Changes = append(w.rep.Changes, reportChange(o.Change, call(w.id, o.Change)))
		} else if !o.Write() && !seen[o.Rule] {
			w.rep.Changes = append(w.rep.Changes, reportChange(o.Change, ""))
		}
	}
}

// call is the EC2 call of a change, as the aws command would make it.
func call(group string, c sgsync.Change) string {
	switch c.Do {
	case sgsync.Add:
		return fmt.Sprintf("ec2:AuthorizeSecurityGroupIngress %s tcp %d %s", group, c.Port, c.CIDR)
	case sgsync.Move:
		return fmt.Sprintf("ec2:ModifySecurityGroupRules %s %s: %s to %s", group, c.Rule, c.From, c.CIDR)
	case sgsync.Remove:
		return fmt.Sprintf("ec2:RevokeSecurityGroupIngress %s %s", group, c.Rule)
	case sgsync.Join, sgsync.Renew:
		return fmt.Sprintf("ec2:CreateTags %s %s=%q", c.Rule, c.Key, c.Value)
	case sgsync.Leave, sgsync.Purge:
		return fmt.Sprintf("ec2:DeleteTags %s %s=%q", c.Rule, c.Key, c.Value)
	}
	return ""
}
