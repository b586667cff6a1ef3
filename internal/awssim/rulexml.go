package awssim

import (
	"cmp"
	"maps"
	"slices"
)

type tagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func tagsXML(tags map[string]string) items[tagXML] {
	var out items[tagXML]
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out.Item = append(out.Item, tagXML{k, tags[k]})
	}
	return out
}

// ruleXML is a SecurityGroupRule.
type ruleXML struct {
	ID           string         `xml:"securityGroupRuleId"`
	ARN          string         `xml:"securityGroupRuleArn"`
	GroupID      string         `xml:"groupId"`
	GroupOwnerID string         `xml:"groupOwnerId"`
	IsEgress     bool           `xml:"isEgress"`
	IPProtocol   string         `xml:"ipProtocol"`
	FromPort     int            `xml:"fromPort"`
	ToPort       int            `xml:"toPort"`
	CidrIPv4     string         `xml:"cidrIpv4,omitempty"`
	CidrIPv6     string         `xml:"cidrIpv6,omitempty"`
	PrefixListID string         `xml:"prefixListId,omitempty"`
	Referenced   *referencedXML `xml:"referencedGroupInfo"`
	Description  string         `xml:"description,omitempty"`
	Tags         items[tagXML]  `xml:"tagSet"`
}

type referencedXML struct {
	GroupID string `xml:"groupId"`
	UserID  string `xml:"userId"`
	VPCID   string `xml:"vpcId,omitempty"`
}

func (s *Sim) ruleXML(r rule) ruleXML {
	x := ruleXML{
		ID: r.id, ARN: s.arn("ec2", "security-group-rule/"+r.id), GroupID: r.group, GroupOwnerID: s.opts.Account,
		IsEgress: r.egress, IPProtocol: r.protocol, FromPort: r.from, ToPort: r.to,
		PrefixListID: r.prefixList, Description: r.description, Tags: tagsXML(r.tags),
	}
	switch r.kind() {
	case "CidrIpv4":
		x.CidrIPv4 = r.cidr.String()
	case "CidrIpv6":
		x.CidrIPv6 = r.cidr.String()
	case "ReferencedGroupId":
		x.Referenced = &referencedXML{GroupID: r.source.group, UserID: s.opts.Account}
		if g, ok := s.groups[r.source.group]; ok {
			x.Referenced.VPCID = g.vpc
		}
	}
	return x
}

// revokedXML is a RevokedSecurityGroupRule, which names a source group in another way than SecurityGroupRule.
type revokedXML struct {
	ID           string `xml:"securityGroupRuleId"`
	GroupID      string `xml:"groupId"`
	IsEgress     bool   `xml:"isEgress"`
	IPProtocol   string `xml:"ipProtocol"`
	FromPort     int    `xml:"fromPort"`
	ToPort       int    `xml:"toPort"`
	CidrIPv4     string `xml:"cidrIpv4,omitempty"`
	CidrIPv6     string `xml:"cidrIpv6,omitempty"`
	PrefixListID string `xml:"prefixListId,omitempty"`
	ReferencedID string `xml:"referencedGroupId,omitempty"`
	Description  string `xml:"description,omitempty"`
}

func (s *Sim) revokedXML(r rule) revokedXML {
	x := s.ruleXML(r)
	return revokedXML{
		ID: x.ID, GroupID: x.GroupID, IsEgress: x.IsEgress, IPProtocol: x.IPProtocol, FromPort: x.FromPort, ToPort: x.ToPort,
		CidrIPv4: x.CidrIPv4, CidrIPv6: x.CidrIPv6, PrefixListID: x.PrefixListID,
		ReferencedID: r.source.group, Description: x.Description,
	}
}

// permissionXML is an IpPermission: the rules of one protocol and port range with all their sources.
type permissionXML struct {
	IPProtocol    string             `xml:"ipProtocol"`
	FromPort      *int               `xml:"fromPort"`
	ToPort        *int               `xml:"toPort"`
	Groups        items[pairXML]     `xml:"groups"`
	IPRanges      items[ipv4XML]     `xml:"ipRanges"`
	IPv6Ranges    items[ipv6XML]     `xml:"ipv6Ranges"`
	PrefixListIDs items[prefixIDXML] `xml:"prefixListIds"`
}

type pairXML struct {
	UserID      string `xml:"userId"`
	GroupID     string `xml:"groupId"`
	Description string `xml:"description,omitempty"`
}

type ipv4XML struct {
	CIDR        string `xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

type ipv6XML struct {
	CIDR        string `xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

type prefixIDXML struct {
	ID          string `xml:"prefixListId"`
	Description string `xml:"description,omitempty"`
}

// permissionsXML gathers rules into IpPermissions, in a stable order.
func (s *Sim) permissionsXML(rules []rule) items[permissionXML] {
	rules = slices.SortedFunc(slices.Values(rules), func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to),
			cmp.Compare(a.source.String(), b.source.String()))
	})
	var out items[permissionXML]
	for i, r := range rules {
		if i == 0 || r.protocol != rules[i-1].protocol || r.from != rules[i-1].from || r.to != rules[i-1].to {
			p := permissionXML{IPProtocol: r.protocol}
			if r.protocol != "-1" { // EC2 leaves the ports out for all traffic
				p.FromPort, p.ToPort = &r.from, &r.to
			}
			out.Item = append(out.Item, p)
		}
		p := &out.Item[len(out.Item)-1]
		switch r.kind() {
		case "CidrIpv4":
			p.IPRanges.Item = append(p.IPRanges.Item, ipv4XML{r.cidr.String(), r.description})
		case "CidrIpv6":
			p.IPv6Ranges.Item = append(p.IPv6Ranges.Item, ipv6XML{r.cidr.String(), r.description})
		case "PrefixListId":
			p.PrefixListIDs.Item = append(p.PrefixListIDs.Item, prefixIDXML{r.prefixList, r.description})
		default:
			p.Groups.Item = append(p.Groups.Item, pairXML{s.opts.Account, r.source.group, r.description})
		}
	}
	return out
}
