package keeper

import (
	"maps"
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

// groups are all in which there may be rules for a target.
func (m Remembered) groups() []string {
	return append(slices.Clone(m.Place.Groups), slices.Sorted(maps.Keys(m.Left))...)
}

// left are those of them that the target does not use at another place.
func (m Remembered) left(at Place, now time.Time) map[string]time.Time {
	left := map[string]time.Time{}
	for _, id := range m.groups() {
		if slices.Contains(at.Groups, id) {
			continue
		}
		left[id] = now
		if since, ok := m.Left[id]; ok {
			left[id] = since
		}
	}
	return left
}

// blind reports whether reads may show rules of ours at places that are not known any more. The caller holds the lock.
func (r *round) blind() bool { return r.now.Before(r.st.Blind) }

// moving notes that a rule is about to be moved. The caller holds the lock.
func (r *round) moving(group string, c sgsync.Change) {
	if !r.blind() {
		r.st.placed(c.Rule, group, c.CIDR)
		return
	}
	delete(r.st.Rules, c.Rule) // where it was before is not known: it is learnt when every read shows this move
	r.st.Blind = r.wall().Add(sgsync.W + sgsync.Sigma)
}

// cloned notices that somebody moves rules in our name: this disk was copied with its machine id. The copy
// that notices takes a new id; its old lease ends like that of any laptop that is gone.
func (r *round) cloned(raw sgsync.View, me sgsync.Me) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blind() {
		return false
	}
	for _, rule := range raw.Rules {
		mem, ok := r.st.Rules[rule.ID]
		if !ok || !settled(rule, me, raw.AWS) || len(mem.CIDRs) == 0 || slices.Contains(mem.CIDRs, rule.CIDR) {
			continue
		}
		if r.movedLately(rule.ID, raw) {
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

// movedLately reports whether a read may show a rule where it was before our own move of a moment ago. The memory may lack that
// place: it was lost with a damaged state, or the round that moved the rule was killed. Or a copy of this disk has moved it: the
// next read tells. The caller holds the lock.
func (r *round) movedLately(id string, view sgsync.View) bool {
	return slices.ContainsFunc(sgsync.Recent(r.st.Journal, view.Sent), func(w sgsync.Write) bool {
		return w.Do == sgsync.Move && w.ID == id
	})
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
	r.st.Journal, r.intents = append(r.st.Journal, w), append(r.intents, w)
	if c.Do == sgsync.Move {
		r.moving(group, c)
	}
	if mem, ok := r.st.Rules[c.Rule]; ok && (c.Do == sgsync.Remove || c.Do == sgsync.Leave) {
		mem.Leaving = true
		r.st.Rules[c.Rule] = mem
	}
	r.wrote = true
	r.st.Status.NextRound = time.Time{} // until the end of this round: if it is killed, a whole one is due
	return r.Store.saveJournal(r.st, group, true)
}

// after replaces the intents of a group by what became of them. sent is when the read was that they were planned on: what it may
// not have shown is remembered until the next one.
func (r *round) after(w *groupWork, sent time.Time, res sgsync.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(res.Outcomes, func(o sgsync.Outcome) bool { return o.Write() && o.Done }) {
		r.miles.written = time.Now()
	}
	r.st.Journal = slices.DeleteFunc(r.st.Journal, func(j sgsync.Write) bool {
		// The intents of this pass, not those of a process that was killed a moment ago, whatever the clock says.
		return j.Maybe && slices.ContainsFunc(r.intents, func(i sgsync.Write) bool {
			return i.Group == w.id && i.ID == j.ID && i.Do == j.Do && i.Key == j.Key && i.CIDR == j.CIDR && i.At.Equal(j.At)
		})
	})
	r.intents = slices.DeleteFunc(r.intents, func(i sgsync.Write) bool { return i.Group == w.id })
	r.st.Journal = sgsync.Recent(r.st.Journal, r.earlier(sent))
	for _, j := range res.Journal {
		for _, old := range r.st.Journal {
			if old.ID == j.ID && old.At.After(j.At) {
				j.At = old.At // it must outlive what it corrects, also when the clock was set back meanwhile
			}
		}
		r.st.Journal = append(r.st.Journal, j)
	}
	for _, o := range res.Outcomes {
		if o.Done && o.Do == sgsync.Add {
			r.st.placed(o.Rule, w.id, o.CIDR)
		}
		if o.Err != nil && o.Do == sgsync.Move && !r.blind() {
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
// may still act until then, and the rule that it was about is left as it is (see [sgsync.Overlay]). One that it may have added or
// renewed only matters where nothing is wanted of its port: else that is done again. sent is when its rules were read. Zero:
// it was judged whole.
func (r *round) unsureUntil(w *groupWork, sent time.Time) (until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range sgsync.Recent(r.st.Journal, r.earlier(sent)) {
		hidden := j.Do == sgsync.Move || j.Do == sgsync.Remove || j.Do == sgsync.Leave || j.Do == sgsync.Join || (j.Do == sgsync.Add || j.Do == sgsync.Renew) && w.nothing(j.Port)
		if end := j.At.Add(sgsync.Sigma); hidden && j.Maybe && j.Group == w.id && end.After(until) {
			until = end
		}
	}
	return until
}

// earlier is the wall time of a read, or now where the clock was set back since.
func (r *round) earlier(sent time.Time) time.Time {
	if now := r.wall(); now.Before(sent) {
		return now
	}
	return sent
}
