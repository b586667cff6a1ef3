package awssim_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func dryRunCases() []contractCase {
	const doc = "SDK: DryRun — DryRunOperation where permitted"
	return []contractCase{
		{"dry run/authorize", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			_, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: &g, IpPermissions: []types.IpPermission{ssh("203.0.113.1/32", "")}, TagSpecifications: tagSpec("k", "v"), DryRun: aws.Bool(true),
			})
			wantCode(t, err, "DryRunOperation")
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"dry run/revoke", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			_, err := w.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
				GroupId: &g, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}, DryRun: aws.Bool(true),
			})
			wantCode(t, err, "DryRunOperation")
			equal(t, "rules", len(w.rules(t, g)), 1)
		}},
		{"dry run/modify", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			_, err := w.ec2.ModifySecurityGroupRules(t.Context(), &ec2.ModifySecurityGroupRulesInput{
				GroupId: &g, DryRun: aws.Bool(true),
				SecurityGroupRules: []types.SecurityGroupRuleUpdate{{SecurityGroupRuleId: r.SecurityGroupRuleId, SecurityGroupRule: sshBody("203.0.113.2/32", "")}},
			})
			wantCode(t, err, "DryRunOperation")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"dry run/describe rules", doc, "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"dry run/describe groups", doc, "DryRun is ignored", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"dry run/describe interfaces", doc, "DryRun is ignored", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"dry run/prefix list entries", doc, "DryRun is ignored", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "asked for", "198.51.100.0/28", "office")
			_, err := w.ec2.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id, DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"prefix list/all of the region", "API_DescribeManagedPrefixLists: no filter", "", func(t *testing.T, w *world) {
			w.newPrefixList(t, w, "one of all", "198.51.100.0/28", "office")
			out, err := w.ec2.DescribeManagedPrefixLists(t.Context(), &ec2.DescribeManagedPrefixListsInput{MaxResults: aws.Int32(100)})
			if err != nil || len(out.PrefixLists) == 0 {
				t.Errorf("%+v, %v", out, err)
			}
		}},
		{"dry run/create tags", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			_, err := w.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*r.SecurityGroupRuleId}, Tags: tagsOf("k", "v"), DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
			equal(t, "tags", len(w.rule(t, r.SecurityGroupRuleId).Tags), 0)
		}},
		{"dry run/delete tags", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""), "k", "v")
			_, err := w.ec2.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{*r.SecurityGroupRuleId}, Tags: tagsOf("k", "v"), DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
			equal(t, "tags", len(w.rule(t, r.SecurityGroupRuleId).Tags), 1)
		}},
		{"dry run/console output", doc, "DryRun is ignored", func(t *testing.T, w *world) {
			_, err := w.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: aws.String(masterID(t, w)), DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"dry run/key pairs", doc, "DryRun is ignored", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{DryRun: aws.Bool(true)})
			wantCode(t, err, "DryRunOperation")
		}},
		{"dry run/descriptions", doc, "the change is made", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "old"))
			_, err := w.ec2.UpdateSecurityGroupRuleDescriptionsIngress(t.Context(), &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
				GroupId: &g, IpPermissions: []types.IpPermission{ssh("203.0.113.1/32", "new")}, DryRun: aws.Bool(true),
			})
			wantCode(t, err, "DryRunOperation")
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), "old")
		}},
	}
}

// fill adds rules for n addresses of a family in one call.
func (w *world) fill(t *testing.T, group string, n int, format string) {
	t.Helper()
	p := ssh(fmt.Sprintf(format, 0), "")
	for i := 1; i < n; i++ {
		cidr := fmt.Sprintf(format, i)
		if len(p.IpRanges) > 0 {
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: &cidr})
		} else {
			p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: &cidr})
		}
	}
	_, err := w.tryAuthorize(t, group, p)
	check(t, err)
}

func quotaCases() []contractCase {
	const doc = "Amazon VPC quotas: 60 inbound rules per group, IPv4 and IPv6 apart"
	return []contractCase{
		{"quota/60 rules", doc + "; Error codes: RulesPerSecurityGroupLimitExceeded", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.fill(t, g, 60, "203.0.113.%d/32")
			_, err := w.tryAuthorize(t, g, ssh("203.0.113.99/32", ""))
			wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
			equal(t, "rules", len(w.rules(t, g)), 60)
		}},
		{"quota/a slot comes free", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.fill(t, g, 60, "203.0.113.%d/32")
			check(t, w.revoke(t, g, *w.rules(t, g)[0].SecurityGroupRuleId))
			w.authorize(t, g, ssh("203.0.113.99/32", ""))
		}},
		{"quota/modify needs no slot", doc, "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.fill(t, g, 60, "203.0.113.%d/32")
			check(t, w.modify(t, g, w.rules(t, g)[0].SecurityGroupRuleId, sshBody("203.0.113.99/32", "")))
			equal(t, "rules", len(w.rules(t, g)), 60)
		}},
		{"quota/families apart", doc, "both families are counted together", func(t *testing.T, w *world) {
			g := w.group(t)
			w.fill(t, g, 60, "203.0.113.%d/32")
			w.fill(t, g, 60, "2001:db8::%x/128")
			_, err := w.tryAuthorize(t, g, ssh("2001:db8::99/128", ""))
			wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
		}},
		{"quota/a source group counts in both", doc + "; a reference to a group counts once in each", "both families are counted together", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, fromGroup(g))
			w.fill(t, g, 59, "203.0.113.%d/32")
			w.fill(t, g, 59, "2001:db8::%x/128")
			for _, cidr := range []string{"203.0.113.99/32", "2001:db8::99/128"} {
				_, err := w.tryAuthorize(t, g, ssh(cidr, ""))
				wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
			}
		}},
		{"quota/a prefix list weighs its maximum", "VPC user guide, \"Prefix lists\": max entries count against the quota", "not counted", func(t *testing.T, w *world) {
			g := w.group(t)
			pl := w.newPrefixList(t, w, "weight", "198.51.100.0/28", "")
			w.fill(t, g, 56, "203.0.113.%d/32")
			p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), PrefixListIds: []types.PrefixListId{{PrefixListId: &pl}}}
			_, err := w.tryAuthorize(t, g, p)
			wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
			check(t, w.revoke(t, g, *w.rules(t, g)[0].SecurityGroupRuleId))
			w.authorize(t, g, p)
		}},
	}
}
