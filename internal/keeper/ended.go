package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// sweeper is the installation id under which is swept. No lease has it: ids are hexadecimal.
const sweeper = "sweep"

// SweepRequest says where to look for rules whose leases have ended.
type SweepRequest struct {
	// Targets are the targets whose groups are looked at; nil is all of the configuration.
	Targets []Target
	// All looks at every group of the regions of the targets, by tag.
	All bool
	// DryRun plans and writes nothing.
	DryRun bool
}

// SweepEnded removes the rules whose leases have all ended, whoever made them, and ended leases from rules that live.
// Rules with a live lease stay, those of this computer too; so do ranges (somebody wrote them down on
// purpose) and rules that an administrator keeps. It needs no address and makes no lease, so any identity may do it.
func (k *Keeper) SweepEnded(ctx context.Context, req SweepRequest) (Report, error) {
	targets := req.Targets
	if targets == nil {
		targets = k.Targets
	}
	if len(targets) == 0 {
		return Report{}, ErrNothing
	}
	start := k.wall()
	j := k.janitor(req.DryRun)
	rep := Report{Targets: []TargetReport{}, Applied: !req.DryRun}
	if req.All {
		rep.Targets = j.everywhere(ctx, targets)
	} else {
		rep.Targets = j.ofTargets(ctx, targets)
	}
	rep.Took = k.wall().Sub(start)
	return rep, j.remember(ctx, rep)
}

// ofTargets sweeps the groups of targets, each group once.
func (j *janitor) ofTargets(ctx context.Context, targets []Target) []TargetReport {
	reports := make([]TargetReport, len(targets))
	duties := map[string]*duty{}
	for i, t := range targets {
		tr := &reports[i]
		*tr = TargetReport{Target: t.Label, Verdicts: map[string]Verdict{}, Groups: []GroupReport{}}
		cloud, err := j.accountOf(ctx, t)
		if err != nil {
			tr.fail(err)
			continue
		}
		j.say("looking up " + t.Label)
		place, err := cloud.Resolve(ctx, t, Before{})
		if err != nil {
			tr.fail(err)
			continue
		}
		tr.Cluster, tr.Name, tr.State, tr.Place = place.Cluster, place.Name, place.State, place
		for _, id := range place.Groups {
			if duties[id] == nil {
				duties[id] = newDuty(cloud, id)
			}
		}
	}
	j.sweepAll(ctx, slices.Collect(maps.Values(duties)))
	for i := range reports {
		for _, id := range reports[i].Place.Groups {
			reports[i].take(duties[id])
		}
	}
	return reports
}

// everywhere sweeps all groups of the targets' regions that hold a rule of this program.
func (j *janitor) everywhere(ctx context.Context, targets []Target) (reports []TargetReport) {
	var keys []cloudKey
	var duties []*duty
	for _, t := range targets {
		key := cloudKey{t.Profile, t.Region}
		if slices.Contains(keys, key) {
			continue
		}
		keys = append(keys, key)
		groups, cloud, err := j.groupsIn(ctx, key, targets)
		if err != nil {
			reports = append(reports, failedRegion(key, err))
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			if !slices.ContainsFunc(duties, func(d *duty) bool { return d.group == id }) {
				duties = append(duties, newDuty(cloud, id))
			}
		}
	}
	j.sweepAll(ctx, duties)
	for _, d := range duties {
		tr := TargetReport{Target: d.group, Verdicts: map[string]Verdict{}, Groups: []GroupReport{}}
		tr.take(d)
		reports = append(reports, tr)
	}
	return reports
}

// groupsIn lists the groups of a place, if all targets there allow for the account: a whole region is looked at, so
// one that is pinned counts for those that are not.
func (j *janitor) groupsIn(ctx context.Context, key cloudKey, targets []Target) (map[string][]sgsync.Rule, Cloud, error) {
	var cloud Cloud
	for _, t := range targets {
		if (cloudKey{t.Profile, t.Region}) != key {
			continue
		}
		var err error
		if cloud, err = j.accountOf(ctx, t); err != nil {
			return nil, nil, err
		}
	}
	groups, err := j.tagged(ctx, cloud)
	return groups, cloud, err
}

// accountOf opens the cloud of a target, and refuses another account than the one that it is pinned to.
func (j *janitor) accountOf(ctx context.Context, t Target) (Cloud, error) {
	cloud, err := j.open(ctx, cloudKey{t.Profile, t.Region})
	if err != nil {
		return nil, err
	}
	if have := cloud.Identity().Account; t.Account != "" && t.Account != have {
		return nil, &AccountError{Want: t.Account, Have: have}
	}
	return cloud, nil
}

// sweepAll sweeps groups side by side.
func (j *janitor) sweepAll(ctx context.Context, duties []*duty) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, parallelCalls)
	for _, d := range duties {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			j.tidy(ctx, d, sgsync.Holder{UserID: d.cloud.Identity().UserID, Installation: sweeper}, false)
			d.ranges()
		})
	}
	wg.Wait()
}

// ranges names the leased ranges that have ended: a person wrote them down, and a person takes them away.
func (d *duty) ranges() {
	for _, r := range d.rep.Rules {
		p, err := netip.ParsePrefix(r.CIDR)
		live := slices.ContainsFunc(r.Leases, func(l LeaseReport) bool { return l.Live })
		if err == nil && !p.IsSingleIP() && !(p.Addr().Is6() && p.Bits() == 64) && len(r.Leases) > 0 && !live {
			d.warn = append(d.warn, fmt.Sprintf("rule %s in %s: the leases on the range %s have ended; ranges are left to a person to remove", r.Rule, d.group, r.CIDR))
		}
	}
}

// take puts the result of a group under a target.
func (t *TargetReport) take(d *duty) {
	t.Groups = append(t.Groups, d.rep)
	if d.rep.Err != nil && t.Err == nil {
		t.fail(d.rep.Err)
	}
	t.Warnings = append(t.Warnings, d.warn...)
}

func failedRegion(key cloudKey, err error) TargetReport {
	label := fmt.Sprintf("profile %q, region %q", key.profile, key.region)
	if a, ok := errors.AsType[*AccountError](err); ok {
		label = "account " + a.Want
	}
	tr := TargetReport{Target: label, Verdicts: map[string]Verdict{}, Groups: []GroupReport{}}
	tr.fail(err)
	return tr
}
