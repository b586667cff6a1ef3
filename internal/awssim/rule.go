package awssim

import (
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
)

// source is where a rule admits traffic from. Exactly one field is set.
type source struct {
	cidr       netip.Prefix // canonical
	group      string
	prefixList string
}

// tuple is all that EC2 tells two rules of a group and direction apart by: description and tags are no part of it.
type tuple struct {
	protocol string // "tcp", "udp", "icmp", "icmpv6", "-1" or another number
	from, to int    // -1 where the protocol has no ports
	source
}

// rule is a value: a write makes a new one, with a new tag map.
type rule struct {
	id, group   string
	egress      bool
	description string
	tags        map[string]string
	tuple
}

func anywhereIPv4() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// kind names the kind of a source, which Modify cannot change.
func (s source) kind() string {
	switch {
	case s.group != "":
		return "ReferencedGroupId"
	case s.prefixList != "":
		return "PrefixListId"
	case s.cidr.Addr().Is4():
		return "CidrIpv4"
	default:
		return "CidrIpv6"
	}
}

func (s source) String() string {
	switch s.kind() {
	case "ReferencedGroupId":
		return s.group
	case "PrefixListId":
		return s.prefixList
	default:
		return s.cidr.String()
	}
}

// String is the form in which EC2's Duplicate error names a rule.
func (t tuple) String() string {
	if t.protocol == "-1" {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", t.source)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW",
		t.source, strings.ToUpper(t.protocol), t.from, t.to)
}

// duplicate returns another rule of the group with the same direction and tuple.
func (s *Sim) duplicate(r rule) (rule, bool) {
	for _, other := range s.rules {
		if other.group == r.group && other.egress == r.egress && other.tuple == r.tuple && other.id != r.id {
			return other, true
		}
	}
	return rule{}, false
}

func (r rule) public() Rule {
	spec := RuleSpec{
		Protocol: r.protocol, FromPort: r.from, ToPort: r.to,
		SourceGroup: r.source.group, PrefixList: r.prefixList,
		Description: r.description, Tags: maps.Clone(r.tags),
	}
	if r.cidr.IsValid() {
		spec.CIDR = r.cidr.String()
	}
	return Rule{ID: r.id, Group: r.group, RuleSpec: spec}
}

func (spec RuleSpec) tuple() (tuple, error) {
	set := 0
	src := source{group: spec.SourceGroup, prefixList: spec.PrefixList}
	for _, v := range []string{spec.CIDR, spec.SourceGroup, spec.PrefixList} {
		if v != "" {
			set++
		}
	}
	if set != 1 {
		return tuple{}, fmt.Errorf("a rule has one source, not %d", set)
	}
	if spec.CIDR != "" {
		p, err := parseCIDR(spec.CIDR, strings.Contains(spec.CIDR, ":"))
		if err != nil {
			return tuple{}, err
		}
		src.cidr = p
	}
	protocol := spec.Protocol
	if protocol == "" {
		protocol = "tcp"
	}
	return newTuple(protocol, &spec.FromPort, &spec.ToPort, src)
}

// newTuple checks a rule's protocol and ports and brings them into the form that Describe shows.
func newTuple(protocol string, from, to *int, src source) (tuple, error) {
	name, err := parseProtocol(protocol)
	if err != nil {
		return tuple{}, err
	}
	t := tuple{protocol: name, from: -1, to: -1, source: src}
	switch name {
	case "tcp", "udp":
		// Texts: chef-provisioning-aws#183, aws-sdk-go-v2#1203; the code for a port out of range: boto3#336.
		if from == nil || to == nil {
			return tuple{}, fail("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		for _, port := range []int{*from, *to} {
			if port < 0 || port > 65535 {
				return tuple{}, fail("InvalidPermission.Malformed", "TCP/UDP port (%d) out of range", port)
			}
		}
		if *from > *to {
			return tuple{}, fail("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", *from, *to)
		}
		t.from, t.to = *from, *to
	case "icmp", "icmpv6":
		if from == nil && to == nil && name == "icmpv6" {
			break // "if you omit the port range, traffic for all types and codes is allowed" (API_IpPermission)
		}
		if from == nil || to == nil {
			return tuple{}, fail("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with ICMP.' for portRange.")
		}
		if min(*from, *to) < -1 || max(*from, *to) > 255 || *from == -1 && *to != -1 {
			return tuple{}, fail("InvalidParameterValue", "ICMP type (%d) or code (%d) out of range", *from, *to)
		}
		t.from, t.to = *from, *to
	}
	return t, nil
}

// parseProtocol returns the name or number that EC2 shows for a protocol: 6, 17, 1 and 58 become names
// (authorized as "6", a rule is described as "tcp"), other numbers stay.
func parseProtocol(s string) (string, error) {
	switch lower := strings.ToLower(s); lower {
	case "":
		return "", fail("InvalidParameterValue", "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.")
	case "tcp", "udp", "icmp", "icmpv6", "-1":
		return lower, nil
	case "6":
		return "tcp", nil
	case "17":
		return "udp", nil
	case "1":
		return "icmp", nil
	case "58":
		return "icmpv6", nil
	}
	// "all" is a name only in the console and in tools (terraform-provider-aws#1793).
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return "", fail("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", s)
	}
	return strconv.FormatUint(n, 10), nil
}

// parseCIDR reads a CIDR of one family and masks it: EC2 stores 100.68.0.18/18 as 100.68.0.0/18
// (API_AuthorizeSecurityGroupIngress). An address without a length is malformed.
func parseCIDR(s string, ipv6 bool) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4() == ipv6 || p.Addr().Is4In6() {
		return netip.Prefix{}, fail("InvalidParameterValue", "CIDR block %s is malformed", s)
	}
	return p.Masked(), nil
}

// isMasked reports whether a CIDR is a network's address, without host bits.
func isMasked(cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p == p.Masked()
}
