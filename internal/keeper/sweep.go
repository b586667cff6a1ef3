package keeper

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// ports are the ports of a group on which this installation has rules.
type ports map[int]bool

// held are those by group.
type held map[string]ports

func (h held) add(group string, port int) {
	if h[group] == nil {
		h[group] = ports{}
	}
	h[group][port] = true
}

// held lists by tag where this installation has rules in a region: group → ports.
func (r *round) held(ctx context.Context, cloud Cloud) (held, error) {
	r.say("looking for rules of this installation in " + cloud.Identity().Region)
	rules, err := cloud.Tagged(ctx, r.me(cloud.Identity(), r.Lease).Key())
	if err != nil {
		return nil, err
	}
	h := held{}
	for _, rule := range rules {
		if rule.Managed() {
			h.add(rule.Group, rule.FromPort)
		}
	}
	return h, nil
}

// sweep looks once a day by tag for rules of ours that no target leads to any more (the state was lost, a
// group has left its cluster), and plans to give them back. It waits until every target has been found once, with all of
// its clusters: else it could not tell.
func (r *round) sweep(ctx context.Context) {
	if r.req.Targets != nil {
		return
	}
	for _, t := range r.all {
		if p, known := r.place(t); !known || p.Partial {
			return
		}
	}
	for _, t := range r.st.Traces {
		if _, err := r.cloud(ctx, t.Profile, t.Region); err != nil {
			r.log().Warn("rules could not be looked for by tag", slog.String("region", t.Region), slog.Any("error", err))
		}
	}
	keys := slices.SortedFunc(maps.Keys(r.clouds), cloudKey.compare)
	for _, key := range keys {
		cloud := r.clouds[key].cloud
		if age := r.now.Sub(r.st.Swept[key.String()]); cloud == nil || age >= 0 && age < SweepEvery || !r.accepted(key, cloud) {
			continue
		}
		held, err := r.held(ctx, cloud)
		if err != nil {
			r.log().Warn("rules could not be looked for by tag", slog.Any("error", err))
			continue
		}
		if len(held) == 0 {
			r.st.untraced(key)
		}
		for _, id := range slices.Sorted(maps.Keys(held)) {
			r.leave(key, cloud, id, held[id])
		}
		r.swept = append(r.swept, key)
	}
}

// leave plans to give back what is held in a group on ports that nothing wants.
func (r *round) leave(key cloudKey, cloud Cloud, id string, on ports) {
	i := slices.IndexFunc(r.work, func(w *groupWork) bool { return w.id == id })
	if i < 0 {
		i = len(r.work)
		r.work = append(r.work, r.newWork(key, cloud, id))
		r.work[i].lease = r.Lease
	}
	w := r.work[i]
	for _, port := range slices.Sorted(maps.Keys(on)) {
		if r.wants(id, port) {
			continue // also a target that could not be looked up in this round still wants what it had
		}
		w.swept = append(w.swept, key)
		if !slices.ContainsFunc(w.want.Ports, func(p sgsync.Port) bool { return p.Port == port }) {
			w.add(Target{Port: port}, gone, gone)
		}
	}
}

// wants reports whether a target uses a port of a group, by the place where it is or was.
func (r *round) wants(id string, port int) bool {
	return slices.ContainsFunc(r.all, func(t Target) bool {
		place, known := r.place(t)
		return known && !place.Ended && t.Port == port && slices.Contains(place.Groups, id)
	})
}

// accepted reports whether the credentials belong to the account that the targets of a profile and region
// are pinned to.
func (r *round) accepted(key cloudKey, cloud Cloud) bool {
	for _, t := range r.all {
		if (cloudKey{t.Profile, t.Region}) == key && t.Account != "" && t.Account != cloud.Identity().Account {
			return false
		}
	}
	return true
}
