package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Conclude makes the verdict for a target with these nodes (of any family; addresses that the laptop connects
// to). It asks nobody and sends nothing: beside [Decide] it only looks up by which local address the system
// would reach the nodes. Without nodes the egress stays unproven, which is a warning.
func (d *Detector) Conclude(o Observation, nodes []netip.Addr) Verdict {
	v := Verdict{Family: o.Family, Answers: o.Answers, At: o.At}
	set := o.Setting
	switch set.Mode {
	case ModeOff:
		v.State = Absent
		v.Why = fmt.Sprintf(`%s is turned off in the configuration (%s = "off").`, o.Family.label(), o.Family)
		return v
	case ModeLocal:
		local := d.LocalVerdict(o.Family, nodes)
		local.At = o.At
		return local
	case ModeFixed:
		return d.fixed(v, set.Fixed)
	}
	v.State, v.Addr, v.Why = Decide(d.Policy, o.Family, o.Answers)
	switch {
	case o.Absent:
		v.State, v.Addr = Absent, netip.Addr{}
		v.Why = fmt.Sprintf("This computer has no %s here: no route and no address.", o.Family.label())
	case o.NoRoute:
		v.State, v.Addr = Offline, netip.Addr{}
		v.Why = fmt.Sprintf("There is no route to the internet over %s.", o.Family.label())
	case v.State == Confirmed:
		d.egress(&v, o.Answers, nodes)
	case len(v.Answers) == 0, v.State == Unsure:
		if err := d.enough(d.sourcesOf(o.Family)); err != nil {
			v.State, v.Why = Unsure, fmt.Sprintf("The %s address cannot be known: %v.", o.Family.label(), err)
		}
	}
	return v
}

// fixed is the verdict for an address that the configuration gives. The user's own filters still hold.
func (d *Detector) fixed(v Verdict, a netip.Addr) Verdict {
	if err := (Setting{Mode: ModeFixed, Fixed: a}).check(v.Family, d.Policy.Accept); err != nil {
		v.State, v.Why = Unsure, fmt.Sprintf("The configured address is not usable: %v.", err)
		return v
	}
	if err := d.Policy.forbids(a); err != nil {
		v.State, v.Why = Unsure, fmt.Sprintf("%s is configured, but %v: %s.", a, err, nothing)
		return v
	}
	v.State, v.Addr = Confirmed, a
	v.Why = fmt.Sprintf("%s is set in the configuration; no source was asked.", a)
	return v
}

// egress compares the local address towards each node with the ones that the agreeing sources were asked from.
// That an answer came from local address L and said A shows that what leaves by L is seen as A.
func (d *Detector) egress(v *Verdict, as []Answer, nodes []netip.Addr) {
	if !d.Policy.EgressCheck {
		return
	}
	var proven []netip.Addr
	for _, a := range as {
		if a.Err == nil && a.Addr == v.Addr && a.Local.IsValid() && !slices.Contains(proven, a.Local) {
			proven = append(proven, a.Local)
		}
	}
	checkedAny := false
	for _, n := range nodes {
		n = n.Unmap().WithZone("")
		if !v.Family.Has(n) {
			continue
		}
		checkedAny = true
		local, err := d.localAddr(v.Family, n)
		if state, why := d.judge(v.Addr, proven, n, local, err); state != Confirmed {
			v.State, v.Addr, v.Why = state, netip.Addr{}, why
			return
		}
	}
	if !checkedAny {
		v.Warnings = append(v.Warnings, fmt.Sprintf(
			"No node with an %s address is known yet, so it is unproven that traffic to the cluster leaves as %s.", v.Family.label(), v.Addr))
	}
}

// judge is the egress check for one node.
func (d *Detector) judge(seen netip.Addr, proven []netip.Addr, node, local netip.Addr, err error) (State, string) {
	const off = "egress-check = false under [address] turns this check off"
	private := ""
	if Public(node, d.Policy.Accept) != nil {
		private = ` The node's address is private: if a VPN leads to it, write address = "local" in the target.`
	}
	switch {
	case errors.Is(err, ErrNoRoute):
		return SplitRoute, fmt.Sprintf("The sources see %s, but this computer has no route to the node %s: %s.%s", seen, node, nothing, private)
	case err != nil:
		return Unsure, fmt.Sprintf("The sources see %s, but it cannot be found out how this computer reaches the node %s (%s): %s; %s.",
			seen, node, clean(err.Error(), 120), nothing, off)
	case len(proven) == 0:
		return Unsure, fmt.Sprintf("The sources see %s, but it is not known which local address they were asked from: %s; %s.", seen, nothing, off)
	case slices.Contains(proven, local):
		return Confirmed, ""
	}
	return SplitRoute, fmt.Sprintf("The sources see %s for traffic from %s, but towards the node %s this computer sends from %s (a VPN, a split tunnel or a second uplink): %s; %s.%s",
		seen, proven[0], node, local, nothing, off, private)
}
