package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

// Roles of a node. EMR's API says MASTER for a primary node.
const (
	RolePrimary = "primary"
	RoleCore    = "core"
	RoleTask    = "task"
)

// Node is an instance of a cluster that runs or is being set up.
type Node struct {
	Instance  string     // i-…
	Role      string     // RolePrimary, RoleCore or RoleTask
	State     string     // EMR's: "RUNNING", "BOOTSTRAPPING"
	PublicDNS string     // "" in a private subnet
	Public4   netip.Addr // the zero Addr where it has none, as in a private subnet; that of a secondary private address if there is no other
	Private4  netip.Addr
	V6        netip.Addr // the zero Addr where it has none
	Groups    []string   // of all its network interfaces, sorted
	// Detail is nil when V6 and Groups are what EC2 says. Otherwise it tells why they are not known: the identity
	// lacks ec2:DescribeInstances (an *Error of Kind Denied), or EC2 does not show the instance yet.
	// V6 must not be taken for absent then.
	Detail error

	created time.Time
}

// Nodes lists the running and bootstrapping nodes of a cluster with these roles (none means the primary node, of which
// there may be three): in the order of roles, then the oldest first, so that an index means the same node for long.
//
// EMR does not tell IPv6 addresses and groups, so EC2 is asked too (DescribeInstances). Where that is not permitted the
// nodes are returned with Detail set; any other failure of that call is an error, because a family that only
// seems to be absent would cost its rules.
func (c *Client) Nodes(ctx context.Context, cl Cluster, roles ...string) ([]Node, error) {
	if len(roles) == 0 {
		roles = []string{RolePrimary}
	}
	if err := checkID(opListInstances, "cluster (j-…)", formCluster, cl.ID); err != nil {
		return nil, err
	}
	var nodes []Node
	for _, role := range roles {
		found, err := c.nodesOfRole(ctx, cl, role)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, found...)
	}
	if err := c.fillIn(ctx, nodes); err != nil {
		return nil, err
	}
	return nodes, nil
}

const opListInstances = "elasticmapreduce:ListInstances"

// nodesOfRole asks for one role: an instance in the answer does not say which it has.
func (c *Client) nodesOfRole(ctx context.Context, cl Cluster, role string) ([]Node, error) {
	in := &emr.ListInstancesInput{
		ClusterId:      aws.String(cl.ID),
		InstanceStates: []emrtypes.InstanceState{emrtypes.InstanceStateRunning, emrtypes.InstanceStateBootstrapping},
	}
	kind, ok := map[string]emrtypes.InstanceRoleType{
		RolePrimary: emrtypes.InstanceRoleTypeMaster, RoleCore: emrtypes.InstanceRoleTypeCore, RoleTask: emrtypes.InstanceRoleTypeTask,
	}[role]
	if !ok {
		return nil, &Error{Kind: BadRequest, Op: opListInstances, Err: fmt.Errorf("%q is not a role of a node: use primary, core or task", role)}
	}
	if cl.Fleet {
		in.InstanceFleetType = emrtypes.InstanceFleetType(kind)
	} else {
		in.InstanceGroupTypes = []emrtypes.InstanceGroupType{emrtypes.InstanceGroupType(kind)}
	}
	var nodes []Node
	for range maxPages {
		out, err := read(ctx, c, opListInstances, cl.ID, func(ctx context.Context) (*emr.ListInstancesOutput, error) {
			return c.emr.ListInstances(ctx, in)
		})
		if err != nil {
			return nil, err
		}
		for _, i := range out.Instances {
			// moto does not filter by state.
			if s := i.Status; s != nil && slices.Contains(in.InstanceStates, s.State) && aws.ToString(i.Ec2InstanceId) != "" {
				nodes = append(nodes, nodeOf(i, role))
			}
		}
		if in.Marker = out.Marker; aws.ToString(in.Marker) == "" {
			slices.SortFunc(nodes, func(a, b Node) int {
				return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.Instance, b.Instance))
			})
			return nodes, nil
		}
	}
	return nil, &Error{Kind: Server, Op: opListInstances, Resource: cl.ID, Err: errTooManyPages}
}

func nodeOf(in emrtypes.Instance, role string) Node {
	n := Node{
		Instance: aws.ToString(in.Ec2InstanceId), Role: role, State: string(in.Status.State), PublicDNS: aws.ToString(in.PublicDnsName),
		Public4: addr(in.PublicIpAddress), Private4: addr(in.PrivateIpAddress),
		Detail: errors.New("EC2 does not show the instance yet"),
	}
	if t := in.Status.Timeline; t != nil {
		n.created = aws.ToTime(t.CreationDateTime)
	}
	return n
}

// addr reads an address; the zero Addr for none or for one that cannot be read.
func addr(s *string) netip.Addr {
	a, err := netip.ParseAddr(aws.ToString(s))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
