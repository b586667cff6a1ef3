package ipwatch

import (
	"fmt"
	"net/netip"
	"slices"
)

// Conclude makes the verdict for a target with these nodes (of any family; addresses that the laptop connects
// to). It asks nobody and sends nothing: beside [Decide] it only looks up by which local address the system
// would reach the nodes. Without nodes the egress stays unproven, which is a warning.
func (d *Detector) Conclude(o Observation, nodes []netip.Addr) Verdict {
	return d.ConcludeFor(o, nodes, nil)
}

// ConcludeFor is Conclude for a target that may have no node yet: then the egress is checked towards standIns, public
// addresses whose traffic should take the same way, such as those of the region's EC2 endpoint ([Detector.Lookup]).
// That is no proof, since a route may lead to the node alone: the verdict has a warning then.
func (d *Detector) ConcludeFor(o Observation, nodes, standIns []netip.Addr) Verdict {
	v := Verdict{Family: o.Family}
	set := o.Setting
	switch set.Mode {
	case ModeOff:
		return o.stamp(v.off())
	case ModeLocal:
		return o.stamp(d.LocalVerdict(o.Family, nodes))
	case ModeFixed:
		return o.stamp(d.fixed(v, set.Fixed))
	}
	v = decide(d.Policy, o.Family, o.Answers)
	switch {
	case o.Absent && o.Family == V6:
		v = Verdict{Family: V6, State: Absent, Why: fmt.Sprintf("This computer has no %s here: no interface has an address that leads out.", V6.label())}
	case o.NoRoute:
		v = Verdict{Family: o.Family, State: Offline, Why: fmt.Sprintf("There is no route to the internet over %s.", o.Family.label())}
	case v.State == Confirmed:
		d.egress(&v, o.Answers, nodes, standIns)
		d.widened(&v)
	case len(o.Answers) == 0, v.State == Unsure:
		if err := d.enough(d.sourcesOf(o.Family)); err != nil {
			v.State, v.Why = Unsure, fmt.Sprintf("The %s address cannot be known: %v.", o.Family.label(), err)
		}
	}
	return o.stamp(v)
}

// stamp puts what was observed into the verdict.
func (o Observation) stamp(v Verdict) Verdict {
	v.Family, v.At, v.Answers = o.Family, o.At, o.Answers
	return v
}

// off is the verdict for a family that the configuration turns off.
func (v Verdict) off() Verdict {
	v.State = Absent
	v.Why = fmt.Sprintf(`%s is turned off in the configuration (%s = "off").`, v.Family.label(), v.Family)
	return v
}

// refuse takes the address out of a verdict.
func (v *Verdict) refuse(s State, why string) {
	v.State, v.Addr, v.Why, v.Warnings = s, netip.Addr{}, why, nil
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

// widened checks the opt-in to authorize a whole /64: only the network that this computer is on itself, of which the
// prefix of an interface tells. A lone address (/128, as a mobile network or DHCPv6 gives it) has strangers around it.
func (d *Detector) widened(v *Verdict) {
	if v.State != Confirmed || v.Family != V6 || d.Policy.Prefix6 != 64 {
		return
	}
	net64 := d.Policy.authorizes(v.Addr)
	have, err := d.interfaceAddrs()
	if err == nil && slices.ContainsFunc(have, func(p netip.Prefix) bool { return p.Bits() <= 64 && net64.Contains(p.Addr()) }) {
		return
	}
	a := v.Addr
	v.Remedy = "ipv6-prefix = 128"
	v.refuse(Unsure, fmt.Sprintf("The IPv6 address is %s, but no interface of this computer is on the network %s, so that others may be there: %s. Write %s under [address] to authorize the address alone.",
		a, net64, nothing, v.Remedy))
}
