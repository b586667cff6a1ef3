package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// revoke removes rules by id.
func (w *world) revoke(t *testing.T, group string, ids ...string) error {
	_, err := w.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: ids})
	return err
}

func (w *world) revokePermission(t *testing.T, group string, p types.IpPermission) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	return w.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []types.IpPermission{p}})
}

func revokeCases() []contractCase {
	return []contractCase{
		{"revoke/by id", "API_RevokeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			w.authorize(t, g, ssh("203.0.113.2/32", ""))
			check(t, w.revoke(t, g, *a.SecurityGroupRuleId))
			equal(t, "rules", addresses(w.rules(t, g)), "2")
		}},
		{"revoke/several by id", "API_RevokeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			b := w.authorize(t, g, ssh("2001:db8::1/128", ""))
			check(t, w.revoke(t, g, *a.SecurityGroupRuleId, *b.SecurityGroupRuleId))
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"revoke/gives the tuple free", "API_RevokeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""), "k", "v")
			check(t, w.revoke(t, g, *a.SecurityGroupRuleId))
			b := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			if *a.SecurityGroupRuleId == *b.SecurityGroupRuleId {
				t.Error("the new rule has the old id")
			}
			equal(t, "tags", len(w.rule(t, b.SecurityGroupRuleId).Tags), 0)
		}},
		{"revoke/tells what it revoked", "API_RevokeSecurityGroupIngress: RevokedSecurityGroupRules", "the answer lacks them", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", "alice"))
			out, err := w.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
				GroupId: &g, SecurityGroupRuleIds: []string{*a.SecurityGroupRuleId},
			})
			check(t, err)
			if len(out.RevokedSecurityGroupRules) != 1 {
				t.Fatalf("revoked are %+v", out.RevokedSecurityGroupRules)
			}
			r := out.RevokedSecurityGroupRules[0]
			equal(t, "id", *r.SecurityGroupRuleId, *a.SecurityGroupRuleId)
			equal(t, "CIDR", *r.CidrIpv4, "203.0.113.1/32")
			equal(t, "description", *r.Description, "alice")
			equal(t, "port", *r.FromPort, 22)
		}},
		{"revoke/gone", "distilled#608 (live), terraform errors.go: InvalidSecurityGroupRuleId.NotFound", "answers InvalidPermission.NotFound", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			check(t, w.revoke(t, g, *a.SecurityGroupRuleId))
			wantCode(t, w.revoke(t, g, *a.SecurityGroupRuleId), "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"revoke/gone, by either code", "a client takes both codes for \"already gone\"", "", func(t *testing.T, w *world) {
			err := w.revoke(t, w.group(t), "sgr-0123456789abcdef0")
			wantCode(t, err, "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound")
		}},
		{"revoke/known and unknown ids", "ministack#1346: one unknown id revokes none", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			err := w.revoke(t, g, *a.SecurityGroupRuleId, "sgr-0123456789abcdef0")
			wantCode(t, err, "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"revoke/rule of another group", "none: to the request it does not exist", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			wantCode(t, w.revoke(t, w.group(t), *a.SecurityGroupRuleId), "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"revoke/nothing named", "Error codes: MissingParameter", "answers true", func(t *testing.T, w *world) {
			wantCode(t, w.revoke(t, w.group(t)), "MissingParameter")
		}},
		{"revoke/by permission, whatever the description", "API_RevokeSecurityGroupIngress: the description need not be given", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", "alice"))
			w.authorize(t, g, ssh("2001:db8::1/128", "alice"))
			for _, cidr := range []string{"203.0.113.1/32", "2001:db8::1/128"} {
				_, err := w.revokePermission(t, g, ssh(cidr, ""))
				check(t, err)
			}
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"revoke/unknown permission", "API_RevokeSecurityGroupIngress: InvalidPermission.NotFound outside of the default VPC", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", ""))
			_, err := w.revokePermission(t, g, ssh("203.0.113.9/32", ""))
			wantCode(t, err, "InvalidPermission.NotFound")
			_, err = w.revokePermission(t, g, tcp(23, "203.0.113.1/32", ""))
			wantCode(t, err, "InvalidPermission.NotFound")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"revoke/known and unknown permissions", "API_RevokeSecurityGroupIngress: \"no rules are revoked\"", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", ""))
			p := ssh("203.0.113.1/32", "")
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String("203.0.113.9/32")})
			_, err := w.revokePermission(t, g, p)
			wantCode(t, err, "InvalidPermission.NotFound")
			equal(t, "rules", addresses(w.rules(t, g)), "1")
		}},
		{"revoke/unknown permission in the default VPC", "API_RevokeSecurityGroupIngress: no error, UnknownIpPermissions", "answers InvalidPermission.NotFound", func(t *testing.T, w *world) {
			g := w.groupIn(t, w.defaultVPC, "in-default-vpc")
			w.authorize(t, g, ssh("203.0.113.1/32", ""))
			p := ssh("203.0.113.1/32", "")
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String("203.0.113.9/32")})
			out, err := w.revokePermission(t, g, p)
			check(t, err)
			if len(out.UnknownIpPermissions) != 1 || *out.UnknownIpPermissions[0].IpRanges[0].CidrIp != "203.0.113.9/32" || *out.UnknownIpPermissions[0].ToPort != 22 {
				t.Errorf("unknown are %+v", out.UnknownIpPermissions)
			}
			equal(t, "revoked", len(out.RevokedSecurityGroupRules), 1)
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
	}
}
