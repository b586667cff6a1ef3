package keeper

import (
	"context"
	"maps"
	"slices"
)

// following says why a session may not make a round by itself now. The caller holds the lock, so nobody revokes between
// this and the round.
func (k *Keeper) following(req Request) error {
	switch {
	case !req.Session || req.Release:
		return nil
	case k.Store.Paused(k.wall()) != nil:
		return ErrPaused
	case slices.ContainsFunc(req.Targets, k.Store.revoked().has):
		return ErrRevoked
	}
	return nil
}

// revoked notes what open sessions must know: which targets a person has given back, until a person or the daemon wants them
// again. It is written before the first call to AWS: what is not given back at once, no session renews either.
func (r *round) revoked() {
	if r.req.DryRun || r.req.Session {
		return
	}
	was := r.Store.revoked()
	if !r.req.Release && len(was) == 0 {
		return
	}
	now, about := slices.Clone(was), r.req.Targets
	if about == nil {
		about = r.Targets // that the daemon renews a temporary one for its session is nobody's word
	}
	switch {
	case !r.Store.Sessions():
		now = nil
	case r.req.Release && r.req.Targets == nil:
		now = now.add(word{All: true}) // also what the state knows no more: a session may have slept past its target's end
	default:
		for _, t := range about {
			if r.req.Release {
				now = now.add(word{Subject: t.subject()})
			} else if now.has(t) {
				now = now.add(word{Again: t.key()})
			}
		}
	}
	if slices.Equal(was, now) {
		return
	}
	if err := r.Store.setRevoked(now); err != nil {
		r.warn("what was given back could not be noted for the sessions that are open: %v", err)
	}
}

// leftOf are the targets of a session that ends which it gives back: those that somebody was promised for longer stay, and of
// what nothing is remembered, nothing is held. The caller holds the lock, so nobody is promised more between this and the round.
func (r *round) leftOf(targets []Target) []Target {
	return slices.DeleteFunc(slices.Clone(targets), func(t Target) bool {
		_, known := r.st.Places[t.key()]
		for _, o := range r.st.Temporary {
			if o.key() == t.key() {
				known = true
				if o.Kept.After(r.now) {
					return true
				}
			}
		}
		return !known
	})
}

// OfSessions are the temporary targets, and those whose time is over and whose rules have not been given back.
func (s *State) OfSessions() []Target {
	ts := slices.Clone(s.Temporary)
	for _, key := range slices.Sorted(maps.Keys(s.Places)) {
		if t := s.Places[key].Target; !t.Until.IsZero() && !slices.ContainsFunc(ts, t.Same) {
			ts = append(ts, t)
		}
	}
	return ts
}

// Keep notes that the rule of a temporary target stays until the target's end, whatever session ends before. It does nothing
// for one that is not there any more: somebody has revoked it.
func (s *Store) Keep(ctx context.Context, t Target) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	st, _ := s.Load()
	i := slices.IndexFunc(st.Temporary, func(o Target) bool { return o.key() == t.key() })
	if i < 0 || !t.Until.After(st.Temporary[i].Kept) {
		return nil
	}
	st.Temporary[i].Kept = t.Until
	return s.Save(st)
}
