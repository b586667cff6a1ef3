package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// release gives back what this installation holds. All rules with its lease key are found by tag, in every
// region that the targets name: also those of targets that have left the configuration, and after the state
// was lost. For named targets it keeps to their groups, and to what no other target wants.
func (r *round) release(ctx context.Context) {
	var only map[string]bool // the groups of the named targets
	if r.req.Targets != nil {
		only = map[string]bool{}
	}
	for _, t := range r.selected {
		tr := r.releasing(ctx, t)
		for _, id := range tr.Place.Groups {
			if only != nil {
				only[id] = true
			}
		}
		r.rep.Targets = append(r.rep.Targets, tr)
	}
	for _, key := range r.releaseKeys() {
		cloud, held, err := r.heldBy(ctx, key)
		if err != nil {
			r.failRelease(key, err)
			continue
		}
		r.failElsewhere(key, cloud)
		for _, id := range slices.Sorted(maps.Keys(held)) {
			if only == nil || only[id] {
				r.releaseGroup(key, cloud, id, held[id])
			}
		}
	}
	r.apply(ctx)
	r.assemble()
}

// releasing begins the report of a target, with all groups that may hold rules for it.
func (r *round) releasing(ctx context.Context, t Target) TargetReport {
	tr := TargetReport{Target: t.Label, Profile: t.Profile, key: t.key(), Verdicts: map[string]Verdict{}}
	var err error
	if r.req.Targets != nil {
		err = r.resolve(ctx, t)
	}
	place, known := r.place(t)
	if _, account := errors.AsType[*AccountError](err); account || err != nil && (!known || place.Partial) {
		tr.fail(err)
	}
	place.Groups = append(slices.Clone(place.Groups), slices.Sorted(maps.Keys(r.st.Places[t.key()].Left))...)
	for _, d := range r.departed {
		if d.Target.key() == t.key() {
			place.Groups = append(place.Groups, d.Place.Groups...)
		}
	}
	tr.Cluster, tr.Name, tr.State, tr.Place = place.Cluster, place.Name, place.State, place
	return tr
}

// releaseKeys are the profiles and regions to look in.
func (r *round) releaseKeys() (keys []cloudKey) {
	add := func(t Target) {
		if k := (cloudKey{t.Profile, t.Region}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	for _, t := range r.selected {
		add(t)
	}
	for _, d := range r.departed {
		add(d.Target)
	}
	if r.req.Targets == nil {
		for _, t := range r.st.Traces {
			add(Target{Profile: t.Profile, Region: t.Region})
		}
	}
	return keys
}

// heldBy lists what is held in a region. An account that a target is not pinned to is not looked into.
func (r *round) heldBy(ctx context.Context, key cloudKey) (Cloud, held, error) {
	cloud, err := r.cloud(ctx, key.profile, key.region)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range r.selected {
		if have := cloud.Identity().Account; (cloudKey{t.Profile, t.Region}) == key && t.Account != "" && t.Account != have {
			return nil, nil, &AccountError{Want: t.Account, Have: have}
		}
	}
	held, err := r.held(ctx, cloud)
	if err == nil {
		r.justMade(key, held)
	}
	return cloud, held, err
}

// justMade adds to what is held where calls of a moment ago have put a rule or lease, or may have: a look by tag does not show it
// yet. The rules of these groups are read by themselves, with own writes laid over them.
func (r *round) justMade(key cloudKey, held held) {
	here := map[string]bool{} // the journal tells no region
	for _, rem := range slices.Concat(slices.Collect(maps.Values(r.st.Places)), r.departed) {
		if (cloudKey{rem.Target.Profile, rem.Target.Region}) == key {
			for _, id := range rem.groups() {
				here[id] = true
			}
		}
	}
	for _, w := range sgsync.Recent(r.st.Journal, r.wall()) {
		if here[w.Group] && (w.Do == sgsync.Add || w.Do == sgsync.Join) {
			held.add(w.Group, w.Port)
		}
	}
}

// failRelease reports a region that could not be looked into: nobody may believe that its rules are gone.
func (r *round) failRelease(key cloudKey, err error) {
	told := false
	for i, t := range r.selected {
		if (cloudKey{t.Profile, t.Region}) == key {
			r.rep.Targets[i].fail(err)
			told = true
		}
	}
	if !told {
		tr := TargetReport{Target: fmt.Sprintf("profile %q, region %q", key.profile, key.region), Verdicts: map[string]Verdict{}}
		tr.fail(err)
		r.rep.Targets = append(r.rep.Targets, tr)
	}
}

// failElsewhere reports what has left the configuration, or was a session's, and is in another account than that of the credentials,
// until all leases there have ended.
func (r *round) failElsewhere(key cloudKey, cloud Cloud) {
	for _, d := range r.departed {
		have := cloud.Identity().Account
		if t := d.Target; (cloudKey{t.Profile, t.Region}) == key && t.Account != "" && t.Account != have && r.now.Sub(d.Seen) < sgsync.MaxLease {
			tr := TargetReport{Target: t.Label, Profile: t.Profile, Verdicts: map[string]Verdict{}}
			tr.fail(&AccountError{Want: t.Account, Have: have})
			r.rep.Targets = append(r.rep.Targets, tr)
		}
	}
}

// releaseGroup plans to give back what is held in a group.
func (r *round) releaseGroup(key cloudKey, cloud Cloud, id string, on ports) {
	w := r.newWork(key, cloud, id)
	w.lease, w.want.ReportExpired = r.Lease, true // what is others' is not the business of this
	for _, port := range slices.Sorted(maps.Keys(on)) {
		if who := r.wantedBy(id, port); who != "" {
			r.warn("the rules for port %d in %s stay: %s wants them too", port, id, who)
			continue
		}
		w.add(Target{Port: port}, gone, gone)
	}
	if len(w.want.Ports) == 0 {
		return
	}
	for i, t := range r.selected {
		if (cloudKey{t.Profile, t.Region}) == key && slices.Contains(r.rep.Targets[i].Place.Groups, id) {
			w.users = append(w.users, t.key())
		}
	}
	if len(w.users) == 0 {
		w.users = []string{key.String() + "|" + id}
		r.rep.Targets = append(r.rep.Targets, TargetReport{Target: id, key: w.users[0], Verdicts: map[string]Verdict{}})
	}
	r.work = append(r.work, w)
}

// wantedBy names a target that this release is not about and that wants the port of a group: a session that
// ends must not take away the rule that another target of the same group needs.
func (r *round) wantedBy(id string, port int) string {
	if r.req.Targets == nil {
		return ""
	}
	for _, t := range r.all {
		named := slices.ContainsFunc(r.selected, func(s Target) bool { return s.key() == t.key() })
		if place, _ := r.place(t); !named && !place.Ended && t.Port == port && slices.Contains(place.Groups, id) {
			return t.Label
		}
	}
	return ""
}
