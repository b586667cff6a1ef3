package awsclient

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const opDescribeInstances = "ec2:DescribeInstances"

// filterValues is how many values a filter may have (EC2 User Guide, "Filter … resources").
const filterValues = 200

// fillIn adds what EC2 knows of the nodes. Instances are asked for by filter, not by id: one id that EC2 does not show
// yet would fail the whole call.
func (c *Client) fillIn(ctx context.Context, nodes []Node) error {
	index := map[string]*Node{}
	var ids []string
	for i := range nodes {
		index[nodes[i].Instance] = &nodes[i]
		ids = append(ids, nodes[i].Instance)
	}
	for batch := range slices.Chunk(ids, filterValues) {
		err := c.describeInstances(ctx, batch, func(i ec2types.Instance) {
			if n := index[aws.ToString(i.InstanceId)]; n != nil {
				n.describe(i)
			}
		})
		if e, ok := errors.AsType[*Error](err); ok && e.Kind == Denied && e.Op == opDescribeInstances {
			for i := range nodes {
				nodes[i].Detail = e
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Running describes those of the instances (i-…) that EC2 says are running, by id; others are left out. Role is not told.
func (c *Client) Running(ctx context.Context, ids []string) (map[string]Node, error) {
	found := map[string]Node{}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { // in a filter * stands for any text
		return checkID(opDescribeInstances, "instance (i-…)", formInstance, id) != nil
	})
	for batch := range slices.Chunk(ids, filterValues) {
		err := c.describeInstances(ctx, batch, func(i ec2types.Instance) {
			id := aws.ToString(i.InstanceId)
			if i.State == nil || i.State.Name != ec2types.InstanceStateNameRunning || !slices.Contains(batch, id) {
				return
			}
			n := Node{Instance: id, State: "RUNNING"}
			n.describe(i)
			found[id] = n
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (c *Client) describeInstances(ctx context.Context, ids []string, each func(ec2types.Instance)) error {
	in := &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("instance-id"), Values: ids}}}
	for range maxPages {
		out, err := read(ctx, c, opDescribeInstances, "", func(ctx context.Context) (*ec2.DescribeInstancesOutput, error) {
			return c.ec2.DescribeInstances(ctx, in)
		})
		if err != nil {
			return err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				each(i)
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return &Error{Kind: Server, Op: opDescribeInstances, Err: errTooManyPages}
}

// describe takes over what EC2 says. Its addresses win over EMR's, which are from when the node was made.
func (n *Node) describe(i ec2types.Instance) {
	n.Detail = nil
	n.Public4 = addr(i.PublicIpAddress)
	n.PublicDNS = cmp.Or(aws.ToString(i.PublicDnsName), n.PublicDNS)
	n.Private4 = cmp.Or(addr(i.PrivateIpAddress), n.Private4)
	for _, g := range i.SecurityGroups {
		n.Groups = append(n.Groups, aws.ToString(g.GroupId))
	}
	for k, ni := range slices.SortedStableFunc(slices.Values(i.NetworkInterfaces), byDevice) {
		for _, g := range ni.Groups {
			n.Groups = append(n.Groups, aws.ToString(g.GroupId))
		}
		for _, a := range ni.Ipv6Addresses {
			if !n.V6.IsValid() {
				n.V6 = addr(a.Ipv6Address)
			}
		}
		if k > 0 {
			continue // EMR's groups are on the first one; what another one lets in says nothing of a rule there
		}
		for _, a := range ni.PrivateIpAddresses {
			n.public(a.Association)
		}
	}
	slices.Sort(n.Groups)
	n.Groups = slices.Compact(n.Groups)
}

// public takes over an Elastic IP address. EC2 names the public address of an instance, which is that of its primary private
// address; a node may have nothing but one of a secondary private address, and can be reached by that.
func (n *Node) public(a *ec2types.InstanceNetworkInterfaceAssociation) {
	if a != nil && !n.Public4.IsValid() {
		n.Public4 = addr(a.PublicIp)
	}
}

func byDevice(a, b ec2types.InstanceNetworkInterface) int {
	device := func(ni ec2types.InstanceNetworkInterface) int32 {
		if ni.Attachment == nil {
			return 1 << 30
		}
		return aws.ToInt32(ni.Attachment.DeviceIndex)
	}
	return cmp.Compare(device(a), device(b))
}
