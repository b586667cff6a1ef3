package awssim_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// FuzzForm sends any form to EC2: the answer is well-formed XML, the log holds exactly the parameters that were sent, and
// a rule only ever comes from an Authorize that names its CIDR.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"",
		"Action=DescribeSecurityGroupRules&Filter.1.Name=tag%3Aowner&Filter.1.Value.1=A%2A%3F%5C&MaxResults=5&Version=2016-11-15",
		"Action=AuthorizeSecurityGroupIngress&GroupId=GROUP&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=203.0.113.9%2F32",
		"Action=AuthorizeSecurityGroupIngress&GroupId=GROUP&IpPermissions.2.Ipv6Ranges.9.CidrIpv6=%3A%3A%2F0&IpPermissions.2.IpProtocol=-1&TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=k",
		"Action=ModifySecurityGroupRules&GroupId=GROUP&SecurityGroupRule.1.SecurityGroupRuleId=RULE&SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=203.0.113.2%2F32&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=6&SecurityGroupRule.1.SecurityGroupRule.FromPort=22&SecurityGroupRule.1.SecurityGroupRule.ToPort=22",
		"Action=RevokeSecurityGroupIngress&GroupId=GROUP&SecurityGroupRuleId.1=RULE",
		"Action=CreateTags&ResourceId.1=RULE&Tag.1.Key=%00&Tag.1.Value=%FF",
		"Action=DeleteTags&ResourceId.1=RULE&DryRun=true",
		"Action=a.b&a.b.=c&.=d&a..b=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		sim := awssim.New(awssim.Options{})
		group := sim.AddGroup(sim.AddVPC(true), "g", "g")
		rule := sim.AddRule(group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.1/32", Tags: map[string]string{"k": "v"}})
		body = strings.NewReplacer("GROUP", group, "RULE", rule).Replace(body)
		resp, answer := send(t, sim, "ec2", body)
		if resp.StatusCode >= 500 {
			t.Errorf("the answer is %d %s", resp.StatusCode, answer)
		}
		wellFormed(t, answer)
		sent, err := url.ParseQuery(body)
		call := sim.Calls()[0]
		if err == nil && call.Code != "UnknownParameter" && !strings.Contains(answer, "only be specified once") {
			want := map[string]string{}
			for k, v := range sent {
				want[k] = v[0]
			}
			if d := cmp.Diff(want, call.Params); d != "" {
				t.Errorf("parameters differ: %s", d)
			}
		}
		for _, r := range sim.Rules(group) {
			if r.ID != rule && call.Action != "AuthorizeSecurityGroupIngress" {
				t.Errorf("%s made %+v", call.Action, r)
			}
		}
	})
}

func wellFormed(t *testing.T, answer string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(answer))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %q", err, answer)
		}
	}
}

// FuzzJSON sends any body to EMR: the answer is JSON, and no server error.
func FuzzJSON(f *testing.F) {
	operations := []string{"DescribeCluster", "ListClusters", "ListInstances", "ListInstanceGroups", "ListInstanceFleets", "ListBootstrapActions", "GetBlockPublicAccessConfiguration"}
	for _, seed := range []string{"", "{}", "null", "[]", `{"ClusterId":"j-CLUSTER"}`, `{"ClusterId":"j-CLUSTER","InstanceGroupTypes":["MASTER"],"InstanceFleetType":"X"}`, `{"CreatedAfter":1e300}`, `{"ClusterStates":[null]}`} {
		for i := range operations {
			f.Add(uint8(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, operation uint8, body string) {
		sim := awssim.New(awssim.Options{})
		group := sim.AddGroup(sim.AddVPC(false), "g", "g")
		sim.AddCluster(awssim.ClusterSpec{ID: "j-CLUSTER", MasterGroup: group, Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}}})
		target := "ElasticMapReduce." + operations[int(operation)%len(operations)]
		resp, answer := send(t, sim, "elasticmapreduce", body, "X-Amz-Target", target)
		if resp.StatusCode >= 500 || !json.Valid([]byte(answer)) {
			t.Errorf("%s: the answer is %d %q", target, resp.StatusCode, answer)
		}
		if resp.StatusCode != 200 && resp.Header.Get("X-Amzn-Errortype") == "" {
			t.Errorf("an error without a type: %q", answer)
		}
	})
}
