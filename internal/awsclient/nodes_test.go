package awsclient_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

const clusterJSON = `{"Cluster":{"Id":"j-1ABCDEFGHIJKL","Name":"nightly","ReleaseLabel":"emr-7.5.0","InstanceCollectionType":"INSTANCE_FLEET",
"MasterPublicDnsName":"ec2-192-0-2-1.eu-west-1.compute.amazonaws.com","Tags":[{"Key":"team","Value":"data"}],
"Status":{"State":"TERMINATED_WITH_ERRORS","StateChangeReason":{"Code":"BOOTSTRAP_FAILURE","Message":"On the master instance"}},
"Ec2InstanceAttributes":{"Ec2KeyName":"team","Ec2SubnetId":"subnet-1","EmrManagedMasterSecurityGroup":"sg-1","EmrManagedSlaveSecurityGroup":"sg-2",
"ServiceAccessSecurityGroup":"sg-3","AdditionalMasterSecurityGroups":["sg-4"],"AdditionalSlaveSecurityGroups":["sg-5","sg-6"]}}}`

func TestCluster(t *testing.T) {
	web := newCanned().on("DescribeCluster", jsonAnswer(clusterJSON), jsonAnswer(`{"Cluster":{"Id":"j-1ABCDEFGHIJKL"}}`))
	client := open(t, web)
	got, err := client.Cluster(t.Context(), testCluster)
	if err != nil {
		t.Fatal(err)
	}
	want := awsclient.Cluster{
		ID: testCluster, Name: "nightly", State: "TERMINATED_WITH_ERRORS", StateReason: "On the master instance", Release: "emr-7.5.0",
		KeyName: "team", PrimaryDNS: "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com", PrimaryGroup: "sg-1", CoreGroup: "sg-2", ServiceGroup: "sg-3",
		AdditionalPrimary: []string{"sg-4"}, AdditionalCore: []string{"sg-5", "sg-6"}, Subnet: "subnet-1", Fleet: true, Tags: map[string]string{"team": "data"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err = client.Cluster(t.Context(), testCluster); err != nil || got.ID != testCluster {
		t.Errorf("a cluster without attributes: %+v, %v", got, err)
	}
}

func TestClusterStates(t *testing.T) {
	for state, want := range map[string][3]bool{ // active, starting, ended
		"STARTING": {true, true, false}, "BOOTSTRAPPING": {true, true, false}, "RUNNING": {true, false, false}, "WAITING": {true, false, false},
		"TERMINATING": {false, false, true}, "TERMINATED": {false, false, true}, "TERMINATED_WITH_ERRORS": {false, false, true}, "": {}, "NEW": {},
	} {
		c := awsclient.Cluster{State: state}
		if got := [3]bool{c.Active(), c.Starting(), c.Ended()}; got != want {
			t.Errorf("%q: %v, want %v", state, got, want)
		}
	}
}

func TestListClusters(t *testing.T) {
	web := newCanned().on("ListClusters",
		jsonAnswer(`{"Clusters":[{"Id":"j-2","Name":"b","Status":{"State":"WAITING","Timeline":{"CreationDateTime":1790000000.5}}}],"Marker":"m"}`),
		jsonAnswer(`{"Clusters":[{"Id":"j-1"}]}`))
	client := open(t, web)
	got, err := client.ListClusters(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].State != "WAITING" || got[0].Created.Unix() != 1790000000 || got[1].ID != "j-1" || !got[1].Created.IsZero() {
		t.Errorf("got %+v", got)
	}
	const active = `"ClusterStates":["STARTING","BOOTSTRAPPING","RUNNING","WAITING"]`
	if a, b := web.sent[1].body, web.sent[2].body; !strings.Contains(a, active) || !strings.Contains(b, active) || !strings.Contains(b, `"Marker":"m"`) {
		t.Errorf("sent %s, then %s", a, b)
	}
	web.on("ListClusters", jsonAnswer(`{"Clusters":[]}`))
	if got, err = client.ListClusters(t.Context(), true); err != nil || len(got) != 0 || strings.Contains(web.last(t).body, "ClusterStates") {
		t.Errorf("all: %v, %v, sent %s", got, err, web.last(t).body)
	}
	web.on("ListClusters", jsonAnswer(`{"Clusters":[],"Marker":"again"}`))
	_, err = client.ListClusters(t.Context(), true)
	wantKind(t, err, awsclient.Server)
}

func instanceJSON(id, state, public string, created int) string {
	return fmt.Sprintf(`{"Ec2InstanceId":%q,"PublicDnsName":"","PublicIpAddress":%q,"PrivateIpAddress":"10.0.0.9","Status":{"State":%q,"Timeline":{"CreationDateTime":%d}}}`, id, public, state, created)
}

const describeInstances = `<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-000000000000000b1</instanceId>
<ipAddress>192.0.2.21</ipAddress><dnsName>ec2-192-0-2-21.example</dnsName><privateIpAddress>10.0.0.1</privateIpAddress>
<groupSet><item><groupId>sg-2</groupId></item></groupSet>
<networkInterfaceSet>
<item><attachment><deviceIndex>1</deviceIndex></attachment><groupSet><item><groupId>sg-9</groupId></item></groupSet><ipv6AddressesSet><item><ipv6Address>2001:db8::9</ipv6Address></item></ipv6AddressesSet></item>
<item><attachment><deviceIndex>0</deviceIndex></attachment><groupSet><item><groupId>sg-2</groupId></item><item><groupId>sg-1</groupId></item></groupSet><ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet></item>
</networkInterfaceSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`

func TestNodes(t *testing.T) {
	web := newCanned().on("ListInstances",
		jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000b2", "RUNNING", "", 200)+`,`+instanceJSON("i-000000000000000dd", "TERMINATED", "", 1)+`],"Marker":"m"}`),
		jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000b1", "BOOTSTRAPPING", "192.0.2.1", 100)+`]}`),
	).on("DescribeInstances", xmlAnswer(describeInstances))
	client := open(t, web)
	got, err := client.Nodes(t.Context(), awsclient.Cluster{ID: testCluster})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[1].Detail == nil {
		t.Fatalf("got %+v", got)
	}
	got[1].Detail = nil
	want := []awsclient.Node{
		{
			Instance: "i-000000000000000b1", Role: "primary", State: "BOOTSTRAPPING", PublicDNS: "ec2-192-0-2-21.example",
			Public4: netip.MustParseAddr("192.0.2.21"), Private4: netip.MustParseAddr("10.0.0.1"), V6: netip.MustParseAddr("2001:db8::1"),
			Groups: []string{"sg-1", "sg-2", "sg-9"},
		},
		{Instance: "i-000000000000000b2", Role: "primary", State: "RUNNING", Private4: netip.MustParseAddr("10.0.0.9")},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.IgnoreUnexported(awsclient.Node{})); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{`"InstanceGroupTypes":["MASTER"]`, `"InstanceStates":["RUNNING","BOOTSTRAPPING"]`, `"ClusterId":"j-1ABCDEFGHIJKL"`} {
		if !strings.Contains(web.sent[1].body, part) {
			t.Errorf("sent %s without %s", web.sent[1].body, part)
		}
	}
	if f := web.last(t).form; f.Get("Filter.1.Name") != "instance-id" || f.Get("Filter.1.Value.2") != "i-000000000000000b2" || f.Get("InstanceId.1") != "" {
		t.Errorf("sent %v", f)
	}
}

func TestNodesOfFleetsAndRoles(t *testing.T) {
	web := newCanned().on("ListInstances",
		jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000a1", "RUNNING", "", 1)+`]}`),
		jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000a2", "RUNNING", "", 1)+`]}`),
	).on("DescribeInstances", ec2Error(403, "UnauthorizedOperation", "no"))
	client := open(t, web)
	got, err := client.Nodes(t.Context(), awsclient.Cluster{ID: testCluster, Fleet: true}, awsclient.RoleTask, awsclient.RoleCore)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Role != "task" || got[1].Role != "core" {
		t.Fatalf("got %+v", got)
	}
	for _, n := range got { // without the permission the nodes are known, their IPv6 and groups are not
		wantKind(t, n.Detail, awsclient.Denied)
	}
	if a, b := web.sent[1].body, web.sent[2].body; !strings.Contains(a, `"InstanceFleetType":"TASK"`) || !strings.Contains(b, `"InstanceFleetType":"CORE"`) || strings.Contains(a, "InstanceGroupTypes") {
		t.Errorf("sent %s, then %s", a, b)
	}
}

// TestNodesFailsWhereEC2Does: a family must not seem absent because EC2 did not answer.
func TestNodesFailsWhereEC2Does(t *testing.T) {
	web := newCanned().on("ListInstances", jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000a1", "RUNNING", "", 1)+`]}`)).
		on("DescribeInstances", ec2Error(400, "InvalidParameterValue", "no"))
	client := open(t, web)
	nodes, err := client.Nodes(t.Context(), awsclient.Cluster{ID: testCluster})
	wantKind(t, err, awsclient.BadRequest)
	if nodes != nil {
		t.Errorf("nodes %+v in spite of the error", nodes)
	}
	web.on("ListInstances", jsonAnswer(`{"Instances":[]}`))
	n := len(web.actions())
	if nodes, err = client.Nodes(t.Context(), awsclient.Cluster{ID: testCluster}); err != nil || len(nodes) != 0 {
		t.Errorf("no node: %v, %v", nodes, err)
	}
	if got := web.actions()[n:]; !slices.Equal(got, []string{"ListInstances"}) {
		t.Errorf("sent %q: EC2 needs not be asked about nothing", got)
	}
}

func TestGroupConsoleAndKeyPair(t *testing.T) {
	const instance = "i-0123456789abcdef0"
	web := newCanned().
		on("DescribeSecurityGroups", xmlAnswer(`<DescribeSecurityGroupsResponse><securityGroupInfo><item><ownerId>123456789012</ownerId><groupId>`+testGroup+`</groupId><groupName>ElasticMapReduce-master</groupName><groupDescription>Master group</groupDescription><vpcId>vpc-1</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>`)).
		on("GetConsoleOutput", xmlAnswer("<GetConsoleOutputResponse><instanceId>"+instance+"</instanceId><output>\naGVsbG8N\nCndvcmxk\n</output></GetConsoleOutputResponse>")).
		on("DescribeKeyPairs", xmlAnswer("<DescribeKeyPairsResponse><keySet><item><keyName>team</keyName><publicKey>ssh-ed25519 AAAA team\n</publicKey></item></keySet></DescribeKeyPairsResponse>"))
	client := open(t, web)
	ctx := t.Context()
	group, err := client.Group(ctx, testGroup)
	want := awsclient.Group{ID: testGroup, Name: "ElasticMapReduce-master", VPC: "vpc-1", Owner: "123456789012", Description: "Master group"}
	if err != nil || group != want {
		t.Errorf("group %+v, %v", group, err)
	}
	text, err := client.ConsoleOutput(ctx, instance, false)
	if err != nil || text != "hello\r\nworld" || web.last(t).form.Has("Latest") {
		t.Errorf("console %q, %v, sent %v", text, err, web.last(t).form)
	}
	if _, err = client.ConsoleOutput(ctx, instance, true); err != nil || web.last(t).form.Get("Latest") != "true" {
		t.Errorf("latest: %v, sent %v", err, web.last(t).form)
	}
	key, err := client.KeyPair(ctx, "team")
	if err != nil || key != "ssh-ed25519 AAAA team\n" || web.last(t).form.Get("IncludePublicKey") != "true" {
		t.Errorf("key %q, %v, sent %v", key, err, web.last(t).form)
	}
	_, err = client.KeyPair(ctx, "other")
	wantKind(t, err, awsclient.Server)

	for name, output := range map[string]string{"not base64": "<output>%%%</output>", "too large": "<output>" + strings.Repeat("QUFB", 1<<17) + "</output>"} {
		web.on("GetConsoleOutput", xmlAnswer("<GetConsoleOutputResponse>"+output+"</GetConsoleOutputResponse>"))
		if text, err := client.ConsoleOutput(ctx, instance, false); err == nil || text != "" {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
	web.on("GetConsoleOutput", xmlAnswer("<GetConsoleOutputResponse></GetConsoleOutputResponse>"))
	if text, err := client.ConsoleOutput(ctx, instance, false); err != nil || text != "" {
		t.Errorf("nothing yet: %q, %v", text, err)
	}
}
