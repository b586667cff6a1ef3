package awsclient

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// callTimeout ends a read with all of its attempts.
const callTimeout = 10 * time.Second

// maxPages ends lists that never end. EC2 gives 1000 rules a page, EMR 50 clusters.
const maxPages = 200

var errTooManyPages = errors.New("the list does not end")

// read makes one call that changes nothing, with the SDK's retries.
func read[T any](ctx context.Context, c *Client, op, resource string, call func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := call(bounded)
	if err != nil {
		var zero T
		return zero, c.failed(ctx, op, resource, err)
	}
	return out, nil
}

// write makes one call that changes something: one attempt, ended after sgsync.AttemptTimeout. The lease protocol
// counts on both (docs/design.md).
func write[T any](ctx context.Context, c *Client, op, resource string, call func(context.Context, func(*ec2.Options)) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, sgsync.AttemptTimeout)
	defer cancel()
	out, err := call(bounded, func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		var zero T
		return zero, c.failed(ctx, op, resource, err)
	}
	return out, nil
}
