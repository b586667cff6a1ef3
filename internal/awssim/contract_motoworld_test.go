package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

// motoMaker makes a world through the API, as one would on AWS.
type motoMaker struct{}

func (motoMaker) vpcs(t *testing.T, w *world) (vpc, subnet, defaultVPC string) {
	v, err := w.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.20.0.0/16")})
	check(t, err)
	sn, err := w.ec2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: v.Vpc.VpcId, CidrBlock: aws.String("10.20.1.0/24")})
	check(t, err)
	all, err := w.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("isDefault", "true")}})
	check(t, err)
	if len(all.Vpcs) != 1 {
		t.Fatalf("moto has %d default VPCs", len(all.Vpcs))
	}
	return *v.Vpc.VpcId, *sn.Subnet.SubnetId, *all.Vpcs[0].VpcId
}

func (motoMaker) newCluster(t *testing.T, w *world, name string, cores int) string {
	group := func(role emrtypes.InstanceRoleType, n int) emrtypes.InstanceGroupConfig {
		return emrtypes.InstanceGroupConfig{InstanceRole: role, InstanceCount: aws.Int32(int32(n)), InstanceType: aws.String("m5.xlarge")}
	}
	in := &emr.RunJobFlowInput{
		Name: &name, ReleaseLabel: aws.String("emr-7.5.0"), ServiceRole: aws.String("EMR_DefaultRole"), JobFlowRole: aws.String("EMR_EC2_DefaultRole"),
		Tags: []emrtypes.Tag{{Key: aws.String("team"), Value: aws.String("data")}},
		Instances: &emrtypes.JobFlowInstancesConfig{
			Ec2KeyName: aws.String("team"), Ec2SubnetId: &w.subnet, KeepJobFlowAliveWhenNoSteps: aws.Bool(true),
			EmrManagedMasterSecurityGroup: &w.master, EmrManagedSlaveSecurityGroup: &w.core,
			AdditionalMasterSecurityGroups: []string{w.additional},
			InstanceGroups:                 []emrtypes.InstanceGroupConfig{group(emrtypes.InstanceRoleTypeMaster, 1)},
		},
	}
	if cores > 0 {
		in.Instances.InstanceGroups = append(in.Instances.InstanceGroups, group(emrtypes.InstanceRoleTypeCore, cores))
	}
	out, err := w.emr.RunJobFlow(t.Context(), in)
	check(t, err)
	return *out.JobFlowId
}

func (motoMaker) terminate(t *testing.T, w *world, cluster string) {
	_, err := w.emr.TerminateJobFlows(t.Context(), &emr.TerminateJobFlowsInput{JobFlowIds: []string{cluster}})
	check(t, err)
}

func (motoMaker) newKeyPair(t *testing.T, w *world, name, public string) {
	_, err := w.ec2.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: &name, PublicKeyMaterial: []byte(public)})
	check(t, err)
}

func (motoMaker) newPrefixList(t *testing.T, w *world, name, cidr, description string) string {
	out, err := w.ec2.CreateManagedPrefixList(t.Context(), &ec2.CreateManagedPrefixListInput{
		PrefixListName: &name, AddressFamily: aws.String("IPv4"), MaxEntries: aws.Int32(5),
		Entries: []types.AddPrefixListEntry{{Cidr: &cidr, Description: &description}},
	})
	check(t, err)
	return *out.PrefixList.PrefixListId
}
