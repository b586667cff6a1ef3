package keeper

import (
	"net/netip"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// placed remembers where a rule of ours is, the latest place first.
func (s *State) placed(id, group string, cidr netip.Prefix) {
	const kept = 3 // a stale read may show an earlier place
	mem := s.Rules[id]
	cidrs := append([]netip.Prefix{cidr}, slices.DeleteFunc(slices.Clone(mem.CIDRs), func(p netip.Prefix) bool { return p == cidr })...)
	s.Rules[id] = RuleMemory{Group: group, CIDRs: cidrs[:min(len(cidrs), kept)]}
}

// cloned notices that somebody moves rules in our name: this disk was copied with its machine id. The copy
// that notices takes a new id; its old lease ends like that of any laptop that is gone.
func (r *round) cloned(raw sgsync.View, me sgsync.Me) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A read may show a rule where it was before our own move of a moment ago, and the memory may lack that place: it was lost with a
	// damaged state, or the round that moved the rule was killed.
	recent := sgsync.Recent(r.st.Journal, raw.Sent)
	for _, rule := range raw.Rules {
		mem, ok := r.st.Rules[rule.ID]
		if !ok || !settled(rule, me, raw.AWS) || len(mem.CIDRs) == 0 || slices.Contains(mem.CIDRs, rule.CIDR) {
			continue
		}
		if slices.ContainsFunc(recent, func(w sgsync.Write) bool { return w.Do == sgsync.Move && w.ID == rule.ID }) {
			continue
		}
		r.warn("rule %s was moved to %s in the name of this installation, but not by it: was this disk copied to another computer? This installation takes a new id.", rule.ID, rule.CIDR)
		if r.req.DryRun {
			return false
		}
		r.st.Installation, r.st.Rules, r.st.Journal = randomInstallation(), map[string]RuleMemory{}, nil
		r.id = r.st.Installation
		return r.Store.Save(r.st) == nil
	}
	return false
}

// settled reports whether nobody but this installation may move a rule: its lease there is live and firm. What is
// joined, or has ended, may be moved by another installation of the same user that does not know of the lease.
func settled(rule sgsync.Rule, me sgsync.Me, now time.Time) bool {
	l, ok := sgsync.ParseLease(me.Key(), rule.Tags[me.Key()])
	return ok && l.Err == nil && l.Live(now) && !now.Before(l.FirmFrom)
}

// before puts on disk what is about to be done.
func (r *round) before(group string, c sgsync.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := sgsync.Intent(group, c)
	w.At = r.wall().Add(sgsync.AttemptTimeout) // it may take effect until then
	r.st.Journal = append(r.st.Journal, w)
	if c.Do == sgsync.Move {
		r.st.placed(c.Rule, group, c.CIDR)
	}
	if mem, ok := r.st.Rules[c.Rule]; ok && (c.Do == sgsync.Remove || c.Do == sgsync.Leave) {
		mem.Leaving = true
		r.st.Rules[c.Rule] = mem
	}
	r.wrote = true
	r.st.Status.NextRound = time.Time{} // until the end of this round: if it is killed, a whole one is due
	return r.Store.saveJournal(r.st, group, true)
}

// after replaces the intents of a group by what became of them.
func (r *round) after(w *groupWork, view sgsync.View, res sgsync.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(res.Outcomes, func(o sgsync.Outcome) bool { return o.Write() && o.Done }) {
		r.miles.written = time.Now()
	}
	r.st.Journal = slices.DeleteFunc(r.st.Journal, func(j sgsync.Write) bool {
		// The intents of this pass, not those of a process that was killed a moment ago.
		return j.Maybe && j.Group == w.id && !j.At.Before(view.Sent.Add(sgsync.AttemptTimeout))
	})
	r.st.Journal = sgsync.Recent(r.st.Journal, r.wall())
	for _, j := range res.Journal {
		for _, lost := range r.st.Journal {
			if lost.Maybe && lost.ID == j.ID && lost.At.After(j.At) {
				j.At = lost.At // it must outlive what it corrects
			}
		}
		r.st.Journal = append(r.st.Journal, j)
	}
	for _, o := range res.Outcomes {
		if o.Done && o.Do == sgsync.Add {
			r.st.placed(o.Rule, w.id, o.CIDR)
		}
		if o.Err != nil && o.Do == sgsync.Move {
			r.st.placed(o.Rule, w.id, o.From) // else it would count as being where it was not moved to
		}
		if o.Done && (o.Do == sgsync.Remove || o.Do == sgsync.Leave) {
			delete(r.st.Rules, o.Rule)
		}
	}
	if len(res.Journal) > 0 {
		w.soon(r.wall().Add(sgsync.Sigma)) // look once more when the reads have caught up
		if err := r.Store.saveJournal(r.st, w.id, false); err != nil {
			w.warnings = append(w.warnings, err.Error())
		}
	}
}

// unsureUntil is when a group can be judged whole: a call whose answer was lost, or whose process was killed,
// may still act until then, and the rule that it was about is left as it is (see [sgsync.Overlay]). Zero: now.
func (r *round) unsureUntil(group string) (until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range sgsync.Recent(r.st.Journal, r.wall()) {
		hidden := j.Maybe && (j.Do == sgsync.Move || j.Do == sgsync.Remove || j.Do == sgsync.Leave || j.Do == sgsync.Join)
		if end := j.At.Add(sgsync.Sigma); hidden && j.Group == group && end.After(until) {
			until = end
		}
	}
	return until
}
