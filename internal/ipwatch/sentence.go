package ipwatch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// nothing ends the sentences of states in which an address was heard but not believed.
const nothing = "nothing is changed"

// join lists names as a sentence does: "AWS, Cloudflare and ipify".
func join(ops []string) string {
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = operatorName(op)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// says is the part "AWS says X" or "AWS and Cloudflare say X".
func (t *tally) says(a netip.Addr) string {
	ops := t.sayers(a)
	verb := "say"
	if len(ops) == 1 {
		verb = "says"
	}
	return fmt.Sprintf("%s %s %s", join(ops), verb, a)
}

func (t *tally) sayConfirmed(winner netip.Addr) string {
	var b strings.Builder
	switch ops := t.sayers(winner); len(ops) {
	case 1:
		fmt.Fprintf(&b, "%s says %s, and one operator is enough (agree = 1)", join(ops), winner)
	default:
		fmt.Fprintf(&b, "%s agree on %s", join(ops), winner)
	}
	for _, a := range t.addrs() {
		if a != winner {
			fmt.Fprintf(&b, "; %s and is outvoted", t.says(a))
		}
	}
	return b.String() + "."
}

// conflict is the verdict on several addresses without a majority. What it means when it lasts is told by [Standing].
func (t *tally) conflict(p Policy) Verdict {
	addrs := t.addrs()
	parts := make([]string, len(addrs))
	for i, a := range addrs {
		parts[i] = t.says(a)
	}
	line := fmt.Sprintf("%s: %s.", strings.Join(parts, ", but "), nothing)
	first := t.votes[0]
	if p.Require == "" || first.operator != operatorKey(p.Require) {
		return t.verdict(Conflict, line+" This network may leave by several addresses: a VPN with one fixed exit helps.")
	}
	v := t.verdict(Conflict, "")
	v.Remedy = fixedLine(t.family, first.addr)
	v.Why = fmt.Sprintf(`%s If it stays so and %s is right, write %s under [address]; that address is then not followed when it changes.`,
		line, operatorName(first.operator), v.Remedy)
	return v
}

// fixedLine is the line under [address] that sets the address of a family.
func fixedLine(f Family, a netip.Addr) string { return fmt.Sprintf("%s = %q", f, a) }

// sayMixed is for agreeing answers that left this computer by different ways.
func (t *tally) sayMixed(winner netip.Addr, locals []netip.Addr) string {
	return fmt.Sprintf("%s agree on %s, but were asked from %s and %s (the network changes just now, or there are several uplinks): %s. If it stays so, turn one of the uplinks off, or write egress-check = false under [address].",
		join(t.sayers(winner)), winner, locals[0], locals[1], nothing)
}

// sayIntercepted is for sources that are only heard through somebody who opens the connections.
func (t *tally) sayIntercepted(winner netip.Addr, by string) string {
	return fmt.Sprintf("%s agree on %s, but all their certificates come from %q: somebody opens the TLS connections here, and the address is his: %s. Have the sources exempted from it, or write the address that SSH leaves by as %s under [address].",
		join(t.sayers(winner)), winner, clean(by, 80), nothing, t.family.String()+` = "…"`)
}

func (t *tally) sayTorn() string {
	return fmt.Sprintf("Two sources of %s contradict each other (%s and %s): %s. This network may leave by several addresses: a VPN with one fixed exit helps.",
		operatorName(t.torn[0].operator), t.torn[0].addr, t.torn[1].addr, nothing)
}

// sayTooFew is for one address that not enough operators said, or not the right ones.
func (t *tally) sayTooFew(p Policy) string {
	a := t.votes[0].addr
	ops, require := t.sayers(a), operatorKey(p.Require)
	why := fmt.Sprintf("%d operators must agree", p.agree())
	if require != "" && !slices.Contains(ops, require) {
		why = fmt.Sprintf("%s must agree and gave no usable answer", operatorName(require))
	}
	verb := "says"
	if len(ops) > 1 {
		verb = "say"
	}
	return fmt.Sprintf("Only %s %s %s, and %s: %s%s. Where a source is blocked for good, name another one in [[address.source]].", join(ops), verb, a, why, nothing, reasons(t.faults, " (", ")"))
}

func (t *tally) sayForbidden(a netip.Addr, err error) string {
	return fmt.Sprintf("%s, but %v: %s.", t.says(a), err, nothing)
}

func (t *tally) sayWARP() string {
	return fmt.Sprintf("%s reports: %s; %s. Turn it off, or exclude the cluster and the sources from it.",
		operatorName(operatorKey(t.warp.Source.Operator)), clean(t.warp.Err.Error(), 160), nothing)
}

// sayUnusable is for sources that were reached and gave no address.
func (t *tally) sayUnusable(other []Answer) string {
	switch {
	case stopped(other):
		return fmt.Sprintf("The check of the %s address was stopped before there was an answer to use.", t.family.label())
	case !slices.ContainsFunc(other, func(a Answer) bool { return faultOf(a.Err) != FaultClock }):
		return fmt.Sprintf("The clock of this computer seems to be wrong, so no source can be verified: %s. Set it.", reasons(other, "", ""))
	}
	return fmt.Sprintf("No source gave a usable %s address: %s. If it stays so, name other ones in [[address.source]].", t.family.label(), reasons(t.faults, "", ""))
}

func (t *tally) sayCaptive(captive []Answer) string {
	var portals []string
	for _, a := range captive {
		if p := portalOf(a.Err); p != "" && !slices.Contains(portals, p) {
			portals = append(portals, p)
		}
	}
	who := "Something"
	if len(portals) > 0 {
		who = strings.Join(portals[:min(len(portals), 2)], " and ")
	}
	return fmt.Sprintf("%s answers in place of the sources (%s): sign in to this network in a browser, or ask for direct access if a company proxy does it.",
		who, reasons(captive, "", ""))
}

func (t *tally) sayOffline(silent []Answer) string {
	if len(silent) == 0 {
		return fmt.Sprintf("No source could be asked for the %s address.", t.family.label())
	}
	all := func(f Fault) bool {
		return !slices.ContainsFunc(silent, func(a Answer) bool { return faultOf(a.Err) != f })
	}
	list := reasons(silent, "", "")
	switch {
	case all(FaultRoute):
		return fmt.Sprintf("There is no route to the internet over %s.", t.family.label())
	case all(FaultDNS):
		return fmt.Sprintf("No source could be asked, because name resolution (DNS) fails: %s. Many networks resolve nothing until one has signed in to them.", list)
	case slices.ContainsFunc(silent, func(a Answer) bool { f := faultOf(a.Err); return f == FaultDNS || f == FaultRoute }):
		return fmt.Sprintf("No source could be reached over %s: %s.", t.family.label(), list)
	}
	return fmt.Sprintf("No source could be reached directly over %s (%s): either the network is down, or it blocks direct connections; a proxy is never used, since SSH would not go through it.",
		t.family.label(), list)
}

// reasons lists the first failure of each operator, at most three.
func reasons(as []Answer, open, end string) string {
	var parts, seen []string
	for _, a := range as {
		op := operatorKey(a.Source.Operator)
		if faultOf(a.Err) == FaultSkipped || slices.Contains(seen, op) {
			continue
		}
		seen = append(seen, op)
		parts = append(parts, fmt.Sprintf("%s: %s", operatorName(op), clean(a.Err.Error(), 160)))
	}
	if len(parts) > 3 {
		parts = append(parts[:3], fmt.Sprintf("and %d more", len(parts)-3))
	}
	if len(parts) == 0 {
		return ""
	}
	return open + strings.Join(parts, "; ") + end
}
