package awssim_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// modelQuota is small, so that the drawn calls reach it.
const modelQuota = 4

// tupleOf is what EC2 tells the rules of a group apart by.
func tupleOf(r awssim.Rule) string {
	return fmt.Sprint(r.Protocol, r.FromPort, r.ToPort, r.CIDR, r.SourceGroup, r.PrefixList)
}

// Whatever is called in whatever order: no group holds two rules of one tuple or more than its quota in a family, a
// refused call changes nothing, and Modify changes neither ids nor tags.
func TestRulesKeepTheirInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemory(awssim.Options{RuleQuota: modelQuota})
		cidr := rapid.SampledFrom([]string{
			"203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32", "203.0.113.4/32", "203.0.113.5/32", "203.0.113.99/24",
			"2001:db8::1/128", "2001:DB8:0::2/128", "203.0.113.1", "::/0",
		})
		drawPermission := func() types.IpPermission {
			return tcp(rapid.SampledFrom([]int32{22, 2222}).Draw(rt, "port"), cidr.Draw(rt, "cidr"), "")
		}
		drawRule := func() *string {
			ids := []string{"sgr-0123456789abcdef0"}
			for _, r := range m.sim.Rules(m.groupID) {
				ids = append(ids, r.ID)
			}
			return aws.String(rapid.SampledFrom(ids).Draw(rt, "rule"))
		}
		for range rapid.IntRange(1, 25).Draw(rt, "calls") {
			before := m.sim.Rules(m.groupID)
			call := rapid.SampledFrom([]string{"authorize", "modify", "revoke", "revoke permissions", "tag"}).Draw(rt, "call")
			err := m.modelCall(t, rt, call, drawPermission, drawRule)
			after := m.sim.Rules(m.groupID)
			if err != nil {
				if d := cmp.Diff(before, after); d != "" {
					rt.Fatalf("a refused %s (%v) changed: %s", call, err, d)
				}
			}
			if call == "modify" && err == nil && !maps.EqualFunc(tagsByID(before), tagsByID(after), maps.Equal) {
				rt.Fatalf("modify changed ids or tags: %v, %v", before, after)
			}
			checkModel(rt, after)
		}
	})
}

// modelCall makes one drawn call.
func (m memory) modelCall(t *testing.T, rt *rapid.T, call string, permission func() types.IpPermission, rule func() *string) error {
	var err error
	switch call {
	case "authorize":
		_, err = m.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &m.groupID, IpPermissions: []types.IpPermission{permission(), permission()}[:rapid.IntRange(1, 2).Draw(rt, "n")],
			TagSpecifications: tagSpec("k", "v"),
		})
	case "modify":
		var updates []types.SecurityGroupRuleUpdate
		for range rapid.IntRange(1, 2).Draw(rt, "n") {
			p := permission()
			body := &types.SecurityGroupRuleRequest{IpProtocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort}
			if len(p.IpRanges) > 0 {
				body.CidrIpv4 = p.IpRanges[0].CidrIp
			} else {
				body.CidrIpv6 = p.Ipv6Ranges[0].CidrIpv6
			}
			updates = append(updates, types.SecurityGroupRuleUpdate{SecurityGroupRuleId: rule(), SecurityGroupRule: body})
		}
		_, err = m.ec2.ModifySecurityGroupRules(t.Context(), &ec2.ModifySecurityGroupRulesInput{GroupId: &m.groupID, SecurityGroupRules: updates})
	case "revoke":
		err = m.revoke(t, m.groupID, *rule(), *rule())
	case "revoke permissions":
		_, err = m.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
			GroupId: &m.groupID, IpPermissions: []types.IpPermission{permission(), permission()},
		})
	case "tag":
		err = m.tag(t, rule(), "lease", rapid.StringMatching(`[a-z]{0,3}`).Draw(rt, "value"))
	}
	return err
}

func checkModel(rt *rapid.T, rules []awssim.Rule) {
	tuples, families := map[string]bool{}, map[bool]int{}
	for _, r := range rules {
		if tuples[tupleOf(r)] {
			rt.Fatalf("there are two rules %s", tupleOf(r))
		}
		tuples[tupleOf(r)] = true
		ipv6 := false
		for _, c := range r.CIDR {
			ipv6 = ipv6 || c == ':'
		}
		families[ipv6]++
	}
	if families[false] > modelQuota || families[true] > modelQuota {
		rt.Fatalf("over the quota: %v", rules)
	}
}

func tagsByID(rules []awssim.Rule) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, r := range rules {
		out[r.ID] = r.Tags
	}
	return out
}
