package demo

import (
	"fmt"
	"net/netip"
)

// Rule is a security group rule as DescribeSecurityGroupRules tells it.
// Exactly one source is set: CIDR, SourceGroup or PrefixList.
type Rule struct {
	ID          string // sgr-…
	Group       string // sg-…
	Egress      bool
	Protocol    string // "tcp", "udp", "icmp", "icmpv6", "-1" for all traffic, or another protocol number
	FromPort    int    // -1 where there are no ports
	ToPort      int
	CIDR        netip.Prefix // the zero Prefix when the source is something else
	SourceGroup string
	PrefixList  string
	Description string
	Tags        map[string]string
}

// Admits reports whether the rule lets a TCP connection from source in to the port.
//
// A rule whose source is a security group admits the members of that group, which a laptop never is. A prefix list is
// not resolved here, because the demo's world has none; such a rule admits nobody.
func (r Rule) Admits(source netip.Addr, port int) bool {
	if r.Egress {
		return false
	}
	switch r.Protocol {
	case "-1":
	case "tcp", "6":
		if port < r.FromPort || port > r.ToPort {
			return false
		}
	default:
		return false
	}
	return r.CIDR.Contains(source.Unmap()) // false for the zero Prefix and for another family
}

// admitting returns the first rule that lets the source in.
func admitting(rules []Rule, source netip.Addr, port int) (Rule, bool) {
	for _, r := range rules {
		if r.Admits(source, port) {
			return r, true
		}
	}
	return Rule{}, false
}

// ports is the rule's protocol and ports for people.
func (r Rule) ports() string {
	switch {
	case r.Protocol == "-1":
		return "all traffic"
	case r.Protocol != "tcp" && r.Protocol != "udp":
		return r.Protocol
	case r.FromPort == 0 && r.ToPort == 65535:
		return "all " + r.Protocol
	case r.FromPort == r.ToPort:
		return fmt.Sprintf("%s %d", r.Protocol, r.FromPort)
	}
	return fmt.Sprintf("%s %d-%d", r.Protocol, r.FromPort, r.ToPort)
}

// source is the rule's source for people.
func (r Rule) source() string {
	switch {
	case r.SourceGroup != "":
		return r.SourceGroup
	case r.PrefixList != "":
		return r.PrefixList
	}
	return r.CIDR.String()
}
