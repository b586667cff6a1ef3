package sgsync

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Kinds of a [Reach].
const (
	ReachPublic  = "public"      // everybody, or nearly
	ReachRange   = "range"       // a network
	ReachHost    = "host"        // one address
	ReachList    = "prefix-list" // none of its entries is public
	ReachGroup   = "group"       // the members of a security group
	ReachUnknown = "unknown"     // a source that could not be read
)

// Reach is one rule that lets somebody in to the port.
type Reach struct {
	Kind       string   `json:"kind"`
	Rule       string   `json:"rule"`
	Group      string   `json:"group"`
	GroupName  string   `json:"group_name"`
	Protocol   string   `json:"protocol"`  // "tcp", or "-1" for all traffic
	FromPort   int      `json:"from_port"` // -1 for all traffic
	ToPort     int      `json:"to_port"`
	Source     string   `json:"source"` // a CIDR, pl-… or sg-…
	SourceName string   `json:"source_name"`
	Sources    []string `json:"sources"` // the CIDRs behind it, the widest first; the members' addresses for a group
	Who        string   `json:"who"`
	// Effective says that a node has an address in the family of the source: a rule for ::/0 lets nobody in to
	// a node without an IPv6 address.
	Effective   bool     `json:"effective"`
	Nodes       []string `json:"nodes"`
	Managed     bool     `json:"managed"`
	Holders     []string `json:"holders"` // who holds a live lease
	Description string   `json:"description"`

	prefixes []netip.Prefix
}

// reach lists the rules of all groups on the nodes that admit tcp to the port.
func (a *auditor) reach() {
	for id, nodes := range a.on {
		g := a.groups[id]
		for _, r := range g.Rules {
			if !r.reaches(a.Port) {
				continue
			}
			e := Reach{Rule: r.ID, Group: id, GroupName: g.Name, Protocol: r.Protocol, FromPort: r.FromPort, ToPort: r.ToPort,
				Managed: r.Managed(), Description: r.Description, Holders: []string{}, Sources: []string{}, Nodes: []string{}}
			for _, n := range nodes {
				e.Nodes = append(e.Nodes, n.Instance)
			}
			slices.Sort(e.Nodes)
			for _, l := range r.Leases() {
				if l.Live(a.Now) {
					e.Holders = append(e.Holders, cmp.Or(l.Who, l.UserID))
				}
			}
			a.source(&e, r)
			slices.SortFunc(e.prefixes, func(x, y netip.Prefix) int { return cmp.Or(cmp.Compare(x.Bits(), y.Bits()), comparePrefix(x, y)) })
			for _, p := range e.prefixes {
				e.Sources = append(e.Sources, p.String())
				e.Effective = e.Effective || slices.ContainsFunc(nodes, func(n AuditNode) bool { return hasFamily(n, p) })
			}
			e.Effective = e.Effective || len(e.prefixes) == 0
			a.out.Reach = append(a.out.Reach, e)
			a.judge(e, r)
		}
	}
}

// hasFamily reports whether a source can be routed to a node at all: a public one needs a public address.
func hasFamily(n AuditNode, p netip.Prefix) bool {
	switch {
	case n.Unclear && (!is4(p) || !n.Public4.IsValid() && !n.Private4.IsValid()):
		return true
	case !is4(p):
		return n.V6.IsValid()
	case private(p):
		return n.Private4.IsValid() || n.Public4.IsValid()
	}
	return n.Public4.IsValid()
}

// private reports whether a network holds nothing but private addresses (RFC 1918, RFC 4193).
func private(p netip.Prefix) bool {
	for _, s := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		if q := netip.MustParsePrefix(s); q.Contains(p.Addr()) && p.Bits() >= q.Bits() {
			return true
		}
	}
	return false
}

func public(p netip.Prefix) bool {
	return Rule{Protocol: "-1", CIDR: p}.Public(0)
}

// source tells who is behind a rule.
func (a *auditor) source(e *Reach, r Rule) {
	switch {
	case r.CIDR.IsValid():
		e.Source, e.prefixes = r.CIDR.String(), []netip.Prefix{r.CIDR}
		e.Kind, e.Who = describeSource(r.CIDR)
	case r.PrefixList != "":
		l, ok := a.lists[r.PrefixList]
		e.Kind, e.Source, e.SourceName, e.prefixes = ReachList, r.PrefixList, l.Name, slices.Clone(l.Entries)
		switch {
		case !ok || l.Unread:
			e.Who = "the entries of a prefix list that could not be read"
		case slices.ContainsFunc(l.Entries, public):
			e.Kind, e.Who = ReachPublic, "everybody, or nearly: the prefix list has an entry that is public"
		case len(l.Entries) == 0:
			e.Who = "nobody now: the prefix list is empty"
		default:
			e.Who = count(len(l.Entries), "network", "networks") + " of a prefix list"
		}
	case r.SourceGroup != "":
		g, known := a.groups[r.SourceGroup]
		e.Kind, e.Source, e.SourceName = ReachGroup, r.SourceGroup, g.Name
		for _, m := range g.Members {
			for _, addr := range m.Addrs {
				e.prefixes = append(e.prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
		e.Who = "whoever is in another security group"
		if g.Cluster {
			e.Who = "whoever is in a group of this cluster"
		}
		if known && len(g.Members) > 0 {
			e.Who += " (" + count(len(g.Members), "interface", "interfaces") + " now)"
		}
	default:
		e.Kind, e.Who = ReachUnknown, "unknown: the source of the rule could not be read"
	}
}

func describeSource(p netip.Prefix) (kind, who string) {
	family := "IPv4"
	if !is4(p) {
		family = "IPv6"
	}
	switch {
	case p.Bits() == 0:
		return ReachPublic, "everybody on the internet (" + family + ")"
	case public(p):
		return ReachPublic, "a large part of the internet (" + family + ")"
	case p.IsSingleIP():
		return ReachHost, "one address"
	}
	where := ""
	if private(p) {
		where = " of a private network"
	}
	if is4(p) {
		return ReachRange, count(1<<(32-p.Bits()), "address", "addresses") + where
	}
	if p.Bits() == 64 {
		return ReachRange, "one IPv6 network (/64)" + where
	}
	return ReachRange, fmt.Sprintf("an IPv6 network (/%d)%s", p.Bits(), where)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text + " " + many
}

// ports is how many ports a rule opens.
func (e Reach) ports() int {
	if e.Protocol == "-1" {
		return 1 << 16
	}
	return e.ToPort - e.FromPort + 1
}

// compareReach puts the most permissive first: by whom it lets in, then by how much it opens.
func compareReach(x, y Reach) int {
	kind := func(e Reach) int {
		return slices.Index([]string{ReachPublic, ReachUnknown, ReachList, ReachRange, ReachHost, ReachGroup}, e.Kind)
	}
	six := func(e Reach) int {
		if strings.Contains(e.Source, ":") {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(kind(x), kind(y)), cmp.Compare(six(x), six(y)), cmp.Compare(x.widest(), y.widest()),
		cmp.Compare(y.ports(), x.ports()), strings.Compare(x.Source, y.Source), strings.Compare(x.Group, y.Group), strings.Compare(x.Rule, y.Rule))
}

// widest is the length of the widest source, 129 without any. The prefixes are sorted.
func (e Reach) widest() int {
	if len(e.prefixes) == 0 {
		return 129
	}
	return e.prefixes[0].Bits()
}

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
		bits := -1
		for _, p := range e.prefixes { // the widest first
			if p.Contains(from) {
				bits = p.Bits()
				break
			}
		}
		if bits >= 0 {
			by = append(by, e)
			width[e.Rule] = bits
		}
	}
	slices.SortFunc(by, func(x, y Reach) int {
		return cmp.Or(cmp.Compare(width[x.Rule], width[y.Rule]), cmp.Compare(y.ports(), x.ports()), compareReach(x, y))
	})
	for _, e := range by {
		out.Rules = append(out.Rules, e.Rule)
	}
	out.Admits = len(by) > 0
	host := netip.PrefixFrom(from, from.BitLen())
	reachable := slices.ContainsFunc(a.Nodes, func(n AuditNode) bool { return hasFamily(n, host) })
	switch {
	case !out.Admits && a.blind():
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
		out.Why += " No node has an address that it could reach, though."
	}
}

// blind reports whether a source or a group could not be read, so that "no rule" is not certain.
func (a *auditor) blind() bool {
	return len(a.Unseen) > 0 ||
		slices.ContainsFunc(a.out.Reach, func(e Reach) bool { return e.Kind == ReachUnknown || a.lists[e.Source].Unread })
}

// Ports says in words what a rule opens.
func (e Reach) Ports() string {
	switch {
	case e.Protocol == "-1":
		return "all traffic"
	case e.FromPort == e.ToPort:
		return fmt.Sprintf("tcp %d", e.FromPort)
	}
	return fmt.Sprintf("tcp %d-%d", e.FromPort, e.ToPort)
}
