package sgsync

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// admission answers for the one address that was asked about.
func (a *auditor) admission() {
	if !a.From.IsValid() {
		return
	}
	from := a.From.Unmap()
	out := &Admission{Address: from, Rules: []string{}}
	a.out.From = out
	var by []Reach
	width := map[string]int{}
	for _, e := range a.out.Reach {
		i := slices.IndexFunc(e.prefixes, func(p netip.Prefix) bool { return p.Contains(from) }) // the widest is the first
		if i >= 0 {
			by = append(by, e)
			width[e.Rule] = e.prefixes[i].Bits()
		}
	}
	slices.SortFunc(by, func(x, y Reach) int {
		return cmp.Or(cmp.Compare(width[x.Rule], width[y.Rule]), cmp.Compare(y.span(), x.span()), compareReach(x, y))
	})
	for _, e := range by {
		out.Rules = append(out.Rules, e.Rule)
	}
	out.Admits = len(by) > 0
	host := netip.PrefixFrom(from, from.BitLen())
	reachable := slices.ContainsFunc(a.Nodes, func(n AuditNode) bool { return exposed(n, host) || private(host) && hasFamily(n, host) })
	switch {
	case !out.Admits && !a.out.Complete:
		out.Why = fmt.Sprintf("No rule that could be read admits %s to port %d, but not everything could be read.", from, a.Port)
	case !out.Admits:
		out.Why = fmt.Sprintf("No rule admits %s to port %d.", from, a.Port)
	default:
		e := by[0]
		out.Why = fmt.Sprintf("%s is admitted to port %d by %s (%s, %s): the most permissive rule applies.", from, a.Port, e.Rule, e.Source, e.Ports())
		if len(by) > 1 {
			out.Why += fmt.Sprintf(" Without it, %s would still be admitted by %s.", from, strings.Join(out.Rules[1:], ", "))
		}
	}
	if out.Admits && !reachable {
		out.Why += " No node has an address of its own that it could reach, though."
	}
}

// blind reports whether anything that may let somebody in could not be read, so that "no rule" is not certain.
func (a *auditor) blind() bool {
	if slices.ContainsFunc(a.Unseen, func(u Unseen) bool { return !u.Aside }) {
		return true
	}
	for id := range a.on {
		if g, ok := a.groups[id]; !ok || g.Unread {
			return true
		}
	}
	return slices.ContainsFunc(a.out.Reach, func(e Reach) bool {
		g, ok := a.groups[e.Source]
		return e.Kind == ReachUnknown || e.Kind == ReachList && a.unread(e.Source) || e.Kind == ReachGroup && (!ok || g.Away)
	})
}
