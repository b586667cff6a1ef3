package awsclient

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// KeyPair returns the public key of an EC2 key pair in the form of an authorized_keys line; "" where EC2 has none to show.
func (c *Client) KeyPair(ctx context.Context, name string) (publicKey string, err error) {
	const op = "ec2:DescribeKeyPairs"
	if name == "" {
		return "", &Error{Kind: BadRequest, Op: op, Err: errors.New("the key pair has no name")}
	}
	out, err := read(ctx, c, op, name, func(ctx context.Context) (*ec2.DescribeKeyPairsOutput, error) {
		return c.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{name}, IncludePublicKey: aws.Bool(true)})
	})
	if err != nil {
		return "", err
	}
	for _, k := range out.KeyPairs {
		if aws.ToString(k.KeyName) == name {
			return aws.ToString(k.PublicKey), nil
		}
	}
	return "", unexpected(op, clean(name, maxCode), "the answer is not about this key pair")
}
