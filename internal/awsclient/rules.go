package awsclient

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const (
	opDescribeRules = "ec2:DescribeSecurityGroupRules"
	// rulesPerPage is the most that EC2 gives (API Reference, DescribeSecurityGroupRules).
	rulesPerPage = 1000
)

// Rules reads the ingress rules of a group. View.Sent is taken before the first page is sent (and before any retry of
// it), View.AWS is the Date header of the first page: both are the oldest that anything in the view can be.
// A rule whose source cannot be read stays in the view with no source at all, so that it is seen and never written to.
// EC2 answers for a group that does not exist as for one without rules: [Client.Group] tells them apart.
func (c *Client) Rules(ctx context.Context, group string) (sgsync.View, error) {
	if err := checkID(opDescribeRules, "security group (sg-…)", formGroup, group); err != nil {
		return sgsync.View{}, err
	}
	view, err := c.rules(ctx, "group-id", group, group)
	if err != nil {
		return sgsync.View{}, err
	}
	view.Group = group
	for _, r := range view.Rules {
		if r.Group != group {
			return sgsync.View{}, &Error{Kind: Server, Op: opDescribeRules, Resource: group, Err: errors.New("the answer holds rules of another group")}
		}
	}
	return view, nil
}

// RulesByTag reads all ingress rules in the region that carry a tag with this key, whatever its value. The view has no
// Group; each rule names its own.
func (c *Client) RulesByTag(ctx context.Context, key string) (sgsync.View, error) {
	if key == "" || strings.ContainsAny(key, "*?\\") {
		return sgsync.View{}, &Error{Kind: BadRequest, Op: opDescribeRules, Err: errors.New("a tag key to look for must not be empty or hold wildcards")}
	}
	view, err := c.rules(ctx, "tag:"+key, "*", "")
	if err != nil {
		return sgsync.View{}, err
	}
	// What the answer shows of a rule decides, not what the filter found: they may be from different moments.
	view.Rules = slices.DeleteFunc(view.Rules, func(r sgsync.Rule) bool {
		_, ok := r.Tags[key]
		return !ok
	})
	return view, nil
}

func (c *Client) rules(ctx context.Context, filter, value, resource string) (sgsync.View, error) {
	in := &ec2.DescribeSecurityGroupRulesInput{
		Filters:    []ec2types.Filter{{Name: &filter, Values: []string{value}}},
		MaxResults: aws.Int32(rulesPerPage),
	}
	view := sgsync.View{Sent: wall()}
	seen := map[string]bool{} // a rule may move to a later page while pages are read
	for page := range maxPages {
		out, err := read(ctx, c, opDescribeRules, resource, func(ctx context.Context) (*ec2.DescribeSecurityGroupRulesOutput, error) {
			return c.ec2.DescribeSecurityGroupRules(ctx, in)
		})
		if err != nil {
			return sgsync.View{}, err
		}
		if page == 0 {
			view.AWS = answeredAt(out.ResultMetadata)
		}
		for _, r := range out.SecurityGroupRules {
			id := aws.ToString(r.SecurityGroupRuleId)
			if !aws.ToBool(r.IsEgress) && !seen[id] {
				seen[id] = id != ""
				view.Rules = append(view.Rules, ruleOf(r))
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return view, nil
		}
	}
	return sgsync.View{}, &Error{Kind: Server, Op: opDescribeRules, Resource: resource, Err: errTooManyPages}
}
