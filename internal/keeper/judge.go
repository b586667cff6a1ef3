package keeper

import (
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

type familyKey struct {
	target string // Target.key
	family ipwatch.Family
}

// memoryKey is where the memory of a family towards a target is kept: one target may be reached through a
// VPN and another not.
func memoryKey(t Target, f ipwatch.Family) string { return f.String() + " " + t.key() }

// judge turns a verdict into what the plan may rely on, and remembers it.
func (r *round) judge(t Target, f ipwatch.Family, v ipwatch.Verdict) {
	key := memoryKey(t, f)
	mem := r.st.Families[key]
	r.noteAddress(t, mem, v)
	mem.State = string(v.State)
	if mem.Confirmed.After(r.now) {
		mem.Confirmed = r.now // the clock was ahead then: twelve hours from now, and not from that time on
	}
	out := sgsync.Family{State: sgsync.Unknown, Since: mem.Confirmed}
	seen := r.now
	if r.recalled() && !t.Local {
		seen = r.asked
		r.stale = r.stale || v.State != ipwatch.Confirmed && v.State != ipwatch.Absent
	}
	switch v.State {
	case ipwatch.Confirmed:
		mem.confirm(v.Addr, seen)
		out = sgsync.Family{State: sgsync.Known, Self: []netip.Prefix{r.prefix(v.Addr)}, Since: seen}
		if mem.holds(r.now) {
			out.Held = []netip.Prefix{r.prefix(mem.Held)}
			r.soon(mem.HeldUntil)
		}
	case ipwatch.Absent:
		if mem.Absent.IsZero() || mem.Absent.After(r.now) {
			mem.Absent = r.now
		}
		out = sgsync.Family{State: sgsync.Absent, Since: mem.Absent}
		if end := mem.Absent.Add(sgsync.AbsentAfter); end.After(r.now) && r.st.covers(f) {
			r.soon(end)
		}
	default:
		mem.Absent = time.Time{}
		// Another target may know the address by another way (see mergeFamily): even then, what this one was
		// reached from is not given up.
		out.Held = r.lastAddress(mem)
	}
	r.families[familyKey{t.key(), f}] = out
	// What is remembered for a target says where its rules are. This round may not be about all of them: then a check
	// has to see that the rest are still elsewhere.
	if !r.req.DryRun && r.about(t) {
		r.st.Families[key] = mem
	}
}

// about reports whether the round acts on all groups of a target.
func (r *round) about(t Target) bool {
	return r.chosen[t.key()]
}

// lastAddress is the address that was confirmed last, while its lease may still be renewed.
func (r *round) lastAddress(mem FamilyMemory) []netip.Prefix {
	if !mem.Address.IsValid() || r.now.Sub(mem.Confirmed) >= sgsync.KeepUnknown {
		return nil
	}
	return []netip.Prefix{r.prefix(mem.Address)}
}

// confirm remembers an address. One that comes back within a minute flips: then the other one is held too.
func (m *FamilyMemory) confirm(a netip.Addr, now time.Time) {
	if m.Address.IsValid() && m.Address != a {
		if since := now.Sub(m.Changed); m.Before == a && since >= 0 && since < FlipWindow {
			m.Held, m.HeldUntil = m.Address, now.Add(FlipHold)
		}
		m.Before, m.Changed = m.Address, now
	}
	m.Address, m.Confirmed, m.Absent = a, now, time.Time{}
}

// holds reports whether a second address is held at now.
func (m *FamilyMemory) holds(now time.Time) bool {
	left := m.HeldUntil.Sub(now)
	return m.Held.IsValid() && m.Held != m.Address && left > 0 && left <= FlipHold
}

// covers reports whether a rule of ours for an address of the family is known.
func (s *State) covers(f ipwatch.Family) bool {
	for _, mem := range s.Rules {
		if len(mem.CIDRs) > 0 && f.Has(mem.CIDRs[0].Addr()) {
			return true
		}
	}
	return false
}

func (r *round) prefix(a netip.Addr) netip.Prefix {
	if a.Is6() && r.Prefix6 == 64 {
		return netip.PrefixFrom(a, 64).Masked()
	}
	return netip.PrefixFrom(a, a.BitLen())
}
