package awsclient

import (
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// ruleOf translates a rule as EC2 describes it.
func ruleOf(in ec2types.SecurityGroupRule) sgsync.Rule {
	out := sgsync.Rule{
		ID: aws.ToString(in.SecurityGroupRuleId), Group: aws.ToString(in.GroupId),
		Protocol: protocol(aws.ToString(in.IpProtocol)), FromPort: port(in.FromPort), ToPort: port(in.ToPort),
		CIDR: cidr(in.CidrIpv4, in.CidrIpv6), PrefixList: aws.ToString(in.PrefixListId),
		Description: aws.ToString(in.Description), Tags: map[string]string{},
	}
	if ref := in.ReferencedGroupInfo; ref != nil {
		out.SourceGroup = aws.ToString(ref.GroupId)
	}
	for _, t := range in.Tags {
		out.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

// protocol gives the names that EC2 uses to protocols that stand there as a number (moto keeps them).
func protocol(s string) string {
	switch s = strings.ToLower(s); s {
	case "1":
		return "icmp"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "58":
		return "icmpv6"
	}
	return s
}

// port is -1 where EC2 gives none, as for all traffic.
func port(p *int32) int {
	if p == nil {
		return -1
	}
	return int(*p)
}

// cidr reads the source of a rule. Both fields filled, a family in the wrong field or anything that is not a prefix is
// the zero Prefix.
func cidr(v4, v6 *string) netip.Prefix {
	s4, s6 := aws.ToString(v4), aws.ToString(v6)
	if s4 != "" && s6 != "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s4 + s6)
	if err != nil || p.Addr().Is4In6() || p.Addr().Is4() != (s4 != "") {
		return netip.Prefix{}
	}
	return p.Masked()
}
