package awssim_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// addCluster adds a cluster with the group as its master group.
func (m memory) addCluster(spec awssim.ClusterSpec) string {
	spec.MasterGroup = m.groupID
	m.cluster = m.sim.AddCluster(spec)
	return m.cluster
}

func TestClusterIdsLookLikeEMRs(t *testing.T) {
	m := newMemory(awssim.Options{})
	id := m.addCluster(awssim.ClusterSpec{})
	rest := strings.TrimPrefix(id, "j-")
	if len(rest) != 13 || rest == id || strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		t.Errorf("the id is %q", id)
	}
	equal(t, "chosen id", m.addCluster(awssim.ClusterSpec{ID: "j-2AXXXXXXGAPLF"}), "j-2AXXXXXXGAPLF")
}

func TestMasterNames(t *testing.T) {
	for name, c := range map[string]struct {
		region, want string
		spec         awssim.ClusterSpec
	}{
		"public":            {"us-east-1", "ec2-203-0-113-1.compute-1.amazonaws.com", awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}}}},
		"elsewhere":         {"eu-west-1", "ec2-203-0-113-1.eu-west-1.compute.amazonaws.com", awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}}}},
		"private":           {"us-east-1", "ip-10-0-0-9.ec2.internal", awssim.ClusterSpec{Private: true, Nodes: []awssim.NodeSpec{{PrivateIP: "10.0.0.9"}}}},
		"private elsewhere": {"eu-west-1", "ip-10-0-0-9.eu-west-1.compute.internal", awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{PrivateIP: "10.0.0.9"}}}},
		"not there yet":     {"us-east-1", "", awssim.ClusterSpec{Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1", State: "PROVISIONING"}}}},
		"after a failure": {"us-east-1", "second", awssim.ClusterSpec{Nodes: []awssim.NodeSpec{
			{PublicDNS: "first", State: "TERMINATED"}, {PublicDNS: "second"}, {PublicDNS: "third"}, {Role: "CORE", PublicDNS: "core"},
		}}},
		"chosen": {"us-east-1", "127.0.0.1", awssim.ClusterSpec{MasterDNS: "127.0.0.1", Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(awssim.Options{Region: c.region}, func(cfg *aws.Config) { cfg.Region = c.region })
			id := m.addCluster(c.spec)
			equal(t, "name", aws.ToString(describe(t, m.world, id).MasterPublicDnsName), c.want)
		})
	}
}

func TestFleets(t *testing.T) {
	m := newMemory(awssim.Options{})
	id := m.addCluster(awssim.ClusterSpec{Fleets: true, Nodes: []awssim.NodeSpec{{}, {Role: "CORE"}, {Role: "CORE", State: "TERMINATED"}}})
	equal(t, "collection", describe(t, m.world, id).InstanceCollectionType, emrtypes.InstanceCollectionTypeInstanceFleet)
	fleets, err := m.emr.ListInstanceFleets(t.Context(), &emr.ListInstanceFleetsInput{ClusterId: &id})
	check(t, err)
	equal(t, "fleets", len(fleets.InstanceFleets), 2)
	equal(t, "cores", *fleets.InstanceFleets[1].ProvisionedOnDemandCapacity, 1)
	list, err := m.emr.ListInstances(t.Context(), &emr.ListInstancesInput{ClusterId: &id, InstanceFleetType: "MASTER"})
	check(t, err)
	if len(list.Instances) != 1 || *list.Instances[0].InstanceFleetId != *fleets.InstanceFleets[0].Id {
		t.Errorf("instances are %+v", list.Instances)
	}
	_, err = m.emr.ListInstances(t.Context(), &emr.ListInstancesInput{ClusterId: &id, InstanceGroupTypes: []emrtypes.InstanceGroupType{"MASTER"}})
	wantCode(t, err, "InvalidRequestException")
	_, err = m.emr.ListInstanceGroups(t.Context(), &emr.ListInstanceGroupsInput{ClusterId: &id})
	wantCode(t, err, "InvalidRequestException")
}

func TestManyInstancesComeInPages(t *testing.T) {
	m := newMemory(awssim.Options{})
	id := m.addCluster(awssim.ClusterSpec{Nodes: make([]awssim.NodeSpec, 120)})
	n, pages := 0, 0
	for p := emr.NewListInstancesPaginator(m.emr, &emr.ListInstancesInput{ClusterId: &id}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		check(t, err)
		n += len(out.Instances)
	}
	equal(t, "instances", n, 120)
	equal(t, "pages", pages, 3)
}

func TestClustersAreListedNewestFirst(t *testing.T) {
	m := newMemory(awssim.Options{})
	base := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	old := m.addCluster(awssim.ClusterSpec{Created: base})
	young := m.addCluster(awssim.ClusterSpec{Created: base.Add(time.Hour)})
	ids := clusterIDs(t, m.world, &emr.ListClustersInput{})
	equal(t, "order", strings.Join(ids, " "), young+" "+old)
	between := base.Add(time.Minute)
	equal(t, "created before", strings.Join(clusterIDs(t, m.world, &emr.ListClustersInput{CreatedBefore: &between}), " "), old)
}

func TestInstancesAsEC2SeesThem(t *testing.T) {
	m := newMemory(awssim.Options{})
	extra := m.sim.AddGroup(m.vpc, "extra", "extra")
	id := m.addCluster(awssim.ClusterSpec{KeyName: "team", AdditionalMaster: []string{extra}, Nodes: []awssim.NodeSpec{
		{PublicIP: "203.0.113.1", PrivateIP: "10.20.1.5", IPv6: "2001:db8::5"}, {Role: "TASK", State: "BOOTSTRAPPING"},
	}})
	master := m.sim.Nodes(id)[0]
	equal(t, "groups", strings.Join(master.Groups, " "), m.groupID+" "+extra)
	i := describeInstance(t, m.world, master.InstanceID)
	equal(t, "IPv6", *i.NetworkInterfaces[0].Ipv6Addresses[0].Ipv6Address, "2001:db8::5")
	equal(t, "public address", *i.NetworkInterfaces[0].Association.PublicIp, "203.0.113.1")
	equal(t, "cluster", tagMap(i.Tags)["aws:elasticmapreduce:job-flow-id"], id)
	task := describeInstance(t, m.world, m.sim.Nodes(id)[1].InstanceID)
	equal(t, "state of a bootstrapping node", task.State.Name, types.InstanceStateNameRunning)
	equal(t, "groups of a task node", len(task.SecurityGroups), 0)

	m.sim.SetNode(master.InstanceID, func(n *awssim.NodeSpec) { n.PublicIP = "203.0.113.99" })
	equal(t, "new address", *describeInstance(t, m.world, master.InstanceID).PublicIpAddress, "203.0.113.99")

	m.sim.SetClusterState(id, "TERMINATED_WITH_ERRORS")
	i = describeInstance(t, m.world, master.InstanceID)
	equal(t, "state at the end", i.State.Name, types.InstanceStateNameTerminated)
	equal(t, "interfaces at the end", len(i.NetworkInterfaces), 0)
	c := describe(t, m.world, id)
	if c.Status.Timeline.EndDateTime == nil {
		t.Error("there is no end")
	}
	second := m.sim.AddNode(id, awssim.NodeSpec{PublicIP: "203.0.113.2"})
	equal(t, "added node", m.sim.Nodes(id)[2].InstanceID, second)
	if m.sim.Nodes("j-UNKNOWN") != nil {
		t.Error("an unknown cluster has nodes")
	}
	_, err := m.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &extra})
	wantCode(t, err, "DependencyViolation")
}

func console(t *testing.T, m memory, id string, latest bool) string {
	t.Helper()
	out, err := m.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: &latest})
	check(t, err)
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	check(t, err)
	return string(text)
}

func TestConsoleOutput(t *testing.T) {
	m := newMemory(awssim.Options{})
	long := strings.Repeat("x", 70<<10) + "end"
	id := m.addCluster(awssim.ClusterSpec{Nodes: []awssim.NodeSpec{
		{Console: "booted\r\n"}, {Console: "booted\r\n", ConsoleLatest: "later"}, {Console: long}, {Console: "x", State: "PROVISIONING"},
	}})
	n := m.sim.Nodes(id)
	equal(t, "buffered", console(t, m, n[0].InstanceID, false), "booted\r\n")
	equal(t, "latest", console(t, m, n[0].InstanceID, true), "booted\r\n")
	equal(t, "buffered with a latest", console(t, m, n[1].InstanceID, false), "booted\r\n")
	equal(t, "latest with a latest", console(t, m, n[1].InstanceID, true), "later")
	equal(t, "64 KB", console(t, m, n[2].InstanceID, false), long[len(long)-64<<10:])
	equal(t, "pending", console(t, m, n[3].InstanceID, false), "")
}

func TestPublicBlockCanBeSet(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.SetPublicBlock(false, [2]int{22, 22}, [2]int{8000, 8999})
	out, err := m.emr.GetBlockPublicAccessConfiguration(t.Context(), nil)
	check(t, err)
	c := out.BlockPublicAccessConfiguration
	equal(t, "blocks", *c.BlockPublicSecurityGroupRules, false)
	equal(t, "second exception", *c.PermittedPublicSecurityGroupRuleRanges[1].MaxRange, 8999)
}
