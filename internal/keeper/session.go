package keeper

import (
	"context"
	"maps"
	"slices"
)

// following says why a session may not make a round by itself now. The caller holds the lock, so nobody revokes between
// this and the round.
func (k *Keeper) following(req Request, st *State) error {
	switch {
	case !req.Session || req.Release:
		return nil
	case k.Store.Paused(k.wall()) != nil:
		return ErrPaused
	case slices.ContainsFunc(req.Targets, func(t Target) bool { return slices.Contains(st.Revoked, t.key()) }):
		return ErrRevoked
	}
	return nil
}

// revoked keeps what open sessions must know: which targets a person has given back, until a person or the daemon wants
// them again.
func (r *round) revoked() {
	if r.req.DryRun || r.req.Session || !r.req.Release && len(r.st.Revoked) == 0 {
		return
	}
	about := map[string]bool{}
	for _, t := range r.selected {
		about[t.key()] = true
	}
	if r.req.Release {
		for _, d := range r.departed { // the session may have slept past its target's end
			about[d.Target.key()] = true
		}
	}
	if !r.Store.Sessions() {
		r.st.Revoked = nil
		return
	}
	r.st.Revoked = slices.DeleteFunc(r.st.Revoked, func(key string) bool { return about[key] })
	if r.req.Release {
		r.st.Revoked = append(r.st.Revoked, slices.Sorted(maps.Keys(about))...)
	}
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
