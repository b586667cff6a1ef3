package awsclient

import (
	"cmp"
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// The Try methods ask EC2 whether a call would be permitted: they send it with DryRun, which changes nothing. nil means
// yes, an [*Error] of Kind Denied no; any other error tells nothing about permissions. EC2 does not document whether it
// looks at permissions before it looks for what a request names.

// errNoDryRun: an endpoint that is not AWS's own may not know the parameter. The call was carried out.
var errNoDryRun = errors.New("the endpoint does not know dry runs, it has carried the call out")

// TryAuthorize asks for [Client.Authorize]. When the endpoint has added the rule, it is returned with the error.
func (c *Client) TryAuthorize(ctx context.Context, group string, rule sgsync.NewRule) (added string, err error) {
	if err := cmp.Or(checkID(opAuthorize, "security group (sg-…)", formGroup, group), checkBody(opAuthorize, rule)); err != nil {
		return "", err
	}
	in := authorizeInput(group, rule)
	in.DryRun = aws.Bool(true)
	err = try(ctx, c, opAuthorize, group, func(ctx context.Context, once func(*ec2.Options)) error {
		out, err := c.ec2.AuthorizeSecurityGroupIngress(ctx, in, once)
		if err == nil && len(out.SecurityGroupRules) == 1 {
			added = aws.ToString(out.SecurityGroupRules[0].SecurityGroupRuleId)
		}
		return err
	})
	return added, err
}

// TryModify asks for [Client.Modify].
func (c *Client) TryModify(ctx context.Context, group, id string, rule sgsync.NewRule) error {
	if err := cmp.Or(checkRule(opModify, group, id), checkBody(opModify, rule)); err != nil {
		return err
	}
	in := modifyInput(group, id, rule)
	in.DryRun = aws.Bool(true)
	return try(ctx, c, opModify, id, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.ModifySecurityGroupRules(ctx, in, once)
		return err
	})
}

// TryRevoke asks for [Client.Revoke].
func (c *Client) TryRevoke(ctx context.Context, group, id string) error {
	if err := checkRule(opRevoke, group, id); err != nil {
		return err
	}
	in := &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: []string{id}, DryRun: aws.Bool(true)}
	return try(ctx, c, opRevoke, id, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.RevokeSecurityGroupIngress(ctx, in, once)
		return err
	})
}

// TryTag asks for [Client.Tag].
func (c *Client) TryTag(ctx context.Context, id, key, value string) error {
	if err := checkTag(opTag, id, key); err != nil {
		return err
	}
	in := &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: &key, Value: &value}}, DryRun: aws.Bool(true)}
	return try(ctx, c, opTag, id, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.CreateTags(ctx, in, once)
		return err
	})
}

// TryUntag asks for [Client.Untag].
func (c *Client) TryUntag(ctx context.Context, id, key, value string) error {
	if err := checkTag(opUntag, id, key); err != nil {
		return err
	}
	in := &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: &key, Value: &value}}, DryRun: aws.Bool(true)}
	return try(ctx, c, opUntag, id, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.DeleteTags(ctx, in, once)
		return err
	})
}

// TryConsole asks for [Client.ConsoleOutput].
func (c *Client) TryConsole(ctx context.Context, instance string) error {
	const op = "ec2:GetConsoleOutput"
	if err := checkID(op, "instance (i-…)", formInstance, instance); err != nil {
		return err
	}
	return try(ctx, c, op, instance, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &instance, DryRun: aws.Bool(true)}, once)
		return err
	})
}

// TryKeyPair asks for [Client.KeyPair].
func (c *Client) TryKeyPair(ctx context.Context) error {
	return try(ctx, c, "ec2:DescribeKeyPairs", "", func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{DryRun: aws.Bool(true)}, once)
		return err
	})
}

// TryGroups asks for [Client.Group].
func (c *Client) TryGroups(ctx context.Context) error {
	return tryRead(ctx, c, "ec2:DescribeSecurityGroups", "", func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{DryRun: aws.Bool(true)}, once)
		return err
	})
}

// TryInterfaces asks for [Client.InterfacesOf] and [Client.InterfacesIn].
func (c *Client) TryInterfaces(ctx context.Context) error {
	return tryRead(ctx, c, opDescribeInterfaces, "", func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{DryRun: aws.Bool(true)}, once)
		return err
	})
}

// TryPrefixListEntries asks for [Client.PrefixListEntries].
func (c *Client) TryPrefixListEntries(ctx context.Context, id string) error {
	if err := checkID(opListEntries, "prefix list (pl-…)", formList, id); err != nil {
		return err
	}
	return tryRead(ctx, c, opListEntries, id, func(ctx context.Context, once func(*ec2.Options)) error {
		_, err := c.ec2.GetManagedPrefixListEntries(ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id, DryRun: aws.Bool(true)}, once)
		return err
	})
}

// tryRead makes a dry run of a call that only reads: an endpoint that carries it out permits it.
func tryRead(ctx context.Context, c *Client, op, resource string, call func(context.Context, func(*ec2.Options)) error) error {
	if err := try(ctx, c, op, resource, call); !errors.Is(err, errNoDryRun) {
		return err
	}
	return nil
}

// try makes one dry run.
func try(ctx context.Context, c *Client, op, resource string, call func(context.Context, func(*ec2.Options)) error) error {
	_, err := write(ctx, c, op, resource, func(ctx context.Context, once func(*ec2.Options)) (struct{}, error) {
		return struct{}{}, call(ctx, once)
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "DryRunOperation" { // EC2, "Error codes": "the request would have succeeded"
		return nil
	}
	if err != nil {
		return err
	}
	return &Error{Kind: Server, Op: op, Resource: resource, Err: errNoDryRun}
}
