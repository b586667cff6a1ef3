package awsclient_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

// asked are the reads whose answers are fuzzed, each with a good answer for a start. What they return is checked as far as
// the rest of the program relies on it.
var asked = []struct {
	actions []string
	good    string
	ask     func(ctx context.Context, c *awsclient.Client) (wrong string, err error)
}{
	{[]string{"DescribeCluster"}, `{"Cluster":{"Id":"` + testCluster + `","Name":"n","Status":{"State":"RUNNING"},"Ec2InstanceAttributes":{"EmrManagedMasterSecurityGroup":"` + testGroup + `"}}}`,
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			got, err := c.Cluster(ctx, testCluster)
			if err == nil && got.ID != testCluster {
				return "another cluster: " + got.ID, nil
			}
			return "", err
		}},
	{[]string{"ListClusters"}, `{"Clusters":[{"Id":"` + testCluster + `","Name":"n","Status":{"State":"RUNNING","Timeline":{"CreationDateTime":1790000000}}}]}`,
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			_, err := c.ListClusters(ctx, true)
			return "", err
		}},
	{[]string{"ListInstances"}, `{"Instances":[` + instanceJSON("i-000000000000000b1", "RUNNING", "192.0.2.1", 200) + `]}`,
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			got, err := c.Nodes(ctx, awsclient.Cluster{ID: testCluster})
			return wrongNode(got), err
		}},
	{[]string{"DescribeInstances"}, describeInstances,
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			got, err := c.Nodes(ctx, awsclient.Cluster{ID: testCluster})
			return wrongNode(got), err
		}},
	{[]string{"GetConsoleOutput"}, "<GetConsoleOutputResponse><output>c3No\n</output></GetConsoleOutputResponse>",
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			_, err := c.ConsoleOutput(ctx, "i-000000000000000b1", false)
			return "", err
		}},
	{[]string{"DescribeSecurityGroups"}, "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>" + testGroup + "</groupId><groupName>g</groupName></item></securityGroupInfo></DescribeSecurityGroupsResponse>",
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			got, err := c.Group(ctx, testGroup)
			if err == nil && got.ID != testGroup {
				return "another group: " + got.ID, nil
			}
			return "", err
		}},
	{[]string{"DescribeNetworkInterfaces"}, "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId></item></networkInterfaceSet></DescribeNetworkInterfacesResponse>",
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			_, err := c.InterfacesIn(ctx, testGroup)
			return "", err
		}},
	{[]string{"DescribeManagedPrefixLists", "GetManagedPrefixListEntries"}, "<DescribeManagedPrefixListsResponse><prefixListSet><item><prefixListId>pl-0123456789abcdef0</prefixListId></item></prefixListSet></DescribeManagedPrefixListsResponse>",
		func(ctx context.Context, c *awsclient.Client) (string, error) {
			_, err := c.PrefixLists(ctx, []string{"pl-0123456789abcdef0"})
			return "", err
		}},
}

var instanceID = regexp.MustCompile(`\Ai-[0-9a-f]{8,17}\z`)

// wrongNode says what is wrong with nodes: their ids reach files and the ssh configuration.
func wrongNode(nodes []awsclient.Node) string {
	for _, n := range nodes {
		switch {
		case !instanceID.MatchString(n.Instance):
			return "instance " + n.Instance
		case n.Public4.IsValid() && !n.Public4.Is4(), n.Private4.IsValid() && !n.Private4.Is4(), n.V6.IsValid() && !n.V6.Is6():
			return "an address of the wrong family"
		case !slices.IsSorted(n.Groups):
			return "groups that are not sorted"
		}
	}
	return ""
}

// FuzzAnswers feeds answers of any form, status and kind to everything that reads one: there is a result that the program
// may rely on, or an error with a kind and in one line.
func FuzzAnswers(f *testing.F) {
	staticKeys(f)
	for i, a := range asked {
		f.Add(uint8(i), uint16(200), a.good)
		f.Add(uint8(i), uint16(400), `{"__type":"InvalidRequestException","Message":"a\u001b[31mb"}`)
		f.Add(uint8(i), uint16(403), "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>x\r\ny</Message></Error></Errors></Response>")
		f.Add(uint8(i), uint16(200), "<html>")
	}
	f.Fuzz(func(t *testing.T, which uint8, status uint16, body string) {
		a := asked[int(which)%len(asked)]
		web := newCanned().on("ListInstances", jsonAnswer(`{"Instances":[`+instanceJSON("i-000000000000000b1", "RUNNING", "", 1)+`]}`)).
			on("DescribeInstances", xmlAnswer(describeInstances))
		client := openOn(t, web)
		got := xmlAnswer(body)
		if strings.HasPrefix(strings.TrimSpace(body), "{") {
			got = jsonAnswer(body)
		}
		// A 5xx answer would be asked for again, after a pause.
		got.status = 200 + (int(status)+100)%300
		for _, action := range a.actions {
			web.on(action, got)
		}
		wrong, err := a.ask(t.Context(), client)
		if err != nil {
			if _, ok := awsclient.KindOf(err); !ok || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q", err)
			}
			return
		}
		if wrong != "" {
			t.Fatalf("accepted: %q", wrong)
		}
	})
}
