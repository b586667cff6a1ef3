package sgsync

import (
	"cmp"
	"fmt"
	"math"
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
	// a node without an IPv6 address. A private address is one: whoever is in the VPC reaches it, or comes by a VPN.
	Effective bool `json:"effective"`
	// Exposed says that a node has a public address of its own that the source could use. Without one it can still be
	// reached from outside through a load balancer.
	Exposed     bool     `json:"exposed"`
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
			for _, p := range e.prefixes {
				e.Sources = append(e.Sources, p.String())
				e.Effective = e.Effective || slices.ContainsFunc(nodes, func(n AuditNode) bool { return hasFamily(n, p) })
				e.Exposed = e.Exposed || slices.ContainsFunc(nodes, func(n AuditNode) bool { return exposed(n, p) })
			}
			if len(e.prefixes) == 0 { // a source that could not be read may be any
				e.Effective, e.Exposed = true, true
			}
			a.out.Reach = append(a.out.Reach, e)
			a.judge(e, r)
		}
	}
}

// hasFamily reports whether a node has an address in the family of a source.
func hasFamily(n AuditNode, p netip.Prefix) bool {
	return exposed(n, p) || is4(p) && n.Private4.IsValid()
}

// exposed reports whether a node has a public address in the family of a source, or may have one.
func exposed(n AuditNode, p netip.Prefix) bool {
	if n.Unclear {
		return true
	}
	if is4(p) {
		return n.Public4.IsValid()
	}
	return n.V6.IsValid()
}

// private reports whether a network holds nothing but private addresses (RFC 1918, RFC 4193), or those of a
// provider's inner network (RFC 6598), which VPCs use as well.
func private(p netip.Prefix) bool {
	for _, s := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		if q := netip.MustParsePrefix(s); q.Contains(p.Addr()) && p.Bits() >= q.Bits() {
			return true
		}
	}
	return false
}

func public(p netip.Prefix) bool {
	return Rule{Protocol: "-1", CIDR: p}.Public(0)
}

// publicTogether reports whether networks that are sorted, the widest first, hold more addresses of a family than the
// widest one may that is not public. Private networks do not count: nobody comes from there by the internet.
func publicTogether(ps []netip.Prefix) bool {
	var v4, v6 float64 // shares of all addresses of the family
	for i, p := range ps {
		if private(p) || slices.ContainsFunc(ps[:i], p.Overlaps) {
			continue // an overlapping one is in one before it
		}
		if share := math.Ldexp(1, -p.Bits()); is4(p) {
			v4 += share
		} else {
			v6 += share
		}
	}
	return v4 > math.Ldexp(1, -8) || v6 > math.Ldexp(1, -16)
}

// unread reports whether the entries of a prefix list are not known.
func (a *auditor) unread(list string) bool {
	l, ok := a.lists[list]
	return !ok || l.Unread
}

// source tells who is behind a rule.
func (a *auditor) source(e *Reach, r Rule) {
	switch {
	case r.CIDR.IsValid():
		e.Source, e.prefixes = r.CIDR.String(), []netip.Prefix{r.CIDR}
		e.Kind, e.Who = describeSource(r.CIDR)
	case r.PrefixList != "":
		l := a.lists[r.PrefixList]
		e.Kind, e.Source, e.SourceName, e.prefixes = ReachList, r.PrefixList, l.Name, widestFirst(l.Entries)
		switch {
		case a.unread(r.PrefixList):
			e.Who = "the entries of a prefix list that could not be read"
		case slices.ContainsFunc(l.Entries, public):
			e.Kind, e.Who = ReachPublic, "everybody, or nearly: the prefix list has an entry that is public"
		case publicTogether(e.prefixes):
			e.Kind, e.Who = ReachPublic, "a large part of the internet: the prefix list has "+count(len(l.Entries), "network", "networks")
		case len(l.Entries) == 0:
			e.Who = "nobody now: the prefix list is empty"
		default:
			e.Who = count(len(l.Entries), "network", "networks") + " of a prefix list"
		}
	case r.SourceGroup != "":
		g := a.groups[r.SourceGroup]
		e.Kind, e.Source, e.SourceName = ReachGroup, r.SourceGroup, g.Name
		for _, m := range g.Members {
			for _, addr := range m.Addrs {
				e.prefixes = append(e.prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
		e.prefixes = widestFirst(e.prefixes)
		e.Who = a.whoIsIn(r.SourceGroup)
		if len(g.Members) > 0 {
			e.Who += " (" + count(len(g.Members), "interface", "interfaces") + " now)"
		}
	default:
		e.Kind, e.Who = ReachUnknown, "unknown: the source of the rule could not be read"
	}
}

// widestFirst returns networks in the order in which an audit tells them.
func widestFirst(ps []netip.Prefix) []netip.Prefix {
	return slices.SortedFunc(slices.Values(ps), func(x, y netip.Prefix) int { return cmp.Or(cmp.Compare(x.Bits(), y.Bits()), comparePrefix(x, y)) })
}

// whoIsIn says whose group it is that a rule refers to.
func (a *auditor) whoIsIn(id string) string {
	switch g, ok := a.groups[id]; {
	case g.Cluster:
		return "whoever is in a group of this cluster"
	case !ok || g.Away:
		return "whoever is in a security group that cannot be seen here: it is of another account, or deleted"
	}
	return "whoever is in another security group"
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

// span is from the first port that a rule opens to the last; more than TCP has, where it opens other protocols, too.
func (e Reach) span() int {
	if e.Protocol == "-1" || e.unclear() {
		return 1 << 16
	}
	return e.ToPort - e.FromPort
}

// unclear reports whether a rule lacks its protocol or its ports, which no rule of EC2 does.
func (e Reach) unclear() bool { return e.Protocol == "" || e.ToPort < 0 && e.Protocol != "-1" }

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
		cmp.Compare(y.span(), x.span()), strings.Compare(x.Source, y.Source), strings.Compare(x.Group, y.Group), strings.Compare(x.Rule, y.Rule))
}

// widest is the length of the widest source, 129 without any. The prefixes are sorted.
func (e Reach) widest() int {
	if len(e.prefixes) == 0 {
		return 129
	}
	return e.prefixes[0].Bits()
}

// Ports says in words what a rule opens.
func (e Reach) Ports() string {
	switch {
	case e.unclear():
		return "ports that could not be read"
	case e.Protocol == "-1":
		return "all traffic"
	case e.FromPort == e.ToPort:
		return fmt.Sprintf("tcp %d", e.FromPort)
	}
	return fmt.Sprintf("tcp %d-%d", e.FromPort, e.ToPort)
}
