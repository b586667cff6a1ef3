package sgsync

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Plan decides what to do with a group, from what is wanted and what is there. It is pure: the same input
// gives the same plan, whatever the order of its parts. now is AWS's clock.
//
//	wanted prefix      | a rule has it, managed, my live lease   → keep, renew past half its time
//	                   | managed, no lease of mine (or ending)   → join
//	                   | not managed, or joining refused         → borrow
//	                   | no rule; a leftover that is mine alone  → move (own addresses only)
//	                   | no rule                                 → add
//	leftover with mine | others live on it                       → leave
//	                   | nobody else                             → remove
//	somebody else's    | no live lease for long enough           → remove; ended leases on living rules → purge
//	family unknown     | nothing opened, moved or removed; leases renewed for twelve hours
func Plan(want Want, have Have, me Me, now time.Time) Changes {
	p := planner{want: want, have: have, me: me, now: now, done: map[string]bool{}}
	p.out.Group = want.Group
	p.rules = slices.Clone(have.Rules)
	slices.SortFunc(p.rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	ports := slices.Clone(want.Ports)
	slices.SortFunc(ports, func(a, b Port) int { return cmp.Compare(a.Port, b.Port) })
	for _, port := range ports {
		p.findings(port.Port)
		p.family(port, port.V4, true)
		p.family(port, port.V6, false)
	}
	p.out.sort()
	return p.out
}

type planner struct {
	want  Want
	have  Have
	me    Me
	now   time.Time
	rules []Rule
	done  map[string]bool // rule ids that this plan has decided about
	out   Changes
}

// family plans one family of one port.
func (p *planner) family(port Port, f Family, v4 bool) {
	wanted := wantedPrefixes(port, f, v4)
	var missing []netip.Prefix
	for _, prefix := range slices.SortedFunc(maps.Keys(wanted), comparePrefix) {
		role := wanted[prefix]
		rule, found := p.find(port.Port, prefix)
		switch {
		case found:
			p.done[rule.ID] = true
			p.present(rule, role, f)
		case role != Held && f.State != Unknown: // unknown: nothing is opened, not even what the user wrote
			missing = append(missing, prefix)
		}
	}
	leftovers := p.leftovers(port.Port, v4)
	for _, prefix := range missing {
		if wanted[prefix] == Self {
			if i := slices.IndexFunc(leftovers, func(r Rule) bool { return p.movable(r, prefix) }); i >= 0 {
				p.move(leftovers[i], prefix)
				leftovers = slices.Delete(leftovers, i, i+1)
				continue
			}
		}
		p.add(port.Port, prefix, wanted[prefix])
	}
	for _, rule := range leftovers {
		p.leftover(rule, f)
	}
	p.others(port.Port, f, v4)
}

// wantedPrefixes returns the prefixes of one family with their roles; an own address outranks a held and
// a trusted one.
func wantedPrefixes(port Port, f Family, v4 bool) map[netip.Prefix]Role {
	wanted := map[netip.Prefix]Role{}
	set := func(ps []netip.Prefix, role Role, ok func(netip.Prefix) bool) {
		for _, prefix := range ps {
			if prefix.IsValid() && is4(prefix) == v4 && ok(prefix) {
				wanted[prefix.Masked()] = role
			}
		}
	}
	set(port.Trusted, Trusted, func(x netip.Prefix) bool { return !TooWide(x) })
	if f.State == Known {
		set(f.Held, Held, hostSized)
		set(f.Self, Self, hostSized) // I10: an own address is never wider than a host or its LAN
	}
	return wanted
}

// find returns the rule for exactly this port and prefix. EC2 holds at most one; a stale read may show
// two, then mine goes first.
func (p *planner) find(port int, prefix netip.Prefix) (Rule, bool) {
	var best Rule
	found, rank := false, -1
	for _, r := range p.rules {
		if !r.shaped() || r.FromPort != port || r.CIDR != prefix {
			continue
		}
		n := 0
		if r.Managed() {
			n = 1
		}
		if _, mine := r.lease(p.me.Holder); mine {
			n = 2
		}
		if n > rank {
			best, found, rank = r, true, n
		}
	}
	return best, found
}

// present handles a wanted prefix that a rule has.
func (p *planner) present(rule Rule, role Role, f Family) {
	c := Change{Rule: rule.ID, Port: rule.FromPort, CIDR: rule.CIDR, Role: role}
	if !rule.Managed() {
		c.Do, c.Why = Borrow, "an identical rule that is not ours stands; it may go without notice"
		p.out.List = append(p.out.List, c)
		p.out.lookAt(p.now.Add(RecheckBorrowed))
		return
	}
	mine, ok := rule.lease(p.me.Holder)
	if ok && p.holds(mine) {
		p.keep(c, mine)
		p.purge(rule)
		return
	}
	if f.State == Unknown || role == Held {
		return // joining would open what is not confirmed now
	}
	p.join(c, rule)
}

// holds reports whether a lease of mine is believable and lasts long enough to be relied on.
func (p *planner) holds(mine Lease) bool {
	return mine.Strange(p.now) == "" && mine.End.After(p.now.Add(D))
}

// firm reports whether a lease that was read on its rule at now is firm.
func (p *planner) firm(mine Lease) bool { return !p.now.Before(mine.FirmFrom) }

func (p *planner) keep(c Change, mine Lease) {
	c.Do, c.Firm = Keep, p.firm(mine)
	if !c.Firm {
		c.FirmFrom = mine.FirmFrom
		p.out.lookAt(mine.FirmFrom)
	}
	if p.due(mine) {
		c = p.renew(c, mine)
	} else {
		p.out.lookAt(mine.End.Add(-p.me.Lease / 2))
	}
	p.out.List = append(p.out.List, c)
}

// due reports whether a lease is past half its time, or ends before it was promised to.
func (p *planner) due(mine Lease) bool {
	short := mine.End.Before(p.me.Promised) && !p.me.Promised.After(p.now.Add(p.me.Lease))
	return short || mine.End.Sub(p.now) < p.me.Lease/2
}

func (p *planner) renew(c Change, mine Lease) Change {
	c.Do, c.Key, c.Why = Renew, mine.Key, "past half of the lease"
	if mine.End.Sub(p.now) >= p.me.Lease/2 {
		c.Why = "it is to last longer"
	}
	c.Value = p.me.leaseValue(p.now, mine.FirmFrom)
	return c
}

func (p *planner) join(c Change, rule Rule) {
	refuse := func(why string) {
		c.Do, c.Why = Borrow, why
		p.out.List = append(p.out.List, c)
		p.out.lookAt(p.now.Add(RecheckBorrowed))
	}
	if p.want.NoJoin[rule.ID] {
		refuse("the rule stands but tagging it was refused; it may go without notice")
		return
	}
	if _, mine := rule.Tags[p.me.Key()]; !mine && len(rule.Tags) >= MaxTags {
		ended := p.ended(rule, 0)
		if len(ended) == 0 {
			refuse("the rule stands but has no room for another lease; it may go without notice")
			return
		}
		p.out.List = append(p.out.List, p.purgeChange(rule, ended[0], true))
	} else {
		p.purge(rule)
	}
	c.Do, c.Key, c.FirmFrom = Join, p.me.Key(), p.now.Add(D)
	c.Value = p.me.leaseValue(p.now, c.FirmFrom)
	c.Why = "the rule for this address is there already"
	p.out.List = append(p.out.List, c)
	p.out.lookAt(c.FirmFrom)
}

func (p *planner) add(port int, prefix netip.Prefix, role Role) {
	tags := map[string]string{}
	maps.Copy(tags, p.me.Tags)
	tags[OwnerTag] = p.me.UserID
	tags[p.me.Key()] = p.me.leaseValue(p.now, p.now) // nobody can hold a plan on a new id: firm at once
	p.out.List = append(p.out.List, Change{Do: Add, Port: port, CIDR: prefix, Role: role, Firm: true, Tags: tags,
		Description: Describe(p.me.Who, p.now), Why: "no rule for this address"})
}

func (p *planner) move(rule Rule, to netip.Prefix) {
	p.done[rule.ID] = true
	p.out.List = append(p.out.List, Change{Do: Move, Rule: rule.ID, Port: rule.FromPort, CIDR: to, From: rule.CIDR,
		Role: Self, Firm: true, Key: p.me.Key(), Description: Describe(p.me.Who, p.now),
		Why: fmt.Sprintf("the address is no longer %s, and nobody else holds this rule", rule.CIDR.Addr())})
	if mine, _ := rule.lease(p.me.Holder); p.due(mine) {
		p.out.List = append(p.out.List, p.renew(Change{Rule: rule.ID, Port: rule.FromPort, CIDR: to, Role: Self, Firm: true}, mine))
	}
	p.purge(rule)
}

// movable reports whether a leftover of mine may become the rule for another address.
func (p *planner) movable(rule Rule, to netip.Prefix) bool {
	mine, ok := rule.lease(p.me.Holder)
	return ok && !p.want.NoMove && p.holds(mine) && p.firm(mine) && rule.Managed() && hostSized(rule.CIDR) &&
		rule.Tags[OwnerTag] == p.me.UserID && is4(rule.CIDR) == is4(to) && !p.othersLive(rule) && !provisioned(rule)
}
