package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

func TestGroupsByNameInTheDefaultVPC(t *testing.T) {
	m := newMemory(awssim.Options{})
	vpc := m.sim.AddVPC(true)
	g := m.sim.AddGroup(vpc, "web", "web")
	out, err := m.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"web"}})
	check(t, err)
	if len(out.SecurityGroups) != 1 || *out.SecurityGroups[0].GroupId != g {
		t.Errorf("groups are %+v", out.SecurityGroups)
	}
	// All traffic from a group that is named.
	_, err = m.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupName: aws.String("web"), SourceSecurityGroupName: aws.String("default"),
	})
	check(t, err)
	_, err = m.tryAuthorize(t, g, types.IpPermission{
		IpProtocol: aws.String("udp"), FromPort: aws.Int32(1), ToPort: aws.Int32(2), UserIdGroupPairs: []types.UserIdGroupPair{{GroupName: aws.String("web")}},
	})
	check(t, err)
	rules := m.sim.Rules(g)
	equal(t, "rules", len(rules), 2)
	for _, r := range rules {
		if r.Protocol == "udp" && r.SourceGroup != g || r.Protocol == "-1" && r.SourceGroup == "" {
			t.Errorf("rule is %+v", r)
		}
	}
	for _, name := range []string{"nobody", "ElasticMapReduce-master"} { // the second is in another VPC
		_, err = m.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupName: &name})
		wantCode(t, err, "InvalidGroup.NotFound")
	}
	_, err = m.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupName: aws.String("default")})
	wantCode(t, err, "CannotDelete")
	_, err = m.tryAuthorize(t, g, fromGroup(m.groupID))
	wantCode(t, err, "InvalidGroup.NotFound") // of another VPC
}

func TestGroupsThatCannotBeMade(t *testing.T) {
	m := newMemory(awssim.Options{})
	for code, in := range map[string]*ec2.CreateSecurityGroupInput{
		"VPCIdNotSpecified":      {GroupName: aws.String("g"), Description: aws.String("g")},
		"InvalidVpcID.NotFound":  {GroupName: aws.String("g"), Description: aws.String("g"), VpcId: aws.String("vpc-0123456789abcdef0")},
		"InvalidParameterValue":  {GroupName: aws.String("sg-g"), Description: aws.String("g"), VpcId: &m.vpc},
		"InvalidGroup.Duplicate": {GroupName: aws.String("ElasticMapReduce-master"), Description: aws.String("g"), VpcId: &m.vpc},
	} {
		_, err := m.ec2.CreateSecurityGroup(t.Context(), in)
		wantCode(t, err, code)
	}
	_, err := m.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("é"), Description: aws.String("é"), VpcId: &m.vpc})
	wantCode(t, err, "InvalidParameterValue")
	out, err := m.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("g"), Description: aws.String("g"), VpcId: &m.vpc,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: tagsOf("k", "v")}},
	})
	check(t, err)
	equal(t, "tag", tagMap(describeGroup(t, m.world, *out.GroupId).Tags)["k"], "v")
}

func TestSubnetsTellPublicFromPrivate(t *testing.T) {
	m := newMemory(awssim.Options{})
	public, private := m.sim.AddSubnet(m.vpc, true), m.sim.AddSubnet(m.vpc, false)
	out, err := m.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{public, private}})
	check(t, err)
	for _, s := range out.Subnets {
		equal(t, *s.SubnetId+" is public", *s.MapPublicIpOnLaunch, *s.SubnetId == public)
	}
	if *out.Subnets[0].CidrBlock == *out.Subnets[1].CidrBlock {
		t.Error("both have one CIDR")
	}
	_, err = m.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0123456789abcdef0"}})
	wantCode(t, err, "InvalidSubnetID.NotFound")
	_, err = m.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("colour", "red")}})
	wantCode(t, err, "InvalidParameterValue")
	_, err = m.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{m.vpc}, MaxResults: aws.Int32(5)})
	wantCode(t, err, "InvalidParameterCombination")
}

func TestInterfacesFollowTheInstances(t *testing.T) {
	m := newMemory(awssim.Options{})
	id := m.addCluster(awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}, {State: "TERMINATED"}}})
	byGroup := &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("group-id", m.groupID)}}
	out, err := m.ec2.DescribeNetworkInterfaces(t.Context(), byGroup)
	check(t, err)
	if len(out.NetworkInterfaces) != 1 || *out.NetworkInterfaces[0].Attachment.InstanceId != m.sim.Nodes(id)[0].InstanceID {
		t.Fatalf("interfaces are %+v", out.NetworkInterfaces)
	}
	_, err = m.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*out.NetworkInterfaces[0].NetworkInterfaceId}})
	check(t, err)
	m.sim.SetClusterState(id, "TERMINATED")
	out, err = m.ec2.DescribeNetworkInterfaces(t.Context(), byGroup)
	check(t, err)
	equal(t, "interfaces at the end", len(out.NetworkInterfaces), 0)
	_, err = m.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-0123456789abcdef0"}})
	wantCode(t, err, "InvalidNetworkInterfaceID.NotFound")
	_, err = m.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &m.groupID})
	check(t, err) // nothing runs in it any more
}

func TestPrefixListOfIPv6(t *testing.T) {
	m := newMemory(awssim.Options{Account: "111122223333", RuleQuota: 3})
	equal(t, "account", m.sim.Options().Account, "111122223333")
	id := m.sim.AddPrefixList(awssim.PrefixListSpec{Name: "six", IPv6: true, Entries: map[string]string{"2001:DB8::1/128": "a", "2001:db8::2/128": "b"}})
	out, err := m.ec2.DescribeManagedPrefixLists(t.Context(), &ec2.DescribeManagedPrefixListsInput{Filters: []types.Filter{filter("prefix-list-name", "s*")}})
	check(t, err)
	equal(t, "family", *out.PrefixLists[0].AddressFamily, "IPv6")
	equal(t, "size", *out.PrefixLists[0].MaxEntries, 2)
	entries, err := m.ec2.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id, MaxResults: aws.Int32(1)})
	check(t, err)
	if len(entries.Entries) != 1 || *entries.Entries[0].Cidr != "2001:db8::1/128" || entries.NextToken == nil {
		t.Errorf("first page is %+v", entries.Entries)
	}
	m.sim.AddRule(m.groupID, awssim.RuleSpec{FromPort: 22, ToPort: 22, PrefixList: id})
	m.authorize(t, m.groupID, ssh("2001:db8::9/128", ""))
	_, err = m.tryAuthorize(t, m.groupID, ssh("2001:db8::8/128", ""))
	wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
	m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""))

	for code, in := range map[string]*ec2.ModifyManagedPrefixListInput{
		"InvalidParameterCombination": {CurrentVersion: aws.Int64(1), MaxEntries: aws.Int32(9), RemoveEntries: []types.RemovePrefixListEntry{{Cidr: aws.String("2001:db8::1/128")}}},
		"MissingParameter":            {RemoveEntries: []types.RemovePrefixListEntry{{Cidr: aws.String("2001:db8::1/128")}}},
		"InvalidParameterValue":       {MaxEntries: aws.Int32(1)},
	} {
		in.PrefixListId = &id
		_, err := m.ec2.ModifyManagedPrefixList(t.Context(), in)
		wantCode(t, err, code)
	}
	resized, err := m.ec2.ModifyManagedPrefixList(t.Context(), &ec2.ModifyManagedPrefixListInput{PrefixListId: &id, MaxEntries: aws.Int32(9), PrefixListName: aws.String("nine")})
	check(t, err)
	equal(t, "new size", *resized.PrefixList.MaxEntries, 9)
	equal(t, "new name", *resized.PrefixList.PrefixListName, "nine")
}

func TestTagsOfEverythingAreDescribed(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""), "owner", "me")
	check(t, m.tag(t, &m.groupID, "owner", "emr"))
	cluster := m.addCluster(awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{}}})
	count := func(name string, values ...string) (kinds []string) {
		out, err := m.ec2.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: []types.Filter{filter(name, values...)}})
		check(t, err)
		for _, tag := range out.Tags {
			kinds = append(kinds, string(tag.ResourceType))
		}
		return kinds
	}
	equal(t, "owner tags", len(count("key", "owner")), 2)
	equal(t, "of rules", strings.Join(count("resource-type", "security-group-rule"), " "), "security-group-rule")
	equal(t, "of the cluster's instances", strings.Join(count("value", cluster), " "), "instance")
	_, err := m.emr.ListBootstrapActions(t.Context(), &emr.ListBootstrapActionsInput{ClusterId: aws.String("j-UNKNOWN")})
	wantCode(t, err, "InvalidRequestException")
}
