package awsclient

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/netpath"
)

const (
	opDescribeACLs   = "ec2:DescribeNetworkAcls"
	opDescribeTables = "ec2:DescribeRouteTables"
)

// NetworkACL reads the network ACL of a subnet; every subnet has one.
func (c *Client) NetworkACL(ctx context.Context, subnet string) (netpath.ACL, error) {
	if err := checkID(opDescribeACLs, "subnet (subnet-…)", formSubnet, subnet); err != nil {
		return netpath.ACL{}, err
	}
	out, err := read(ctx, c, opDescribeACLs, subnet, func(ctx context.Context) (*ec2.DescribeNetworkAclsOutput, error) {
		return c.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: filters("association.subnet-id", subnet)})
	})
	if err != nil {
		return netpath.ACL{}, err
	}
	for _, a := range out.NetworkAcls {
		if slices.ContainsFunc(a.Associations, func(x ec2types.NetworkAclAssociation) bool { return aws.ToString(x.SubnetId) == subnet }) {
			return aclOf(a), nil
		}
	}
	return netpath.ACL{}, unexpected(opDescribeACLs, subnet, "the answer is not about this subnet")
}

func aclOf(in ec2types.NetworkAcl) netpath.ACL {
	out := netpath.ACL{ID: aws.ToString(in.NetworkAclId)}
	for _, e := range in.Entries {
		x := netpath.ACLEntry{Number: int(aws.ToInt32(e.RuleNumber)), Egress: aws.ToBool(e.Egress), Allow: e.RuleAction == ec2types.RuleActionAllow,
			Protocol: aws.ToString(e.Protocol), CIDR: prefixOf(e.CidrBlock, e.Ipv6CidrBlock)}
		if p := e.PortRange; p != nil {
			x.Ports = netpath.Ports{First: int(aws.ToInt32(p.From)), Last: int(aws.ToInt32(p.To))}
		}
		out.Entries = append(out.Entries, x)
	}
	return out
}

// RouteTable reads the route table of a subnet: its own, or the main one of its VPC.
func (c *Client) RouteTable(ctx context.Context, subnet, vpc string) (netpath.Table, error) {
	if err := checkID(opDescribeTables, "subnet (subnet-…)", formSubnet, subnet); err != nil {
		return netpath.Table{}, err
	}
	if err := checkID(opDescribeTables, "VPC (vpc-…)", formVPC, vpc); err != nil {
		return netpath.Table{}, err
	}
	own := func(a ec2types.RouteTableAssociation) bool { return aws.ToString(a.SubnetId) == subnet }
	main := func(a ec2types.RouteTableAssociation) bool { return aws.ToBool(a.Main) }
	for _, ask := range []struct {
		filters []ec2types.Filter
		is      func(ec2types.RouteTableAssociation) bool
	}{{filters("association.subnet-id", subnet), own}, {filters("association.main", "true", "vpc-id", vpc), main}} {
		out, err := read(ctx, c, opDescribeTables, subnet, func(ctx context.Context) (*ec2.DescribeRouteTablesOutput, error) {
			return c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: ask.filters})
		})
		if err != nil {
			return netpath.Table{}, err
		}
		for _, t := range out.RouteTables {
			if slices.ContainsFunc(t.Associations, ask.is) && aws.ToString(t.VpcId) == vpc {
				return tableOf(t), nil
			}
		}
	}
	return netpath.Table{}, unexpected(opDescribeTables, subnet, "neither the subnet nor its VPC has a route table")
}

func tableOf(in ec2types.RouteTable) netpath.Table {
	out := netpath.Table{ID: aws.ToString(in.RouteTableId)}
	for _, r := range in.Routes {
		x := netpath.Route{To: prefixOf(r.DestinationCidrBlock, r.DestinationIpv6CidrBlock), PrefixList: aws.ToString(r.DestinationPrefixListId),
			Active: r.State == ec2types.RouteStateActive}
		for _, via := range []*string{r.GatewayId, r.NatGatewayId, r.TransitGatewayId, r.VpcPeeringConnectionId, r.NetworkInterfaceId,
			r.EgressOnlyInternetGatewayId, r.CarrierGatewayId, r.LocalGatewayId, r.CoreNetworkArn} {
			if x.Via == "" {
				x.Via = clean(aws.ToString(via), maxCode)
			}
		}
		out.Routes = append(out.Routes, x)
	}
	return out
}

// prefixOf reads the first of the texts that is there; the zero Prefix if there is none, or it is no network.
func prefixOf(texts ...*string) netip.Prefix {
	for _, t := range texts {
		if aws.ToString(t) != "" {
			p, err := netip.ParsePrefix(*t)
			if err != nil {
				return netip.Prefix{}
			}
			return p.Masked()
		}
	}
	return netip.Prefix{}
}

// filters makes filters from names and values in turn.
func filters(kv ...string) (out []ec2types.Filter) {
	for pair := range slices.Chunk(kv, 2) {
		out = append(out, ec2types.Filter{Name: &pair[0], Values: pair[1:]})
	}
	return out
}
