package keeper

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// finish writes down what the round found, and when the next one is due.
func (r *round) finish(ctx context.Context) error {
	st, failed, before := r.st, r.rep.Failed(), r.st.Status.LastError
	if r.wrote {
		st.Status.Changed = r.now
	}
	if ctx.Err() != nil { // it was cut short: what it found is not worth showing, and a round is due at once
		st.Status.NextRound = time.Time{}
		if r.wrote {
			r.enter(before, failed)
		}
		return r.Store.Save(st)
	}
	r.settleDeparted()
	for i, t := range r.selected {
		if r.req.Release && failed == nil {
			delete(st.Places, t.key())
		}
		if r.req.Release && r.rep.Targets[i].Err == nil { // whatever could not be given back elsewhere
			st.Temporary = slices.DeleteFunc(st.Temporary, func(o Target) bool { return o.key() == t.key() })
		}
	}
	r.schedule(failed)
	whole := r.req.Targets == nil
	st.Status.LastRound = r.now
	shown := r.kept()
	if whole && r.req.Release && failed == nil {
		st.Status.Report, st.Traces = Report{}, nil // nothing is held any more
	} else if whole {
		st.Status.Report = shown
	} else {
		st.Status.Report.merge(shown)
	}
	r.forget(whole && !r.req.Release && failed == nil, failed != nil)
	st.Status.Identity = r.identities()
	r.enter(before, failed)
	return r.Store.Save(st)
}

// settleDeparted forgets the targets that have left the configuration once their rules are given back, or
// the leases on them have ended.
func (r *round) settleDeparted() {
	for _, w := range r.work {
		for _, key := range w.departed {
			r.stuck[key] = r.stuck[key] || w.rep.Err != nil || w.unsure
		}
	}
	for _, key := range r.swept { // a day passes until the next look by tag, unless something is left
		if !slices.ContainsFunc(r.work, func(w *groupWork) bool {
			return slices.Contains(w.swept, key) && (w.rep.Err != nil || w.unsure)
		}) {
			r.st.Swept[key.String()] = r.now
		}
	}
	for _, d := range r.departed {
		key := d.Target.key()
		switch {
		case r.stuck[key] && r.now.Sub(d.Seen) < sgsync.MaxLease:
		case slices.ContainsFunc(r.all, func(t Target) bool { return t.key() == key }): // only some of its groups were left
			if rem := r.st.Places[key]; !r.req.Release {
				rem.Left = nil
				r.st.Places[key] = rem
			}
		case !r.req.Release || r.rep.Failed() == nil:
			delete(r.st.Places, key)
		}
	}
}

// schedule settles when the next round is due. After a failure that is a pause, whatever else the failed
// groups ask for; those that succeeded are looked at in their time all the same.
func (r *round) schedule(failed error) {
	st, end, partial := r.st, r.wall(), r.req.Targets != nil
	if failed != nil && !r.onlyEnded() {
		r.next = time.Time{}
	}
	for _, w := range r.work {
		if w.rep.Err == nil && !w.next.IsZero() {
			r.soon(w.next)
		}
	}
	switch {
	case failed != nil && r.onlyEnded():
		// Trying again sooner brings no terminated cluster back.
		st.Failures, st.Crowded, st.Status.LastError = 0, 0, failed.Error()
	case failed != nil:
		if !partial {
			st.Failures = min(st.Failures+1, len(backoff))
			r.countCrowded(r.telling(failed))
		}
		st.Status.LastError = failed.Error()
		r.soon(end.Add(r.again(r.telling(failed))))
	case partial && st.Failures > 0: // it says nothing about the targets that failed
	default:
		st.Failures, st.Crowded, st.Status.LastError = 0, 0, ""
	}
	for _, t := range st.Temporary {
		r.soon(t.Until)
	}
	r.soon(end.Add(jitter(DriftCheck)))
	for _, j := range sgsync.Recent(st.Journal, end) {
		shows := j.At.Add(sgsync.Sigma)
		if j.Maybe { // it may not have acted yet
			shows = shows.Add(sgsync.AttemptTimeout)
		}
		if shows.After(st.Settled) {
			st.Settled = shows
		}
	}
	if failed == nil && st.Settled.After(end) {
		r.soon(st.Settled) // whatever asked for this round: it came too early to see all. A failed one is made anew in any case.
	}
	if partial {
		r.soon(r.was) // what is due for the other targets stays due; zero is at once
	}
	st.Status.NextRound = r.next
}

// telling is the failure that says when to try again: a crowded account before what passes by itself, and that before what
// only the user can settle, which is failed. Another target's must not hide it.
func (r *round) telling(failed error) error {
	for _, is := range []func(error) bool{r.Crowded, r.Transient} {
		for _, t := range r.rep.Targets {
			if is != nil && t.Err != nil && is(t.Err) {
				return t.Err
			}
		}
	}
	return failed
}

// again is the pause after a failure. In a crowded account everybody waits for the same calls: whoever came late would try
// often and win, so the pauses are long from the start, and spread over their whole length. Who waits for access comes first.
func (r *round) again(failed error) time.Duration {
	pause := backoff[max(r.st.Failures, 1)-1]
	switch waiting := r.waiting(); {
	case r.st.Crowded > 0 && waiting:
		return spread(crowdedPause(r.st.Crowded))
	case r.st.Crowded > 0:
		return spread(crowdedMost)
	case r.Transient == nil || !r.Transient(failed):
	case waiting:
		pause = min(pause, waitingPause) // somebody is shut out until AWS answers again
	case r.st.Failures == len(backoff):
		pause = DriftCheck // and everybody else leaves the room to them
	}
	return jitter(pause)
}

// countCrowded counts the rounds in a row for which AWS had no room: after an outage everybody comes back at once, and how
// long that lasted says nothing about the crowd.
func (r *round) countCrowded(failed error) {
	r.st.Crowded++
	if r.Crowded == nil || !r.Crowded(failed) {
		r.st.Crowded = 0
	}
}

// spread is a pause of half to one and a half of d.
func spread(d time.Duration) time.Duration {
	return time.Duration((0.5 + rand.Float64()) * float64(d))
}

// waiting reports whether a target's address is one that no rule in a group of that target is known to admit.
func (r *round) waiting() bool {
	for _, t := range r.all {
		place, known := r.place(t)
		if place.Ended {
			continue
		}
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			for _, p := range r.families[familyKey{t.key(), f}].Self {
				if !known || slices.ContainsFunc(place.Groups, func(id string) bool { return !r.admitted(id, t.Port, p) }) {
					return true
				}
			}
		}
	}
	return false
}

// admitted reports whether a rule is known to admit an address to a port of a group, whoever made it: by what this round has read,
// or the one before it.
func (r *round) admitted(id string, port int, p netip.Prefix) bool {
	if i := slices.IndexFunc(r.work, func(w *groupWork) bool { return w.id == id && w.rep.read }); i >= 0 {
		return r.work[i].rep.admits(port, p)
	}
	return slices.ContainsFunc(r.st.Status.Report.Targets, func(t TargetReport) bool {
		return slices.ContainsFunc(t.Groups, func(g GroupReport) bool { return g.ID == id && g.admits(port, p) })
	})
}

// admits reports whether a managed rule of a group, or one that is borrowed, admits an address to a port.
func (g GroupReport) admits(port int, p netip.Prefix) bool {
	return slices.ContainsFunc(g.Rules, func(r RuleReport) bool { return r.Port == port && r.CIDR == p.String() }) ||
		slices.ContainsFunc(g.Changes, func(c ChangeReport) bool {
			return c.Do == string(sgsync.Borrow) && c.Port == port && c.CIDR == p.String()
		})
}

// onlyEnded reports whether nothing but terminated clusters made the round fail.
func (r *round) onlyEnded() bool {
	return !slices.ContainsFunc(r.rep.Targets, func(t TargetReport) bool { return t.Err != nil && !errors.Is(t.Err, ErrEnded) })
}

// kept is the report as the status shows it: with the rules of targets that could not be looked at, as they
// were last read.
func (r *round) kept() Report {
	rep := r.rep
	rep.Targets = slices.Clone(rep.Targets)
	for i := range rep.Targets {
		t := &rep.Targets[i]
		for _, old := range r.st.Status.Report.Targets {
			if old.Target == t.Target {
				t.sameReach(old)
				t.sameRules(old)
			}
			if t.Err == nil || len(t.Groups) > 0 || old.Target != t.Target {
				continue
			}
			for _, g := range old.Groups {
				g.Changes = borrowed(g.Changes)
				t.Groups = append(t.Groups, g)
			}
			break
		}
	}
	return rep
}

// sameRules keeps what is known of groups whose rules could not be read.
func (t *TargetReport) sameRules(old TargetReport) {
	t.Groups = slices.Clone(t.Groups)
	for i, g := range t.Groups {
		j := slices.IndexFunc(old.Groups, func(o GroupReport) bool { return o.ID == g.ID })
		if j >= 0 && g.Err != nil && !g.read {
			t.Groups[i].Rules, t.Groups[i].Public, t.Groups[i].Changes = old.Groups[j].Rules, old.Groups[j].Public, borrowed(old.Groups[j].Changes)
		}
	}
}

// borrowed are the changes that still say something when they were made long ago: which rules are not ours, and admit us.
func borrowed(cs []ChangeReport) []ChangeReport {
	return append([]ChangeReport{}, slices.DeleteFunc(slices.Clone(cs), func(c ChangeReport) bool { return c.Do != string(sgsync.Borrow) })...)
}

func (r *round) identities() []Identity {
	var ids []Identity
	for _, k := range slices.SortedFunc(maps.Keys(r.clouds), cloudKey.compare) {
		if c := r.clouds[k]; c.cloud != nil {
			ids = append(ids, c.cloud.Identity())
		}
	}
	if ids != nil && r.req.Targets == nil {
		return ids
	}
	for _, old := range r.st.Status.Identity { // of targets that this round was not about, or could not sign in for
		if !slices.ContainsFunc(ids, func(id Identity) bool { return id.Profile == old.Profile && id.Region == old.Region }) {
			ids = append(ids, old)
		}
	}
	return ids
}

// merge replaces the targets of a report that a partial round has looked at. Several may have one label.
func (r *Report) merge(o Report) {
	for _, t := range o.Targets {
		same := func(x TargetReport) bool { return x.Target == t.Target }
		at := slices.IndexFunc(r.Targets, same)
		if at < 0 {
			at = len(r.Targets)
		}
		var all []TargetReport
		for _, x := range o.Targets {
			if same(x) {
				all = append(all, x)
			}
		}
		r.Targets = slices.Insert(slices.DeleteFunc(r.Targets, same), at, all...)
	}
	r.Applied, r.Warnings = o.Applied, o.Warnings
}

// jitter spreads a pause by ten percent: many laptops wake at nine.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}
