package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sshBody is a rule's new body: tcp port 22 from a CIDR.
func sshBody(cidr, description string) *types.SecurityGroupRuleRequest {
	b := &types.SecurityGroupRuleRequest{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), Description: &description}
	if strings.Contains(cidr, ":") {
		b.CidrIpv6 = &cidr
	} else {
		b.CidrIpv4 = &cidr
	}
	return b
}

func (w *world) modify(t *testing.T, group string, id *string, body *types.SecurityGroupRuleRequest) error {
	_, err := w.ec2.ModifySecurityGroupRules(t.Context(), &ec2.ModifySecurityGroupRulesInput{
		GroupId: &group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{SecurityGroupRuleId: id, SecurityGroupRule: body}},
	})
	return err
}

func modifyCases() []contractCase {
	const pr8917 = "moto#8917 (validated against AWS)"
	return []contractCase{
		{"modify/address in place", "terraform-provider-aws vpc_security_group_ingress_rule.go: the id stays; alchemy live tests: tags too", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "old"), "owner", "me")
			check(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "new")))
			rules := w.rules(t, g)
			equal(t, "rules", len(rules), 1)
			equal(t, "id", *rules[0].SecurityGroupRuleId, *r.SecurityGroupRuleId)
			equal(t, "CIDR", *rules[0].CidrIpv4, "203.0.113.2/32")
			equal(t, "description", aws.ToString(rules[0].Description), "new")
			equal(t, "tag", tagMap(rules[0].Tags)["owner"], "me")
		}},
		{"modify/frees the old tuple", "API_ModifySecurityGroupRules", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			check(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "")))
			w.authorize(t, g, ssh("203.0.113.1/32", ""))
			equal(t, "rules", addresses(w.rules(t, g)), "1 2")
		}},
		{"modify/to what it is", "API_ModifySecurityGroupRules", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "x"))
			check(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.1/32", "x")))
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"modify/ports and protocol", "alchemy live tests: udp/53 becomes tcp/25 in place", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			body := sshBody("203.0.113.1/32", "")
			body.IpProtocol, body.FromPort, body.ToPort = aws.String("udp"), aws.Int32(53), aws.Int32(54)
			check(t, w.modify(t, g, r.SecurityGroupRuleId, body))
			now := w.rule(t, r.SecurityGroupRuleId)
			equal(t, "protocol", *now.IpProtocol, "udp")
			equal(t, "from", *now.FromPort, 53)
			equal(t, "to", *now.ToPort, 54)
		}},
		{"modify/IPv6 in place", "API_SecurityGroupRuleRequest: CidrIpv6", "answers true and changes nothing", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("2001:db8::1/128", ""))
			check(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("2001:db8::2/128", "")))
			equal(t, "CIDR", aws.ToString(w.rule(t, r.SecurityGroupRuleId).CidrIpv6), "2001:db8::2/128")
		}},
		{"modify/IPv4 to IPv6", pr8917 + ": \"You may not specify CidrIpv6 for an existing IPv4 CIDR rule\"", "answers true and changes nothing", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("2001:db8::2/128", "")), "InvalidParameterValue")
		}},
		{"modify/IPv6 to IPv4", pr8917, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("2001:db8::1/128", ""))
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.1/32", "")), "InvalidParameterValue")
			equal(t, "CIDR", aws.ToString(w.rule(t, r.SecurityGroupRuleId).CidrIpv6), "2001:db8::1/128")
		}},
		{"modify/to an existing rule", "idem-aws, spinifex: InvalidPermission.Duplicate", "makes a duplicate", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			w.authorize(t, g, ssh("203.0.113.2/32", ""))
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "")), "InvalidPermission.Duplicate")
			equal(t, "rules", addresses(w.rules(t, g)), "1 2")
		}},
		{"modify/unknown rule", "alchemy live tests: InvalidSecurityGroupRuleId.NotFound", "", func(t *testing.T, w *world) {
			err := w.modify(t, w.group(t), aws.String("sgr-0123456789abcdef0"), sshBody("203.0.113.1/32", ""))
			wantCode(t, err, "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"modify/revoked rule", "alchemy live tests: InvalidSecurityGroupRuleId.NotFound", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			check(t, w.revoke(t, g, *r.SecurityGroupRuleId))
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "")), "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"modify/rule of another group", "none: to the request it does not exist", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("203.0.113.1/32", ""))
			wantCode(t, w.modify(t, w.group(t), r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "")), "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"modify/without a description", "third party (alchemy, terraform): a full replacement", "keeps the old one", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "old"))
			body := sshBody("203.0.113.2/32", "")
			body.Description = nil
			check(t, w.modify(t, g, r.SecurityGroupRuleId, body))
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), "")
		}},
		{"modify/incomplete body", pr8917, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			noPorts, noProtocol := sshBody("203.0.113.2/32", ""), sshBody("203.0.113.2/32", "")
			noPorts.FromPort, noPorts.ToPort = nil, nil
			noProtocol.IpProtocol = nil
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, noPorts), "InvalidParameterValue")
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, noProtocol), "InvalidParameterValue")
			noSource := sshBody("203.0.113.2/32", "")
			noSource.CidrIpv4 = nil
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, noSource), "MissingParameter")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"modify/two sources", pr8917, "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			body := sshBody("203.0.113.2/32", "")
			body.CidrIpv6 = aws.String("2001:db8::1/128")
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, body), "InvalidParameterCombination")
		}},
		{"modify/bad CIDR", "distilled#608 (live): host bits are refused", "accepted", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			for _, cidr := range []string{"300.0.2.11/32", "203.0.113.7/24", "203.0.113.7"} {
				wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody(cidr, "")), "InvalidParameterValue")
			}
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"modify/bad description", "API_SecurityGroupRuleRequest", "accepted", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			wantCode(t, w.modify(t, g, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "it's")), "InvalidParameterValue")
		}},
		{"descriptions/by permission", "API_UpdateSecurityGroupRuleDescriptionsIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "old"))
			_, err := w.ec2.UpdateSecurityGroupRuleDescriptionsIngress(t.Context(), &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
				GroupId: &g, IpPermissions: []types.IpPermission{ssh("203.0.113.1/32", "new")},
			})
			check(t, err)
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), "new")
		}},
		{"descriptions/by rule id", "API_UpdateSecurityGroupRuleDescriptionsIngress", "answers true and changes nothing", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.1/32", "old"))
			update := func(d *string) {
				_, err := w.ec2.UpdateSecurityGroupRuleDescriptionsIngress(t.Context(), &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
					GroupId: &g, SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{SecurityGroupRuleId: r.SecurityGroupRuleId, Description: d}},
				})
				check(t, err)
			}
			update(aws.String("new"))
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), "new")
			update(nil)
			equal(t, "no description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), "")
		}},
		{"descriptions/unknown permission", "Error codes: InvalidPermission.NotFound", "silently accepted", func(t *testing.T, w *world) {
			_, err := w.ec2.UpdateSecurityGroupRuleDescriptionsIngress(t.Context(), &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
				GroupId: aws.String(w.group(t)), IpPermissions: []types.IpPermission{ssh("203.0.113.1/32", "new")},
			})
			wantCode(t, err, "InvalidPermission.NotFound")
		}},
	}
}
