package keeper

import (
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// forget drops what is remembered of targets, groups and rules that nothing leads to any more. Each round does it, also one
// that is about some targets, or fails: some people never run another, and a cluster of one day must not be in the state for
// ever. whole: the round has read all groups that there are.
func (r *round) forget(whole, failed bool) {
	st := r.st
	known := keysOf(r.all)
	if !failed { // the clock may be far off
		r.forgetPlaces(known)
	}
	labels, groups := map[string]bool{}, map[string]bool{}
	for _, t := range r.all {
		labels[t.Label] = true
	}
	for _, t := range r.rep.Targets { // what was found by tag bears other names
		labels[t.Target] = true
	}
	for key, rem := range st.Places {
		known[key], labels[rem.Target.Label] = true, true
		for _, id := range rem.groups() {
			groups[id] = true
		}
	}
	families := map[string]bool{}
	for key := range known {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			families[f.String()+" "+key] = true
		}
	}
	for key := range st.Families {
		if !families[key] {
			delete(st.Families, key)
		}
	}
	for _, w := range r.work { // one that was found by tag, and could not be given back
		groups[w.id] = true
	}
	for id, mem := range st.Rules {
		if !groups[mem.Group] {
			delete(st.Rules, id)
		}
	}
	for id, seen := range st.Bare {
		if !r.bare[id] && (whole || r.now.Sub(seen) > sgsync.MaxLease) {
			delete(st.Bare, id)
		}
	}
	for group, times := range st.Lost {
		if len(times) == 0 || r.now.Sub(times[len(times)-1]) > LostWindow {
			delete(st.Lost, group)
		}
	}
	for key, last := range st.Swept {
		if r.now.Sub(last) >= SweepEvery { // the same as never
			delete(st.Swept, key)
		}
	}
	st.Status.Report.Targets = slices.DeleteFunc(st.Status.Report.Targets, func(t TargetReport) bool { return !labels[t.Target] })
}

// forgetPlaces drops the places of targets that nobody names any more, and the groups that a target has left, when all leases
// there have ended; what sessions have left is given back by the next round in that region, and is not forgotten. A trace
// stays: there what may be left is found by tag.
func (r *round) forgetPlaces(known map[string]bool) {
	for key, rem := range r.st.Places {
		gone := !known[key] && rem.Target.Until.IsZero() && r.now.Sub(rem.Seen) > sgsync.MaxLease
		if gone {
			delete(r.st.Places, key)
		}
		for id, since := range rem.Left {
			if r.now.Sub(since) > sgsync.MaxLease {
				delete(rem.Left, id)
				gone = true
			}
		}
		if t := (Trace{rem.Target.Profile, rem.Target.Region}); gone && !slices.Contains(r.st.Traces, t) {
			r.st.Traces = append(r.st.Traces, t)
		}
	}
}

// Trace is a profile and region where rules of ours may be that no place leads to. It stays until a look by tag finds none.
type Trace struct {
	Profile string `json:"profile"`
	Region  string `json:"region"`
}

// untraced: a look by tag has shown that nothing of ours is there.
func (s *State) untraced(key cloudKey) {
	s.Traces = slices.DeleteFunc(s.Traces, func(t Trace) bool { return t == Trace{key.profile, key.region} })
}
