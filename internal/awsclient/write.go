package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const (
	opAuthorize = "ec2:AuthorizeSecurityGroupIngress"
	opModify    = "ec2:ModifySecurityGroupRules"
	opRevoke    = "ec2:RevokeSecurityGroupIngress"
)

// Authorize adds a rule to a group, with its tags in the same call, and returns it as EC2 answered.
func (c *Client) Authorize(ctx context.Context, group string, rule sgsync.NewRule) (sgsync.Rule, error) {
	if err := cmp.Or(checkID(opAuthorize, "security group (sg-…)", formGroup, group), checkBody(opAuthorize, rule)); err != nil {
		return sgsync.Rule{}, err
	}
	in := authorizeInput(group, rule)
	out, err := write(ctx, c, opAuthorize, group, func(ctx context.Context, once func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
		return c.ec2.AuthorizeSecurityGroupIngress(ctx, in, once)
	})
	if err != nil {
		return sgsync.Rule{}, err
	}
	if len(out.SecurityGroupRules) != 1 {
		return sgsync.Rule{}, unexpected(opAuthorize, group, fmt.Sprintf("the answer holds %d rules, not one", len(out.SecurityGroupRules)))
	}
	got := ruleOf(out.SecurityGroupRules[0])
	if got.ID == "" || got.Group != group || got.Protocol != "tcp" || got.FromPort != rule.Port || got.ToPort != rule.Port || got.CIDR != rule.CIDR {
		return sgsync.Rule{}, unexpected(opAuthorize, group, "the rule in the answer is not the one that was asked for")
	}
	return got, nil
}

func authorizeInput(group string, rule sgsync.NewRule) *ec2.AuthorizeSecurityGroupIngressInput {
	perm := ec2types.IpPermission{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(rule.Port)), ToPort: aws.Int32(int32(rule.Port)),
	}
	if source := aws.String(rule.CIDR.String()); rule.CIDR.Addr().Is4() {
		perm.IpRanges = []ec2types.IpRange{{CidrIp: source, Description: &rule.Description}}
	} else {
		perm.Ipv6Ranges = []ec2types.Ipv6Range{{CidrIpv6: source, Description: &rule.Description}}
	}
	in := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2types.IpPermission{perm}}
	if len(rule.Tags) > 0 {
		in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroupRule, Tags: tagsOf(rule.Tags)}}
	}
	return in
}

// Modify replaces port, source and description of a rule; its id and tags stay. EC2 cannot change the address family.
func (c *Client) Modify(ctx context.Context, group, id string, rule sgsync.NewRule) error {
	if err := cmp.Or(checkRule(opModify, group, id), checkBody(opModify, rule)); err != nil {
		return err
	}
	in := modifyInput(group, id, rule)
	out, err := write(ctx, c, opModify, id, func(ctx context.Context, once func(*ec2.Options)) (*ec2.ModifySecurityGroupRulesOutput, error) {
		return c.ec2.ModifySecurityGroupRules(ctx, in, once)
	})
	if err != nil {
		return err
	}
	return accepted(opModify, id, out.Return)
}

// modifyInput asks for a full replacement: what AWS does with a description that is left out is not documented, so it is
// always sent.
func modifyInput(group, id string, rule sgsync.NewRule) *ec2.ModifySecurityGroupRulesInput {
	body := &ec2types.SecurityGroupRuleRequest{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(rule.Port)), ToPort: aws.Int32(int32(rule.Port)),
		Description: &rule.Description,
	}
	if source := aws.String(rule.CIDR.String()); rule.CIDR.Addr().Is4() {
		body.CidrIpv4 = source
	} else {
		body.CidrIpv6 = source
	}
	return &ec2.ModifySecurityGroupRulesInput{
		GroupId:            &group,
		SecurityGroupRules: []ec2types.SecurityGroupRuleUpdate{{SecurityGroupRuleId: &id, SecurityGroupRule: body}},
	}
}

// Revoke removes a rule by its id, never by what it admits: somebody may have made the same rule again.
func (c *Client) Revoke(ctx context.Context, group, id string) error {
	if err := checkRule(opRevoke, group, id); err != nil {
		return err
	}
	in := &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: []string{id}}
	out, err := write(ctx, c, opRevoke, id, func(ctx context.Context, once func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
		return c.ec2.RevokeSecurityGroupIngress(ctx, in, once)
	})
	if err != nil {
		return err
	}
	return accepted(opRevoke, id, out.Return)
}

func checkRule(op, group, id string) error {
	return cmp.Or(checkID(op, "security group (sg-…)", formGroup, group), checkID(op, "security group rule (sgr-…)", formRule, id))
}

// checkBody keeps what is no canonical prefix or no port from going out: EC2 would make 192.0.2.0/24 of 192.0.2.7/24.
func checkBody(op string, rule sgsync.NewRule) error {
	var err error
	switch {
	case !rule.CIDR.IsValid() || rule.CIDR != rule.CIDR.Masked() || rule.CIDR.Addr().Is4In6() || rule.CIDR == (netip.Prefix{}):
		err = fmt.Errorf("the source %s of a rule is not a network in its canonical form", rule.CIDR)
	case rule.Port < 1 || rule.Port > 65535:
		err = fmt.Errorf("%d is not a TCP port", rule.Port)
	default:
		return nil
	}
	return &Error{Kind: BadRequest, Op: op, Err: err}
}

func unexpected(op, resource, what string) error {
	return &Error{Kind: Server, Op: op, Resource: resource, Err: errors.New(what)}
}

// accepted reads the Return element, which is true when a request succeeded (EC2 API Reference).
func accepted(op, resource string, ret *bool) error {
	if ret == nil || !*ret {
		return unexpected(op, resource, "EC2 did not say that it was done")
	}
	return nil
}
