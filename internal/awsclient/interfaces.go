package awsclient

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	opDescribeInterfaces = "ec2:DescribeNetworkInterfaces"
	interfacesPerPage    = 1000 // the most that EC2 gives (API Reference, DescribeNetworkInterfaces)
)

// Interface is a network interface: what security groups are really attached to.
type Interface struct {
	ID       string // eni-…
	Instance string // i-…; "" for one that belongs to something else, or to nothing
	Subnet   string // subnet-…
	VPC      string // vpc-…
	Groups   []string
	Public4  []netip.Addr // of all its private addresses, that of the primary one first
	Private4 []netip.Addr // the primary one first
	V6       []netip.Addr
}

// InterfacesOf lists the network interfaces of instances. Instances that EC2 does not show have none.
func (c *Client) InterfacesOf(ctx context.Context, instances []string) ([]Interface, error) {
	var all []Interface
	for _, id := range instances {
		if err := checkID(opDescribeInterfaces, "instance (i-…)", formInstance, id); err != nil {
			return nil, err
		}
	}
	for batch := range slices.Chunk(instances, filterValues) {
		found, err := c.interfaces(ctx, "attachment.instance-id", batch, "")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return sortInterfaces(all), nil
}

// InterfacesIn lists the network interfaces that a security group is attached to, of this account and region.
func (c *Client) InterfacesIn(ctx context.Context, group string) ([]Interface, error) {
	if err := checkID(opDescribeInterfaces, "security group (sg-…)", formGroup, group); err != nil {
		return nil, err
	}
	found, err := c.interfaces(ctx, "group-id", []string{group}, group)
	return sortInterfaces(found), err
}

func sortInterfaces(is []Interface) []Interface {
	slices.SortFunc(is, func(a, b Interface) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(is, func(a, b Interface) bool { return a.ID == b.ID })
}

func (c *Client) interfaces(ctx context.Context, filter string, values []string, resource string) ([]Interface, error) {
	in := &ec2.DescribeNetworkInterfacesInput{
		Filters:    []ec2types.Filter{{Name: &filter, Values: values}},
		MaxResults: aws.Int32(interfacesPerPage),
	}
	var list []Interface
	for range maxPages {
		out, err := read(ctx, c, opDescribeInterfaces, resource, func(ctx context.Context) (*ec2.DescribeNetworkInterfacesOutput, error) {
			return c.ec2.DescribeNetworkInterfaces(ctx, in)
		})
		if err != nil {
			return nil, err
		}
		for _, i := range out.NetworkInterfaces {
			list = append(list, interfaceOf(i))
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return list, nil
		}
	}
	return nil, &Error{Kind: Server, Op: opDescribeInterfaces, Resource: resource, Err: errTooManyPages}
}

func interfaceOf(in ec2types.NetworkInterface) Interface {
	out := Interface{ID: aws.ToString(in.NetworkInterfaceId), Subnet: aws.ToString(in.SubnetId), VPC: aws.ToString(in.VpcId)}
	if in.Attachment != nil {
		out.Instance = aws.ToString(in.Attachment.InstanceId)
	}
	out.address(in.PrivateIpAddress, in.Association)
	for _, a := range in.PrivateIpAddresses { // the primary one is among them
		out.address(a.PrivateIpAddress, a.Association)
	}
	for _, g := range in.Groups {
		out.Groups = append(out.Groups, aws.ToString(g.GroupId))
	}
	for _, a := range in.Ipv6Addresses {
		if v6 := addr(a.Ipv6Address); v6.IsValid() {
			out.V6 = append(out.V6, v6)
		}
	}
	return out
}

// address notes a private address and the public one that leads to it. Each private address, secondary ones included,
// can have an Elastic IP address (EC2 API Reference, NetworkInterfacePrivateIpAddress).
func (i *Interface) address(private *string, public *ec2types.NetworkInterfaceAssociation) {
	if a := addr(private); a.IsValid() && !slices.Contains(i.Private4, a) {
		i.Private4 = append(i.Private4, a)
	}
	if public == nil {
		return
	}
	if a := addr(public.PublicIp); a.IsValid() && !slices.Contains(i.Public4, a) {
		i.Public4 = append(i.Public4, a)
	}
}
