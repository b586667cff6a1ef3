package awsclient

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Doer sends an HTTP request, as *http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Options choose whose credentials are used and where.
type Options struct {
	// Profile is a profile of ~/.aws/config; "" is the standard chain (AWS_PROFILE, keys in the environment,
	// the default profile). A profile that is named here wins over keys in the environment.
	Profile string
	// Region is an AWS region; "" is the standard chain (AWS_REGION, AWS_DEFAULT_REGION, the profile's region).
	Region string
	// HTTPClient sends all requests, those for credentials too; nil is the SDK's own, which honours HTTPS_PROXY,
	// AWS_CA_BUNDLE and ca_bundle. (With another client, a CA bundle is an error of the SDK.)
	HTTPClient Doer
	// UserAgent is "name/version", added to the SDK's User-Agent header, so that calls can be found in
	// CloudTrail. May be empty.
	UserAgent string
}

// Client talks to EC2, EMR and STS as one identity in one region. It may be used concurrently.
type Client struct {
	ec2      *ec2.Client
	emr      *emr.Client
	sts      *sts.Client
	source   source // where the credentials come from, for hints
	identity Identity
	ec2Host  string
	idle     func()        // closes idle connections
	expires  time.Time     // of the credentials; zero for never
	ahead    time.Duration // this computer's clock against AWS's
	dated    bool          // ahead is known
	calls    *atomic.Int64
}

var _ sgsync.API = (*Client)(nil)

// Open reads the AWS files and environment anew, retrieves credentials and asks STS who they are. Nothing is
// kept from an earlier Open. Instance metadata is never used: on a laptop it is 169.254.169.254 of whatever
// network it is in. An endpoint over plain http that is not on loopback is refused before anything secret is sent.
//
// Errors are *Error: BadRequest (files, profile, region, endpoint), Credentials, Denied (a role that may not be assumed),
// Offline, Throttled, Server, Canceled.
func Open(ctx context.Context, o Options) (*Client, error) {
	ld, err := load(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &Client{
		ec2: ec2.NewFromConfig(ld.aws), emr: emr.NewFromConfig(ld.aws), sts: sts.NewFromConfig(ld.aws),
		source: ld.source, idle: ld.idle, calls: ld.calls,
		identity: Identity{Profile: ld.source.identityProfile(), Region: ld.aws.Region},
	}
	if err := c.open(ctx, ld); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) open(ctx context.Context, ld loaded) error {
	endpoint, err := checkEndpoints(ld.aws)
	if err != nil {
		return err
	}
	c.identity.Endpoint = endpoint
	if c.ec2Host, err = c.resolveEC2Host(ctx); err != nil {
		return err
	}
	if err := c.retrieve(ctx, ld.aws.Credentials); err != nil {
		return err
	}
	return c.identify(ctx)
}

// Close closes idle connections. Call it at the end of a round: a later round may be on another network. The
// Client can still be used.
func (c *Client) Close() { c.idle() }
