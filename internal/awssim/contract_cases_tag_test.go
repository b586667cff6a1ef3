package awssim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (w *world) tag(t *testing.T, id *string, kv ...string) error {
	_, err := w.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*id}, Tags: tagsOf(kv...)})
	return err
}

func (w *world) untag(t *testing.T, id *string, tags ...types.Tag) error {
	_, err := w.ec2.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{*id}, Tags: tags})
	return err
}

// manyTags makes keys and values k0 … k<n-1>.
func manyTags(n int) []string {
	var kv []string
	for i := range n {
		kv = append(kv, fmt.Sprintf("k%d", i), "v")
	}
	return kv
}

func tagCases() []contractCase {
	onRule := func(run func(t *testing.T, w *world, id *string, now func() map[string]string)) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("203.0.113.1/32", ""), "owner", "me", "empty", "")
			run(t, w, r.SecurityGroupRuleId, func() map[string]string { return tagMap(w.rule(t, r.SecurityGroupRuleId).Tags) })
		}
	}
	return []contractCase{
		{"tags/create", "API_CreateTags", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.tag(t, id, "emr-accessd-lease-AROA1:alice-x", "2026-11-23T10:04:00Z 2026-11-22T10:04:00Z alice@laptop"))
			equal(t, "number", len(now()), 3)
			equal(t, "lease", now()["emr-accessd-lease-AROA1:alice-x"], "2026-11-23T10:04:00Z 2026-11-22T10:04:00Z alice@laptop")
		})},
		{"tags/overwrite", "API_CreateTags: \"overwrites\" an existing key", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.tag(t, id, "owner", "you"))
			equal(t, "number", len(now()), 2)
			equal(t, "owner", now()["owner"], "you")
		})},
		{"tags/delete with its value", "API_DeleteTags", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id, tagsOf("owner", "me")...))
			if _, ok := now()["owner"]; ok {
				t.Error("the tag is still there")
			}
		})},
		{"tags/delete with another value", "API_DeleteTags: a tag with another value stays", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id, tagsOf("owner", "you")...))
			equal(t, "owner", now()["owner"], "me")
		})},
		{"tags/delete by key only", "API_DeleteTags: \"any tag with this key regardless of its value\"", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id, types.Tag{Key: aws.String("owner")}))
			equal(t, "number", len(now()), 1)
		})},
		{"tags/delete with an empty value", "API_DeleteTags: \"only if its value is an empty string\"", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id, tagsOf("owner", "", "empty", "")...))
			equal(t, "number", len(now()), 1)
			equal(t, "owner", now()["owner"], "me")
		})},
		{"tags/delete what is not there", "API_DeleteTags: no error", "", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id, tagsOf("nothing", "x")...))
			equal(t, "number", len(now()), 2)
		})},
		{"tags/delete all", "API_DeleteTags: \"If you omit this parameter, we delete all user-defined tags\"", "deletes none", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			check(t, w.untag(t, id))
			equal(t, "number", len(now()), 0)
		})},
		{"tags/describe", "API_DescribeTags: resource-id, key", "", onRule(func(t *testing.T, w *world, id *string, _ func() map[string]string) {
			out, err := w.ec2.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: []types.Filter{filter("resource-id", *id), filter("key", "own*")}})
			check(t, err)
			if len(out.Tags) != 1 || *out.Tags[0].Value != "me" || *out.Tags[0].ResourceId != *id || out.Tags[0].ResourceType != "security-group-rule" {
				t.Errorf("tags are %+v", out.Tags)
			}
		})},
		{"tags/limit of 50", "EC2 user guide, \"Tag restrictions\"; Error codes: TagLimitExceeded", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("203.0.113.1/32", ""))
			check(t, w.tag(t, r.SecurityGroupRuleId, manyTags(50)...))
			wantCode(t, w.tag(t, r.SecurityGroupRuleId, "one-more", "v"), "TagLimitExceeded")
			equal(t, "number", len(w.rule(t, r.SecurityGroupRuleId).Tags), 50)
		}},
		{"tags/overwriting at the limit", "moto#8151 (tested on AWS): tags that are overwritten do not count", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("203.0.113.1/32", ""))
			check(t, w.tag(t, r.SecurityGroupRuleId, manyTags(50)...))
			check(t, w.tag(t, r.SecurityGroupRuleId, "k7", "new"))
			equal(t, "k7", tagMap(w.rule(t, r.SecurityGroupRuleId).Tags)["k7"], "new")
		}},
		{"tags/limit at creation", "EC2 user guide, \"Tag restrictions\"", "", func(t *testing.T, w *world) {
			g := w.group(t)
			_, err := w.tryAuthorize(t, g, ssh("203.0.113.1/32", ""), manyTags(51)...)
			wantCode(t, err, "TagLimitExceeded")
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"tags/reserved keys", "AndrewFarley#7: \"Tag keys starting with 'aws:' are reserved for internal use\"", "accepted", onRule(func(t *testing.T, w *world, id *string, _ func() map[string]string) {
			wantCode(t, w.tag(t, id, "aws:owner", "me"), "InvalidParameterValue")
		})},
		{"tags/lengths", "API_Tag: key up to 127 characters, value up to 256", "accepted", onRule(func(t *testing.T, w *world, id *string, now func() map[string]string) {
			wantCode(t, w.tag(t, id, strings.Repeat("k", 128), "v"), "InvalidParameterValue")
			wantCode(t, w.tag(t, id, "k", strings.Repeat("v", 257)), "InvalidParameterValue")
			check(t, w.tag(t, id, strings.Repeat("é", 127), strings.Repeat("é", 256)))
			equal(t, "number", len(now()), 3)
		})},
		{"tags/unknown rule", "Error codes: InvalidSecurityGroupRuleId.NotFound", "accepted", func(t *testing.T, w *world) {
			wantCode(t, w.tag(t, aws.String("sgr-0123456789abcdef0"), "k", "v"), "InvalidSecurityGroupRuleId.NotFound")
		}},
		{"tags/on a group", "API_CreateTags", "", func(t *testing.T, w *world) {
			g := w.group(t)
			check(t, w.tag(t, &g, "for-use-with-amazon-emr-managed-policies", "true"))
			equal(t, "tag", tagMap(describeGroup(t, w, g).Tags)["for-use-with-amazon-emr-managed-policies"], "true")
		}},
	}
}
