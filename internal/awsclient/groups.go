package awsclient

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Group is a security group.
type Group struct {
	ID, Name    string
	VPC         string // vpc-…
	Owner       string // the account that owns it, twelve digits
	Description string
}

// Group describes a security group. A group that is not there is NotFound: its cluster may be long gone.
func (c *Client) Group(ctx context.Context, id string) (Group, error) {
	const op = "ec2:DescribeSecurityGroups"
	if err := checkID(op, "security group (sg-…)", formGroup, id); err != nil {
		return Group{}, err
	}
	out, err := read(ctx, c, op, id, func(ctx context.Context) (*ec2.DescribeSecurityGroupsOutput, error) {
		return c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	})
	if err != nil {
		return Group{}, err
	}
	if len(out.SecurityGroups) != 1 || aws.ToString(out.SecurityGroups[0].GroupId) != id {
		return Group{}, &Error{Kind: Server, Op: op, Resource: id, Err: errors.New("the answer is not about this group")}
	}
	g := out.SecurityGroups[0]
	return Group{
		ID: id, Name: aws.ToString(g.GroupName), VPC: aws.ToString(g.VpcId),
		Owner: aws.ToString(g.OwnerId), Description: aws.ToString(g.Description),
	}, nil
}
