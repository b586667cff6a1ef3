package keeper

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// ReleaseMine gives back what all installations of the same AWS user hold in the regions of the targets, lost computers
// among them: leases go, and rules with their last lease. It acts on leases that carry the caller's userid, never
// on a rule because of its owner tag: a rule that I made may serve others now. Targets nil is all of the
// configuration, and what the state remembers.
func (k *Keeper) ReleaseMine(ctx context.Context, targets []Target, dry bool) (Report, error) {
	if targets == nil {
		st, _ := k.Store.Load()
		targets = slices.Concat(k.Targets, st.Temporary)
		for _, key := range slices.Sorted(maps.Keys(st.Places)) {
			targets = append(targets, st.Places[key].Target)
		}
	}
	if len(targets) == 0 {
		return Report{}, ErrNothing
	}
	j := k.janitor(dry)
	rep := Report{Targets: []TargetReport{}, Applied: !dry}
	var keys []cloudKey
	for _, t := range targets {
		key := cloudKey{t.Profile, t.Region}
		if slices.Contains(keys, key) {
			continue
		}
		keys = append(keys, key)
		groups, cloud, err := j.groupsIn(ctx, key, targets)
		if err == nil && cloud.Identity().Unstable {
			err = ErrUnstable // it has a new userid each time, and finds nothing
		}
		if err != nil {
			rep.Targets = append(rep.Targets, failedRegion(key, err))
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			if holders := holdersOf(groups[id], cloud.Identity().UserID); len(holders) > 0 {
				rep.Targets = append(rep.Targets, j.disown(ctx, newDuty(cloud, id), holders))
			}
		}
	}
	return rep, j.remember(ctx, rep)
}

// disown gives back what some installations hold in a group, one after the other: for each of them the others are
// others, until it is the last.
func (j *janitor) disown(ctx context.Context, d *duty, holders []sgsync.Holder) TargetReport {
	for _, h := range holders {
		j.tidy(ctx, d, h, true)
		if d.rep.Err != nil {
			break
		}
	}
	tr := TargetReport{Target: d.group, Verdicts: map[string]Verdict{}, Groups: []GroupReport{}}
	tr.take(d)
	return tr
}

// holdersOf lists the installations of a user that hold a lease on one of the rules.
func holdersOf(rules []sgsync.Rule, user string) (hs []sgsync.Holder) {
	for _, r := range rules {
		for _, l := range r.Leases() {
			if l.UserID == user && l.Installation != "" && !slices.Contains(hs, l.Holder) {
				hs = append(hs, l.Holder)
			}
		}
	}
	slices.SortFunc(hs, func(a, b sgsync.Holder) int { return strings.Compare(a.Installation, b.Installation) })
	return hs
}
