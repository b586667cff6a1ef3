package awsclient_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// motoCluster makes a group and a cluster with it through the SDK. moto creates neither EMR's groups nor puts them on
// instances.
func motoCluster(t *testing.T) (cluster, group string) {
	t.Helper()
	ctx := t.Context()
	cfg, err := config.LoadDefaultConfig(ctx)
	must(t, err)
	e2, er := ec2.NewFromConfig(cfg), emr.NewFromConfig(cfg)
	vpc, err := e2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.20.0.0/16")})
	must(t, err)
	sn, err := e2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.20.1.0/24")})
	must(t, err)
	newGroup := func(name string) *string {
		g, err := e2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: aws.String(name), VpcId: vpc.Vpc.VpcId})
		must(t, err)
		return g.GroupId
	}
	master, slave := newGroup("ElasticMapReduce-master"), newGroup("ElasticMapReduce-slave")
	run, err := er.RunJobFlow(ctx, &emr.RunJobFlowInput{
		Name: aws.String("nightly"), ReleaseLabel: aws.String("emr-7.5.0"), ServiceRole: aws.String("EMR_DefaultRole"), JobFlowRole: aws.String("EMR_EC2_DefaultRole"),
		Instances: &emrtypes.JobFlowInstancesConfig{
			Ec2SubnetId: sn.Subnet.SubnetId, KeepJobFlowAliveWhenNoSteps: aws.Bool(true), EmrManagedMasterSecurityGroup: master, EmrManagedSlaveSecurityGroup: slave,
			InstanceGroups: []emrtypes.InstanceGroupConfig{{InstanceRole: emrtypes.InstanceRoleTypeMaster, InstanceCount: aws.Int32(1), InstanceType: aws.String("m5.xlarge")}},
		},
	})
	must(t, err)
	return *run.JobFlowId, *master
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMoto walks the whole way against a peer that shares no code with us, over real connections.
func TestMoto(t *testing.T) {
	staticKeys(t)
	t.Setenv("AWS_REGION", "us-east-1") // moto's EMR knows no other region behind an endpoint without a name
	t.Setenv("AWS_ENDPOINT_URL", mototest.Start(t))
	id, group := motoCluster(t)
	ctx := t.Context()
	c, err := awsclient.Open(ctx, awsclient.Options{UserAgent: "emr-accessd/test"})
	must(t, err)
	t.Cleanup(c.Close)
	if got := c.Identity(); got.Account != "123456789012" || got.UserID == "" {
		t.Errorf("identity %+v", got)
	}

	cl, err := c.Cluster(ctx, id)
	must(t, err)
	if !cl.Active() || cl.PrimaryGroup != group || cl.Name != "nightly" {
		t.Errorf("cluster %+v", cl)
	}
	if list, err := c.ListClusters(ctx, false); err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("clusters %+v, %v", list, err)
	}
	_, err = c.Cluster(ctx, "j-UNKNOWNUNKNOW")
	wantKind(t, err, awsclient.NotFound)
	nodes, err := c.Nodes(ctx, cl)
	must(t, err)
	if len(nodes) != 1 || !nodes[0].Public4.Is4() || nodes[0].Detail != nil {
		t.Errorf("nodes %+v", nodes)
	}
	if g, err := c.Group(ctx, group); err != nil || g.Name != "ElasticMapReduce-master" {
		t.Errorf("group %+v, %v", g, err)
	}

	before, err := c.Rules(ctx, group)
	must(t, err)
	if len(before.Rules) == 0 || time.Since(before.AWS).Abs() > time.Minute { // EMR's own rules
		t.Errorf("view %+v", before)
	}
	mine := sgsync.NewRule{Port: 22, CIDR: netip.MustParsePrefix("203.0.113.5/32"), Description: "one", Tags: map[string]string{"emr-accessd-owner": "me"}}
	added, err := c.Authorize(ctx, group, mine)
	must(t, err)
	_, err = c.Authorize(ctx, group, mine)
	if wantKind(t, err, awsclient.Duplicate); !errors.Is(err, sgsync.ErrDuplicate) {
		t.Errorf("%v", err)
	}
	moved := mine
	moved.CIDR, moved.Description = netip.MustParsePrefix("203.0.113.6/32"), "two"
	must(t, c.Modify(ctx, group, added.ID, moved))
	must(t, c.Tag(ctx, added.ID, "lease", "v1"))
	must(t, c.Tag(ctx, added.ID, "lease2", "v1"))
	must(t, c.Untag(ctx, added.ID, "lease", "other")) // not this value: it stays
	must(t, c.Untag(ctx, added.ID, "lease2", "v1"))
	byTag, err := c.RulesByTag(ctx, "lease")
	must(t, err)
	if len(byTag.Rules) != 1 {
		t.Fatalf("by tag: %+v", byTag)
	}
	r := byTag.Rules[0]
	if r.ID != added.ID || r.CIDR != moved.CIDR || r.Description != "two" || len(r.Tags) != 2 || r.Tags["lease"] != "v1" {
		t.Errorf("after moving and tagging: %+v", r)
	}
	must(t, c.Revoke(ctx, group, added.ID))
	if err := c.Revoke(ctx, group, added.ID); !errors.Is(err, sgsync.ErrGone) {
		t.Errorf("revoked twice: %v", err)
	}
	after, err := c.Rules(ctx, group)
	must(t, err)
	ids := func(v sgsync.View) (list []string) {
		for _, r := range v.Rules {
			list = append(list, r.ID)
		}
		slices.Sort(list)
		return list
	}
	if !slices.Equal(ids(before), ids(after)) {
		t.Errorf("the group is not as it was: %v, then %v", ids(before), ids(after))
	}
}
