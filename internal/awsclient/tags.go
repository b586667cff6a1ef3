package awsclient

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	opTag   = "ec2:CreateTags"
	opUntag = "ec2:DeleteTags"
)

// Tag sets one tag of a rule, replacing its value.
func (c *Client) Tag(ctx context.Context, id, key, value string) error {
	if err := checkTag(opTag, id, key); err != nil {
		return err
	}
	in := &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: &key, Value: &value}}}
	_, err := write(ctx, c, opTag, id, func(ctx context.Context, once func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
		return c.ec2.CreateTags(ctx, in, once)
	})
	return goneForTag(err)
}

// Untag deletes one tag of a rule, but only while it has this value: EC2 leaves a tag alone whose value is not the one in
// the request (API Reference, DeleteTags). A tag that is not there, or has another value, is no error.
func (c *Client) Untag(ctx context.Context, id, key, value string) error {
	if err := checkTag(opUntag, id, key); err != nil {
		return err
	}
	in := &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: &key, Value: &value}}}
	_, err := write(ctx, c, opUntag, id, func(ctx context.Context, once func(*ec2.Options)) (*ec2.DeleteTagsOutput, error) {
		return c.ec2.DeleteTags(ctx, in, once)
	})
	return goneForTag(err)
}

// checkTag also refuses an empty key: DeleteTags without one deletes all tags.
func checkTag(op, id, key string) error {
	if key == "" {
		return &Error{Kind: BadRequest, Op: op, Err: errors.New("a tag has no key")}
	}
	return checkID(op, "security group rule (sgr-…)", formRule, id)
}

// goneForTag adds the code that tagging has for a resource that is not there (EC2, "Error codes": InvalidID). The id has
// the form of a rule's.
func goneForTag(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "InvalidID" {
		e.Kind, e.Hint = Gone, ""
	}
	return err
}

// tagsOf lists tags in the order of their keys, so that equal requests look equal.
func tagsOf(m map[string]string) []ec2types.Tag {
	tags := make([]ec2types.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		tags = append(tags, ec2types.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return tags
}
