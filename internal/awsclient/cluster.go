package awsclient

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

// Cluster is an EMR cluster as DescribeCluster tells it (EMR API Reference).
type Cluster struct {
	ID, Name    string
	State       string // EMR's word: "WAITING"
	StateReason string // why it is in this state, "" if EMR does not say
	Release     string // "emr-7.5.0"
	KeyName     string // EC2 key pair for logging in; "" for none
	// PrimaryDNS is one name only, also where there are three primary nodes; a private name in a private subnet; "" until
	// there is a primary node.
	PrimaryDNS string

	PrimaryGroup      string   // EmrManagedMasterSecurityGroup
	CoreGroup         string   // EmrManagedSlaveSecurityGroup, of core and task nodes
	ServiceGroup      string   // ServiceAccessSecurityGroup; "" outside of private subnets
	AdditionalPrimary []string // EMR does not modify additional groups
	AdditionalCore    []string

	Subnet string
	Fleet  bool // instance fleets rather than groups
	Tags   map[string]string
}

// Active reports whether the cluster has or will soon have nodes.
func (c Cluster) Active() bool {
	switch emrtypes.ClusterState(c.State) {
	case emrtypes.ClusterStateStarting, emrtypes.ClusterStateBootstrapping, emrtypes.ClusterStateRunning, emrtypes.ClusterStateWaiting:
		return true
	}
	return false
}

// Starting reports whether nodes may still be missing.
func (c Cluster) Starting() bool {
	s := emrtypes.ClusterState(c.State)
	return s == emrtypes.ClusterStateStarting || s == emrtypes.ClusterStateBootstrapping
}

// Ended reports whether the cluster is terminated or terminating; it does not come back.
func (c Cluster) Ended() bool { return strings.HasPrefix(c.State, "TERMINAT") }

// Cluster describes a cluster. One that has ended is not an error. An id of the wrong form is BadRequest, one that is not
// in this account and region NotFound.
func (c *Client) Cluster(ctx context.Context, id string) (Cluster, error) {
	const op = "elasticmapreduce:DescribeCluster"
	if err := checkID(op, "cluster (j-…)", formCluster, id); err != nil {
		return Cluster{}, err
	}
	out, err := read(ctx, c, op, id, func(ctx context.Context) (*emr.DescribeClusterOutput, error) {
		return c.emr.DescribeCluster(ctx, &emr.DescribeClusterInput{ClusterId: &id})
	})
	if err != nil {
		return Cluster{}, c.unknownCluster(err)
	}
	if out.Cluster == nil || aws.ToString(out.Cluster.Id) != id {
		return Cluster{}, &Error{Kind: Server, Op: op, Resource: id, Err: errors.New("the answer is not about this cluster")}
	}
	return clusterOf(out.Cluster), nil
}

// unknownCluster turns EMR's InvalidRequestException into NotFound: the request holds nothing but an id of the right form,
// so the id is what is wrong with it. EMR says the same for clusters that ended long ago.
func (c *Client) unknownCluster(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !isType[*emrtypes.InvalidRequestException](e.Err) {
		return err
	}
	e.Kind = NotFound
	e.Hint = c.hintFor(e) + " `aws emr list-clusters --active` shows those that are there."
	return e
}

func clusterOf(in *emrtypes.Cluster) Cluster {
	out := Cluster{
		ID: aws.ToString(in.Id), Name: aws.ToString(in.Name), Release: aws.ToString(in.ReleaseLabel),
		PrimaryDNS: aws.ToString(in.MasterPublicDnsName),
		Fleet:      in.InstanceCollectionType == emrtypes.InstanceCollectionTypeInstanceFleet,
		Tags:       map[string]string{},
	}
	if s := in.Status; s != nil {
		out.State = string(s.State)
		if r := s.StateChangeReason; r != nil {
			out.StateReason = strings.TrimSpace(aws.ToString(r.Message))
			if out.StateReason == "" {
				out.StateReason = string(r.Code)
			}
		}
	}
	if a := in.Ec2InstanceAttributes; a != nil {
		out.KeyName, out.Subnet = aws.ToString(a.Ec2KeyName), aws.ToString(a.Ec2SubnetId)
		out.PrimaryGroup = aws.ToString(a.EmrManagedMasterSecurityGroup)
		out.CoreGroup = aws.ToString(a.EmrManagedSlaveSecurityGroup)
		out.ServiceGroup = aws.ToString(a.ServiceAccessSecurityGroup)
		out.AdditionalPrimary, out.AdditionalCore = a.AdditionalMasterSecurityGroups, a.AdditionalSlaveSecurityGroups
	}
	for _, t := range in.Tags {
		out.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}
