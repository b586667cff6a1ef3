package awssim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// addresses returns the last numbers of the rules' CIDRs, sorted.
func addresses(rules []types.SecurityGroupRule) string {
	var out []string
	for _, r := range rules {
		cidr := aws.ToString(r.CidrIpv4)
		out = append(out, strings.TrimSuffix(cidr[strings.LastIndex(cidr, ".")+1:], "/32"))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func describeCases() []contractCase {
	return []contractCase{
		{"describe/by group", "API_DescribeSecurityGroupRules: group-id; values are alternatives", "", func(t *testing.T, w *world) {
			a, b := w.group(t), w.group(t)
			w.authorize(t, a, ssh("203.0.113.1/32", ""))
			w.authorize(t, b, ssh("203.0.113.2/32", ""))
			equal(t, "rules of a", addresses(w.rules(t, a)), "1")
			out, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", a, b)}})
			check(t, err)
			in := slices.DeleteFunc(out.SecurityGroupRules, func(r types.SecurityGroupRule) bool { return *r.IsEgress })
			equal(t, "rules of both", addresses(in), "1 2")
		}},
		{"describe/egress too", "API_DescribeSecurityGroupRules: ingress and egress rules", "", func(t *testing.T, w *world) {
			out, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", w.group(t))}})
			check(t, err)
			if len(out.SecurityGroupRules) != 1 || !*out.SecurityGroupRules[0].IsEgress || *out.SecurityGroupRules[0].CidrIpv4 != "0.0.0.0/0" {
				t.Errorf("rules are %+v", out.SecurityGroupRules)
			}
		}},
		{"describe/by tag", "API_DescribeSecurityGroupRules: tag:<key>", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", ""), "owner", "alice", "lease-1", "x")
			w.authorize(t, g, ssh("203.0.113.2/32", ""), "owner", "bob")
			w.authorize(t, g, ssh("203.0.113.3/32", ""))
			equal(t, "alice", addresses(w.rules(t, g, filter("tag:owner", "alice"))), "1")
			equal(t, "alice or bob", addresses(w.rules(t, g, filter("tag:owner", "alice", "bob"))), "1 2")
			equal(t, "alice and lease", addresses(w.rules(t, g, filter("tag:owner", "alice"), filter("tag:lease-1", "x"))), "1")
			equal(t, "bob and lease", addresses(w.rules(t, g, filter("tag:owner", "bob"), filter("tag:lease-1", "x"))), "")
		}},
		{"describe/by tag with wildcards", "EC2 user guide, \"Filter resources\": * and ?", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", ""), "owner", "AIDA1")
			w.authorize(t, g, ssh("203.0.113.2/32", ""), "owner", "AROA1:x")
			equal(t, "any", addresses(w.rules(t, g, filter("tag:owner", "*"))), "1 2")
			equal(t, "AIDA?", addresses(w.rules(t, g, filter("tag:owner", "AIDA?"))), "1")
			equal(t, "AROA*", addresses(w.rules(t, g, filter("tag:owner", "AROA*"))), "2")
			equal(t, "A?A*", addresses(w.rules(t, g, filter("tag:owner", "A?X*"))), "")
		}},
		{"describe/by tag key", "EC2 user guide: tag-key (not on this operation's page)", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.1/32", ""), "lease-u1-i1", "x")
			w.authorize(t, g, ssh("203.0.113.2/32", ""), "lease-u2-i2", "x")
			equal(t, "exact", addresses(w.rules(t, g, filter("tag-key", "lease-u1-i1"))), "1")
		}},
		{"describe/by id", "API_DescribeSecurityGroupRules: SecurityGroupRuleIds, security-group-rule-id", "", func(t *testing.T, w *world) {
			g := w.group(t)
			a := w.authorize(t, g, ssh("203.0.113.1/32", ""))
			w.authorize(t, g, ssh("203.0.113.2/32", ""))
			equal(t, "by parameter", aws.ToString(w.rule(t, a.SecurityGroupRuleId).CidrIpv4), "203.0.113.1/32")
			equal(t, "by filter", addresses(w.rules(t, g, filter("security-group-rule-id", *a.SecurityGroupRuleId))), "1")
		}},
		{"describe/unknown rule", "Error codes: InvalidSecurityGroupRuleId.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{"sgr-0123456789abcdef0"}})
			wantCode(t, err, "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"describe/malformed rule id", "steampipe: InvalidSecurityGroupRuleId.Malformed", "answers NotFound", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{"sgr-nonsense"}})
			wantCode(t, err, "InvalidSecurityGroupRuleId.Malformed")
		}},
		{"describe/unknown group in a filter", "EC2 user guide: a filter that matches nothing is no error", "", func(t *testing.T, w *world) {
			equal(t, "rules", len(w.rules(t, "sg-0123456789abcdef0")), 0)
		}},
		{"describe/unknown filter", "API_DescribeSecurityGroupRules lists three filters; \"The filter 'x' is invalid\"", "HTTP 500 with HTML", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("cidr", "x")}})
			wantCode(t, err, "InvalidParameterValue")
		}},
		{"describe/pages", "API_DescribeSecurityGroupRules: MaxResults, NextToken", "MaxResults is ignored", func(t *testing.T, w *world) {
			g := w.group(t)
			for i := range 12 {
				w.authorize(t, g, ssh(fmt.Sprintf("203.0.113.%d/32", i), ""))
			}
			seen := map[string]bool{}
			pages := 0
			p := ec2.NewDescribeSecurityGroupRulesPaginator(w.ec2, &ec2.DescribeSecurityGroupRulesInput{
				Filters: []types.Filter{filter("group-id", g)}, MaxResults: aws.Int32(5),
			})
			for ; p.HasMorePages(); pages++ {
				out, err := p.NextPage(t.Context())
				check(t, err)
				for _, r := range out.SecurityGroupRules {
					seen[*r.SecurityGroupRuleId] = true
				}
			}
			equal(t, "rules", len(seen), 13) // and the egress rule
			equal(t, "pages", pages, 3)
		}},
		{"describe/page size", "API_DescribeSecurityGroupRules: 5 to 1000", "MaxResults is ignored", func(t *testing.T, w *world) {
			for _, n := range []int32{4, 1001} {
				_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{MaxResults: &n})
				wantCode(t, err, "InvalidParameterValue")
			}
		}},
		{"describe/foreign token", "Error codes: InvalidPaginationToken", "NextToken is ignored", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{NextToken: aws.String("nonsense")})
			wantCode(t, err, "InvalidPaginationToken")
		}},
	}
}
