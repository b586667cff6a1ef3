package netpath

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ACL is a network ACL: what may pass into and out of a subnet, whatever the security groups say. It keeps no
// state, so that answers have to be allowed too (VPC User Guide, "Network ACLs").
type ACL struct {
	ID      string // acl-…
	Entries []ACLEntry
}

// ACLEntry allows or denies. The first entry, by number, that fits a packet decides.
type ACLEntry struct {
	Number   int
	Egress   bool
	Allow    bool
	Protocol string       // a number as text, "6" is TCP, or "-1" for all
	Ports    Ports        // of TCP and UDP; the zero Ports are all
	CIDR     netip.Prefix // invalid for one that could not be read
}

// Ports is a range of ports, first and last included.
type Ports struct{ First, Last int }

// The ports that clients connect from: any above the well-known ones, since a NAT chooses for itself, and by default
// those of the system (VPC User Guide, "Custom network ACLs and other AWS services": Linux 32768-60999, Windows and
// macOS 49152-65535).
var (
	ephemeral      = Ports{1024, 65535}
	ephemeralLinux = Ports{32768, 60999}
	ephemeralOther = Ports{49152, 65535}
)

// Verdict is what is concluded, with a sentence.
type Verdict struct {
	State  State
	Why    string
	Remedy string
}

// State is the outcome of a judgement.
type State int

// The states. Unknown is the zero State.
const (
	Unknown State = iota
	Open
	Closed
)

// Judge tells whether tcp from an address to a port gets in, and the answers out. goos tells which ports this
// computer connects from.
func (a ACL) Judge(from netip.Addr, port int, goos string) Verdict {
	if slices.ContainsFunc(a.Entries, func(e ACLEntry) bool { return !e.CIDR.IsValid() }) {
		return Verdict{Unknown, fmt.Sprintf("Network ACL %s has an entry that could not be read.", a.ID), ""}
	}
	in, by := a.decide(from, false, Ports{port, port})
	if len(in) == 0 {
		return Verdict{Closed, fmt.Sprintf("Network ACL %s denies port %d from %s (%s).", a.ID, port, from, by),
			fmt.Sprintf("whoever administers the VPC has to allow inbound tcp %d from %s in %s; no security group rule can make up for it", port, from, a.ID)}
	}
	out, by := a.decide(from, true, ephemeral)
	own := ephemeralOther
	if goos == "linux" {
		own = ephemeralLinux
	}
	remedy := fmt.Sprintf("whoever administers the VPC has to allow outbound tcp 1024-65535 to %s in %s: network ACLs keep no state", from, a.ID)
	switch missing := without([]Ports{own}, out); {
	case len(out) == 0:
		return Verdict{Closed, fmt.Sprintf("Network ACL %s lets port %d in, and denies the answers to %s (%s).", a.ID, port, from, by), remedy}
	case len(missing) > 0:
		return Verdict{Closed, fmt.Sprintf("Network ACL %s denies answers to %s at ports %s, from which this computer may connect.", a.ID, from, list(missing)), remedy}
	case len(without([]Ports{ephemeral}, out)) > 0:
		return Verdict{Open, fmt.Sprintf("Network ACL %s lets port %d in, and answers out to ports %s only: a router that chooses others is cut off.", a.ID, port, list(out)), ""}
	}
	return Verdict{Open, fmt.Sprintf("Network ACL %s lets port %d in and the answers out.", a.ID, port), ""}
}

// decide returns those of the ports that are allowed, and which entry denied the last of the others.
func (a ACL) decide(with netip.Addr, egress bool, ports Ports) (allowed []Ports, deniedBy string) {
	entries := slices.Clone(a.Entries)
	slices.SortStableFunc(entries, func(x, y ACLEntry) int { return cmp.Compare(x.Number, y.Number) })
	open := []Ports{ports}
	deniedBy = "no entry allows it"
	for _, e := range entries {
		if e.Egress != egress || e.Protocol != "-1" && e.Protocol != "6" || !e.CIDR.Contains(with) {
			continue
		}
		of := e.Ports
		if e.Protocol == "-1" || of == (Ports{}) {
			of = Ports{0, 65535}
		}
		hit := within(open, of)
		if len(hit) == 0 {
			continue
		}
		if open = without(open, []Ports{of}); e.Allow {
			allowed = append(allowed, hit...)
		} else if deniedBy = fmt.Sprintf("entry %d", e.Number); e.Number >= lastEntry {
			deniedBy = "no entry allows it"
		}
	}
	slices.SortFunc(allowed, func(x, y Ports) int { return cmp.Compare(x.First, y.First) })
	return joined(allowed), deniedBy
}

// lastEntry is the number from which on the entries are those that end every ACL and cannot be removed.
const lastEntry = 32767

// within returns the parts of the ranges that are in a range.
func within(ranges []Ports, in Ports) (out []Ports) {
	for _, r := range ranges {
		if p := (Ports{max(r.First, in.First), min(r.Last, in.Last)}); p.First <= p.Last {
			out = append(out, p)
		}
	}
	return out
}

// without returns the parts of the ranges that are in none of the others.
func without(ranges, others []Ports) []Ports {
	for _, o := range others {
		var left []Ports
		for _, r := range ranges {
			for _, p := range []Ports{{r.First, min(r.Last, o.First-1)}, {max(r.First, o.Last+1), r.Last}} {
				if p.First <= p.Last {
					left = append(left, p)
				}
			}
		}
		ranges = left
	}
	return ranges
}

// joined makes one of ranges that touch. They are sorted, and do not overlap.
func joined(ranges []Ports) (out []Ports) {
	for _, r := range ranges {
		if n := len(out); n > 0 && out[n-1].Last+1 == r.First {
			out[n-1].Last = r.Last
			continue
		}
		out = append(out, r)
	}
	return out
}

func list(ranges []Ports) string {
	var parts []string
	for _, r := range ranges {
		if r.First == r.Last {
			parts = append(parts, fmt.Sprint(r.First))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	return strings.Join(parts, ", ")
}
