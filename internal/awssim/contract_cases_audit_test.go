package awssim_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

func interfaces(t *testing.T, w *world, filters ...types.Filter) []types.NetworkInterface {
	t.Helper()
	out, err := w.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: filters, MaxResults: aws.Int32(1000)})
	check(t, err)
	return out.NetworkInterfaces
}

// auditCases are what an audit relies on: who has which interface with which groups, and what lists hold.
func auditCases() []contractCase {
	return []contractCase{
		{"interfaces/by instance", "API_DescribeNetworkInterfaces: attachment.instance-id", "", func(t *testing.T, w *world) {
			id := masterID(t, w)
			found := interfaces(t, w, filter("attachment.instance-id", id))
			if len(found) != 1 || found[0].Attachment == nil {
				t.Fatalf("interfaces are %+v", found)
			}
			i := describeInstance(t, w, id)
			equal(t, "id", aws.ToString(found[0].NetworkInterfaceId), aws.ToString(i.NetworkInterfaces[0].NetworkInterfaceId))
			equal(t, "instance", aws.ToString(found[0].Attachment.InstanceId), id)
			equal(t, "private address", aws.ToString(found[0].PrivateIpAddress), aws.ToString(i.PrivateIpAddress))
		}},
		{"interfaces/several instances", "API_DescribeNetworkInterfaces: values of a filter are OR-ed", "", func(t *testing.T, w *world) {
			all := instances(t, w, &emr.ListInstancesInput{InstanceGroupTypes: []emrtypes.InstanceGroupType{"CORE"}})
			ids := []string{"i-0123456789abcdef0"} // one that is not there costs nothing
			for _, i := range all {
				ids = append(ids, *i.Ec2InstanceId)
			}
			equal(t, "interfaces", len(interfaces(t, w, filter("attachment.instance-id", ids...))), len(all))
		}},
		{"interfaces/public address", "API_NetworkInterfaceAssociation", "", func(t *testing.T, w *world) {
			id := masterID(t, w)
			found := interfaces(t, w, filter("attachment.instance-id", id))[0]
			equal(t, "public address", aws.ToString(found.Association.PublicIp), aws.ToString(describeInstance(t, w, id).PublicIpAddress))
		}},
		{"interfaces/groups", "EMR sets the master's groups on its interface; API_NetworkInterface", "the instances are in the default group", func(t *testing.T, w *world) {
			found := interfaces(t, w, filter("attachment.instance-id", masterID(t, w)))[0]
			ids := map[string]bool{}
			for _, g := range found.Groups {
				ids[*g.GroupId] = true
			}
			if len(ids) != 2 || !ids[w.master] || !ids[w.additional] {
				t.Errorf("groups are %v", ids)
			}
		}},
		{"interfaces/by group", "API_DescribeNetworkInterfaces: group-id", "the instances are in the default group", func(t *testing.T, w *world) {
			// Other cases make clusters with the same groups.
			has := func(group, instance string) bool {
				return slices.ContainsFunc(interfaces(t, w, filter("group-id", group)), func(i types.NetworkInterface) bool {
					return aws.ToString(i.Attachment.InstanceId) == instance
				})
			}
			equal(t, "the master is in its additional group", has(w.additional, masterID(t, w)), true)
			equal(t, "the master is in the core group", has(w.core, masterID(t, w)), false)
		}},
		{"interfaces/of an unused group", "API_DescribeNetworkInterfaces: group-id", "", func(t *testing.T, w *world) {
			equal(t, "interfaces", len(interfaces(t, w, filter("group-id", w.group(t)))), 0)
		}},
		{"prefix list/by filter", "API_DescribeManagedPrefixLists: prefix-list-id", "", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "filtered", "198.51.100.0/28", "office")
			w.newPrefixList(t, w, "another", "198.51.100.0/28", "office")
			out, err := w.ec2.DescribeManagedPrefixLists(t.Context(), &ec2.DescribeManagedPrefixListsInput{
				Filters: []types.Filter{filter("prefix-list-id", id, "pl-0123456789abcdef0")}, MaxResults: aws.Int32(100),
			})
			check(t, err)
			if len(out.PrefixLists) != 1 || *out.PrefixLists[0].PrefixListId != id {
				t.Errorf("lists are %+v", out.PrefixLists)
			}
		}},
		{"prefix list/in a rule", "API_SecurityGroupRule: PrefixListId", "", func(t *testing.T, w *world) {
			id, group := w.newPrefixList(t, w, "in a rule", "198.51.100.0/28", "office"), w.group(t)
			port := int32(22)
			r := w.authorize(t, group, types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, PrefixListIds: []types.PrefixListId{{PrefixListId: &id}}})
			equal(t, "list", aws.ToString(w.rule(t, r.SecurityGroupRuleId).PrefixListId), id)
		}},
		{"rule/public again", "API_AuthorizeSecurityGroupIngress: a rule that was revoked can be made again, with its description and tags, and another id", "", func(t *testing.T, w *world) {
			group := w.group(t)
			first := w.authorize(t, group, ssh("0.0.0.0/0", "legacy"), "team", "data")
			check(t, w.revoke(t, group, *first.SecurityGroupRuleId))
			again := w.authorize(t, group, ssh("0.0.0.0/0", "legacy"), "team", "data")
			got := w.rule(t, again.SecurityGroupRuleId)
			if *got.SecurityGroupRuleId == *first.SecurityGroupRuleId || aws.ToString(got.Description) != "legacy" || tagMap(got.Tags)["team"] != "data" {
				t.Errorf("the rule is %+v", got)
			}
		}},
	}
}
