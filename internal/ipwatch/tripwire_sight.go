package ipwatch

import (
	"net/netip"
	"time"
)

// When a server keeps giving hints that change nothing, it is a liar, or this network leaves by several addresses and
// the server is told another one than the sources. Either way it tells nothing.
const (
	maxStrikes = 3         // from then on it is asked rarely
	forgiven   = time.Hour // the time that takes a strike away
	// maxAgain is how many looks in a row come LookAfter the one before: a router dials twice, not for ever.
	maxAgain = 2
	// heard is how long a hint has to be concluded; a further one after it means that nothing came of the first.
	heard = 10 * time.Second
)

// saw compares a sighting with what was seen before, and returns why a hint is to be given, or "", and whether to look
// again soon.
//
// Sightings of the same server are compared with each other: a provider's NAT may show different addresses to
// different servers for ever. A server's first one is compared with another server's, or with what the sources say.
func (v *vigil) saw(o outcome, now time.Time) (hint string, again bool) {
	s, seen := o.asked, glimpse{o.sighting.Addr, o.sighting.By, o.begun, o.sighting.Addr == v.confirmed}
	base, than := s.last, "before"
	if base.by != seen.by {
		switch {
		case v.newest.addr.IsValid():
			base, than = v.newest, v.newest.by
		case v.confirmed.IsValid():
			base, than = glimpse{addr: v.confirmed, at: v.concluAt}, "the sources"
		default:
			base = glimpse{}
		}
	}
	suspect := v.suspect
	s.last, s.by, v.newest, v.suspect = seen, seen.by, seen, nil
	switch {
	case !base.addr.IsValid():
		if o.kicked != "" {
			return o.kicked + "; there is no earlier view from outside to compare with", false
		}
	case seen.addr != base.addr && !v.explains(seen.addr, base.at):
		again = (suspect == nil || suspect.addr != seen.addr) && v.inARow < maxAgain && !s.noisy()
		if again {
			v.suspect = &seen
		}
		s.accuse(now)
		return seen.by + " sees another public address than " + than, again
	case seen.addr == base.addr && base.agreed && v.confirmed.IsValid() && v.confirmed != seen.addr && base.at.Before(v.concluAt):
		// It went to another address and back between two looks, and something else told the sources of the first half.
		s.accuse(now)
		return seen.by + " sees the public address of before again", false
	case suspect != nil && suspect.by == seen.by && suspect.addr == seen.addr && !v.explains(seen.addr, suspect.at):
		// Not an accusation of its own: it is about the same change.
		return seen.by + " still sees the other public address", false
	}
	return "", false
}

// explains tells whether the sources have confirmed an address since: then everybody knows.
func (v *vigil) explains(a netip.Addr, since time.Time) bool {
	return a == v.confirmed && !v.concluAt.Before(since)
}

// concluded takes what the sources said, and scores those whose hints may have led to it. It reports whether the
// next look is due at another time now.
func (v *vigil) concluded(a netip.Addr, now time.Time) (wake bool) {
	same := !v.concluAt.IsZero() && a == v.confirmed
	moved := a.IsValid() && v.settled.IsValid() && a != v.settled
	v.confirmed, v.concluAt = a, now
	if a.IsValid() {
		v.settled = a
	}
	for _, r := range v.ladder {
		for _, s := range r.servers {
			switch {
			case moved: // another network: everybody has another chance
				s.strikes, s.quiet = 0, time.Time{}
			case same && s.accused:
				s.strike(now)
			}
			s.accused = false
			s.last.agreed = s.last.agreed || s.last.addr == a
		}
	}
	v.newest.agreed = v.newest.agreed || v.newest.addr == a
	if !moved {
		return false
	}
	v.ladder.reset()
	if v.method == v.ladder.best() || v.begun.IsZero() || v.busy {
		return false
	}
	v.nextAt(now) // what is slow here may be quick there
	return true
}

// best is the method to have.
func (l ladder) best() Method {
	if len(l) == 0 {
		return MethodNone
	}
	return l[0].method
}

func (s *server) noisy() bool { return s.strikes >= maxStrikes }

// accuse notes that a hint was given on a server's word.
func (s *server) accuse(now time.Time) {
	if s.accused && now.Sub(s.accusedAt) >= heard {
		s.strike(now)
	}
	s.accused, s.accusedAt = true, now
}

// strike counts a hint that changed nothing.
func (s *server) strike(now time.Time) {
	s.forgive(now)
	s.strikes = min(s.strikes+1, 2*maxStrikes) // so that it is forgiven within hours, whatever it did
	s.struck = now
	s.hush(now)
}

// hush makes a server with too many strikes rest. An HTTPS source never does: nobody can forge what it says, there is
// none after it, and it is asked rarely already.
func (s *server) hush(now time.Time) {
	if s.noisy() && !s.verified {
		s.quiet = now.Add(spread(RareEvery))
	}
}

// forgive takes the strikes away whose time is over.
func (s *server) forgive(now time.Time) {
	for s.strikes > 0 && now.Sub(s.struck) >= forgiven {
		s.strikes--
		s.struck = s.struck.Add(forgiven)
	}
}
