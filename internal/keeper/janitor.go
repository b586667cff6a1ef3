package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// janitor takes away what nobody needs any more: it opens nothing, and so needs no address. It acts like an
// installation of its own beside the one of this computer, without its lock: a look may last some seconds.
type janitor struct {
	*Keeper
	dry   bool
	began time.Time // monotonic

	mu      sync.Mutex
	clouds  map[cloudKey]*cloudOnce
	journal []sgsync.Write
	bare    map[string]time.Time // by rule id, AWS's clock
}

func (k *Keeper) janitor(dry bool) *janitor {
	st, _ := k.Store.Load()
	return &janitor{Keeper: k, dry: dry, began: time.Now(), clouds: map[cloudKey]*cloudOnce{}, journal: slices.Clone(st.Journal), bare: maps.Clone(st.Bare)}
}

// open signs in once for each profile and region.
func (j *janitor) open(ctx context.Context, key cloudKey) (Cloud, error) {
	j.mu.Lock()
	c, ok := j.clouds[key]
	if !ok {
		c = &cloudOnce{}
		j.clouds[key] = c
	}
	j.mu.Unlock()
	c.once.Do(func() {
		j.say("signing in to AWS")
		c.cloud, c.err = j.Open(ctx, key.profile, key.region)
	})
	return c.cloud, c.err
}

// tagged lists the managed rules of a region by group, in the order of their ids.
func (j *janitor) tagged(ctx context.Context, cloud Cloud) (map[string][]sgsync.Rule, error) {
	j.say("looking for rules of emr-accessd in " + cloud.Identity().Region)
	rules, err := cloud.Tagged(ctx, sgsync.OwnerTag)
	if err != nil {
		return nil, err
	}
	groups := map[string][]sgsync.Rule{}
	for _, r := range rules {
		if r.Managed() {
			groups[r.Group] = append(groups[r.Group], r)
		}
	}
	return groups, nil
}

// duty is one group to be tidied.
type duty struct {
	cloud Cloud
	group string
	rep   GroupReport
	warn  []string
}

func newDuty(cloud Cloud, group string) *duty {
	return &duty{cloud: cloud, group: group, rep: GroupReport{ID: group, Region: cloud.Identity().Region, Changes: []ChangeReport{}, Public: []string{}, Rules: []RuleReport{}}}
}

func (d *duty) fail(err error) {
	text := err.Error()
	d.rep.Err, d.rep.Error = err, &text
}

// nothing is wanted on any port on which there is a managed rule.
func nothing(v sgsync.View, group string) sgsync.Want {
	w := sgsync.Want{Group: group, Complete: true}
	for _, r := range v.Rules {
		if r.Managed() && !slices.ContainsFunc(w.Ports, func(p sgsync.Port) bool { return p.Port == r.FromPort }) {
			w.Ports = append(w.Ports, sgsync.Port{Port: r.FromPort, V4: gone, V6: gone})
		}
	}
	return w
}

// tidy reads a group, plans and applies, and again while what was read turns out to have changed, or a rule must be
// seen once more: one without any lease, or one whose leases may not all show. keepOthers leaves alone what is somebody else's.
func (j *janitor) tidy(ctx context.Context, d *duty, h sgsync.Holder, keepOthers bool) {
	me := sgsync.Me{Holder: h, Who: j.Who, Lease: j.Lease}
	waited := false
	for pass := 0; pass < len(passWait); pass++ {
		if err := sleep(ctx, passWait[pass]); err != nil {
			d.fail(err)
			return
		}
		j.say("reading the rules of " + d.group)
		raw, err := d.cloud.Rules(ctx, d.group)
		if err != nil {
			d.fail(err)
			return
		}
		again, once := j.pass(ctx, d, me, raw, keepOthers)
		switch {
		case again:
		case once == 0 || waited || j.dry || d.rep.Err != nil:
			return
		default:
			waited, pass = true, 0
			j.say("waiting to see a rule once more")
			if err := sleep(ctx, once+sgsync.ClockGrain); err != nil {
				d.fail(err)
				return
			}
		}
	}
	d.fail(ErrNotVisible)
}

// pass is one plan on a read. once is after how long a rule must be seen once more: no lease in one read may be a
// read that is behind.
func (j *janitor) pass(ctx context.Context, d *duty, me sgsync.Me, raw sgsync.View, keepOthers bool) (again bool, once time.Duration) {
	j.mu.Lock()
	have := sgsync.Have{View: sgsync.Overlay(raw, j.journal), Bare: maps.Clone(j.bare)}
	j.mu.Unlock()
	want := nothing(have.View, d.group)
	want.ReportExpired = keepOthers
	plan := sgsync.Plan(want, have, me, raw.AWS)
	if keepOthers {
		plan.List = slices.DeleteFunc(plan.List, func(c sgsync.Change) bool { return c.Role == sgsync.Other })
		plan.Bare = nil
	}
	d.warn = plan.Warnings
	if !plan.Unshown.IsZero() {
		once = plan.Unshown.Sub(raw.AWS)
	}
	if j.seen(plan.Bare, raw.AWS) {
		once = max(once, sgsync.Sigma)
	}
	d.rep.Rules = reportRules(have.View, want, me, raw.AWS)
	if j.dry {
		for _, c := range plan.List {
			d.rep.Changes = append(d.rep.Changes, reportChange(c, call(d.group, c)))
			j.pretend(d.group, c)
		}
		return false, once
	}
	if len(plan.Writes()) > 0 {
		j.say("changing the rules of " + d.group)
	}
	api := &refusals{API: d.cloud}
	res := sgsync.Applier{API: api, Wall: j.wall}.Apply(ctx, have, plan)
	j.mu.Lock()
	j.journal = append(sgsync.Recent(j.journal, j.wall()), res.Journal...)
	j.mu.Unlock()
	for _, o := range res.Outcomes {
		if o.Done {
			d.rep.Changes = append(d.rep.Changes, reportChange(o.Change, ""))
		}
	}
	d.rep.Rules = reportRules(sgsync.Overlay(have.View, res.Journal), want, me, raw.AWS)
	d.rep.Err, d.rep.Error = nil, nil
	if err := errors.Join(res.Err, api.denied); err != nil {
		d.fail(err)
	}
	if api.purge != nil {
		d.warn = append(d.warn, fmt.Sprintf("ended leases on rules that live could not be deleted: %v", api.purge))
	}
	transient := j.Transient != nil && res.Err != nil && j.Transient(res.Err)
	return ctx.Err() == nil && (res.Replan || transient), once
}

// pretend lets the next plan of a dry run see what this one would have done.
func (j *janitor) pretend(group string, c sgsync.Change) {
	w := sgsync.Intent(group, c)
	w.At, w.Maybe = j.wall(), false
	j.mu.Lock()
	defer j.mu.Unlock()
	j.journal = append(j.journal, w)
}

// seen remembers rules without a lease, and reports whether one is new.
func (j *janitor) seen(ids []string, now time.Time) (fresh bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		if _, ok := j.bare[id]; !ok {
			j.bare[id], fresh = now, true
		}
	}
	return fresh
}

// rememberTime is how long a round that is under way is waited for.
const rememberTime = 10 * time.Second

// remember leaves to the next round what it must know.
func (j *janitor) remember(ctx context.Context, rep Report) error {
	if j.dry {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTime)
	defer cancel()
	unlock, err := j.Store.Lock(ctx)
	if err != nil {
		return nil // somebody is in the middle of a round, and reads everything anew
	}
	defer unlock()
	st, _ := j.Store.Load()
	for _, w := range sgsync.Recent(j.journal, j.wall()) {
		if !slices.ContainsFunc(st.Journal, func(o sgsync.Write) bool { return o.At.Equal(w.At) && o.ID == w.ID && o.Do == w.Do }) {
			st.Journal = append(st.Journal, w)
		}
	}
	maps.Copy(st.Bare, j.bare)
	if err := j.enter(rep); err != nil {
		j.log().Warn("the history could not be written", slog.Any("error", err))
	}
	return j.Store.Save(st)
}

// refusals remembers what IAM refused: to a round tidying is a courtesy, here it was asked for.
type refusals struct {
	sgsync.API
	denied, purge error
}

// Revoke implements sgsync.API.
func (r *refusals) Revoke(ctx context.Context, group, id string) error {
	err := r.API.Revoke(ctx, group, id)
	if errors.Is(err, sgsync.ErrDenied) {
		r.denied = err
	}
	return err
}

// Untag implements sgsync.API.
func (r *refusals) Untag(ctx context.Context, id, key, value string) error {
	err := r.API.Untag(ctx, id, key, value)
	if errors.Is(err, sgsync.ErrDenied) {
		r.purge = err
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
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
