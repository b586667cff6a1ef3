package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// regionForm is the form of the regions of all of AWS's partitions: "eu-west-1", "us-gov-east-1", "us-isob-east-1".
// An availability zone ("eu-west-1a") does not have it.
var regionForm = regexp.MustCompile(`\A[a-z]{2,8}(-[a-z]{1,16}){1,4}-[0-9]{1,2}\z`)

// checkEndpoints looks at every place that requests with a secret may go to, before one is sent. It returns those that
// are not AWS's own, for the user to be warned; "" if all are.
func checkEndpoints(cfg aws.Config) (string, error) {
	bases := []*string{
		ec2.NewFromConfig(cfg).Options().BaseEndpoint,
		emr.NewFromConfig(cfg).Options().BaseEndpoint,
		sts.NewFromConfig(cfg).Options().BaseEndpoint,
		sso.NewFromConfig(cfg).Options().BaseEndpoint,
		ssooidc.NewFromConfig(cfg).Options().BaseEndpoint,
		signin.NewFromConfig(cfg).Options().BaseEndpoint,
	}
	var others []string
	for _, b := range bases {
		if b == nil {
			continue
		}
		shown, own, err := checkEndpoint(*b)
		if err != nil {
			return "", &Error{Kind: BadRequest, Err: err, Hint: "It comes from AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>, or an endpoint_url line in ~/.aws/config."}
		}
		if !own && !slices.Contains(others, shown) {
			others = append(others, shown)
		}
	}
	if len(others) == 0 && !regionForm.MatchString(cfg.Region) {
		return "", &Error{
			Kind: BadRequest, Err: fmt.Errorf("%q is not the name of an AWS region", clean(cfg.Region, maxCode)),
			Hint: "A region looks like eu-west-1 (without the letter of an availability zone).",
		}
	}
	return strings.Join(others, ", "), nil
}

// checkEndpoint refuses what would carry requests in the clear over a network. shown is the endpoint without path and user;
// own tells whether it is AWS's.
func checkEndpoint(raw string) (shown string, own bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		if i := strings.LastIndexByte(raw, '@'); i >= 0 {
			raw = "…" + raw[i:] // a password may stand before it
		}
		return "", false, fmt.Errorf("the AWS endpoint %q is not a URL", clean(raw, maxCode))
	}
	if u.User != nil {
		return "", false, errors.New("the AWS endpoint must not contain a user name or a password")
	}
	shown = clean(u.Scheme+"://"+u.Host, maxDetail)
	switch {
	case u.Scheme == "https":
		return shown, ownedByAWS(u.Hostname()), nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return shown, false, nil
	default:
		return "", false, fmt.Errorf("the AWS endpoint %s is refused: without TLS, requests and answers can be read and changed on the way", shown)
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// ownedByAWS reports whether a host is in one of the domains that AWS's partitions use for endpoints.
func ownedByAWS(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range []string{"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "api.amazonwebservices.com.cn"} {
		if strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// resolveEC2Host finds host and port of EC2 for this configuration, without asking the network.
func (c *Client) resolveEC2Host(ctx context.Context) (string, error) {
	o := c.ec2.Options()
	ep, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ec2.EndpointParameters{
		Region:       aws.String(o.Region),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		Endpoint:     o.BaseEndpoint,
	})
	if err != nil {
		return "", badConfig(fmt.Errorf("region %q has no EC2 endpoint: %w", clean(o.Region, maxCode), err))
	}
	port := ep.URI.Port()
	if port == "" {
		port = "443"
		if ep.URI.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(ep.URI.Hostname(), port), nil
}

// EC2Host returns host and port of the region's EC2 endpoint. It stands for "AWS in this region" when the
// egress towards a target that has no node yet is looked at.
func (c *Client) EC2Host() string { return c.ec2Host }
