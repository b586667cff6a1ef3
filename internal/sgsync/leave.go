package sgsync

import (
	"fmt"
	"time"
)

// purgesARound bounds the tidying of one rule: a rule full of ended leases costs no more calls than that.
const purgesARound = 3

// leftovers returns the managed rules of mine on this port and family that nothing wants, in order of id.
func (p *planner) leftovers(port int, v4 bool) []Rule {
	var rs []Rule
	for _, r := range p.rules {
		if _, mine := r.Tags[p.me.Key()]; !mine || p.done[r.ID] || !r.Managed() || r.FromPort != port || is4(r.CIDR) != v4 {
			continue
		}
		p.done[r.ID] = true
		rs = append(rs, r)
	}
	return rs
}

// leftover handles a rule with my lease that nothing wants any more.
func (p *planner) leftover(rule Rule, f Family) {
	mine, _ := rule.lease(p.me.Holder)
	c := Change{Rule: rule.ID, Port: rule.FromPort, CIDR: rule.CIDR, Role: Self}
	switch {
	case f.State == Unknown, f.State == Absent && p.now.Sub(f.Since) < AbsentAfter:
		if !mine.Live(p.now.Add(-Grace)) && !p.othersLive(rule) && !provisioned(rule) {
			c.Do, c.Key, c.Why = Remove, mine.Key, "the lease has ended, and the address is still unknown"
			break
		}
		if !p.holds(mine) {
			return // it lapses: joining anew would open an address that is not confirmed
		}
		if p.now.Sub(f.Since) < KeepUnknown {
			p.keep(c, mine)
			return
		}
		c.Do, c.Firm, c.Why = Keep, p.firm(mine), "the address is unknown for too long: the lease is not renewed"
	case !p.want.Complete && !hostSized(rule.CIDR):
		c.Do, c.Firm, c.Why = Keep, p.firm(mine), "a range that another target may want"
	case p.othersLive(rule) || provisioned(rule):
		c.Do, c.Key, c.Value, c.Why = Leave, mine.Key, mine.Value, "the rule is not mine alone"
	case p.torn(mine):
		c.Do, c.FirmFrom, c.Why = Keep, mine.FirmFrom, "no longer wanted, but joined so short a time ago that the leases of others may not be seen yet"
		p.out.lookAt(shown(mine))
		p.out.Unshown = later(p.out.Unshown, shown(mine))
	default:
		c.Do, c.Key, c.Why = Remove, mine.Key, "no longer wanted, and nobody else holds this rule"
	}
	p.out.List = append(p.out.List, c)
}

// torn reports whether the read may show a rule that I have joined without the tags that it was made with. EC2 does
// not promise that the tags of one call show at once, and on a rule without a lease of somebody else's mine looks
// like the last. A lease that cannot be from a join of now protects nobody, and nothing is waited for.
func (p *planner) torn(mine Lease) bool {
	return mine.Strange(p.now) == "" && mine.Live(p.now) && p.now.Before(shown(mine)) && !mine.FirmFrom.After(p.now.Add(D+ClockGrain))
}

// shown is when every read shows all that a rule had when my join of it was planned: it was there already.
func shown(mine Lease) time.Time { return mine.FirmFrom.Add(Sigma - D) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// othersLive reports whether somebody else holds the rule, or did a moment ago: a laptop that renews late
// must not lose it to our move.
func (p *planner) othersLive(rule Rule) bool {
	for _, l := range rule.Leases() {
		if l.Key != p.me.Key() && l.Live(p.now.Add(-Grace)) {
			return true
		}
	}
	return false
}

// others handles the managed rules of other installations: a rule whose last lease has ended goes.
func (p *planner) others(port int, f Family, v4 bool) {
	for _, rule := range p.rules {
		if p.done[rule.ID] || !rule.Managed() || rule.FromPort != port || is4(rule.CIDR) != v4 || !hostSized(rule.CIDR) {
			continue
		}
		p.done[rule.ID] = true
		if p.protected(rule) {
			if p.othersLive(rule) {
				p.purge(rule)
			}
			continue
		}
		if f.State == Unknown { // I2: while we do not know ourselves, nothing is removed
			continue
		}
		if p.want.ReportExpired {
			p.out.Expired = append(p.out.Expired, rule.ID)
			continue
		}
		p.out.List = append(p.out.List, Change{Do: Remove, Rule: rule.ID, Port: rule.FromPort, CIDR: rule.CIDR, Role: Other,
			Why: "its last lease has ended"})
	}
}

// protected reports whether a rule of others must stay: a live lease, one that ended a moment ago, an
// administrator's mark, or no lease at all in a single read (it may be about to be joined, or the read
// may be stale).
func (p *planner) protected(rule Rule) bool {
	if provisioned(rule) {
		return true
	}
	leases := rule.Leases()
	for _, l := range leases {
		if l.Live(p.now.Add(-Grace)) {
			return true
		}
	}
	if len(leases) > 0 {
		return false
	}
	p.out.Bare = append(p.out.Bare, rule.ID)
	first, seen := p.have.Bare[rule.ID]
	if seen && p.now.Sub(first) >= Sigma {
		return false
	}
	if !seen {
		first = p.now
	}
	p.out.lookAt(first.Add(Sigma))
	return true
}

// provisioned reports whether an administrator keeps the rule: it is neither moved nor removed.
func provisioned(rule Rule) bool {
	_, ok := rule.Tags[ProvisionedTag]
	return ok
}

// ended returns the leases of others on a rule that ended more than grace ago.
func (p *planner) ended(rule Rule, grace time.Duration) []Lease {
	var ls []Lease
	for _, l := range rule.Leases() {
		if l.Key != p.me.Key() && !l.Live(p.now.Add(-grace)) {
			ls = append(ls, l)
		}
	}
	return ls
}

// purge plans the tidying of a rule that stays.
func (p *planner) purge(rule Rule) {
	for i, l := range p.ended(rule, Grace) {
		if i == purgesARound {
			break
		}
		p.out.List = append(p.out.List, p.purgeChange(rule, l, false))
	}
}

func (p *planner) purgeChange(rule Rule, l Lease, first bool) Change {
	return Change{Do: Purge, Rule: rule.ID, Port: rule.FromPort, CIDR: rule.CIDR, Role: Other, Key: l.Key, Value: l.Value,
		Why: "this lease has ended", first: first}
}

// findings notes what the user should know and this program does not change.
func (p *planner) findings(port int) {
	for _, r := range p.rules {
		if r.Public(port) {
			p.out.Public = append(p.out.Public, r.ID)
		}
		if !r.shaped() || r.FromPort != port {
			continue
		}
		for _, l := range r.Leases() {
			if why := l.Strange(p.now); why != "" {
				p.out.Warnings = append(p.out.Warnings, fmt.Sprintf("rule %s: %s; it counts as live and is left alone (tag %s)", r.ID, why, clean(l.Key, 127)))
			}
		}
		if _, leased := r.Tags[p.me.Key()]; leased && !r.Managed() {
			p.out.Warnings = append(p.out.Warnings, fmt.Sprintf("rule %s carries our lease but is not a rule of ours; it is left alone", r.ID))
		}
	}
}
