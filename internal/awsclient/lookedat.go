package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/emr"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// SignIn says whose credentials a Client has, for people who look for what is wrong.
type SignIn struct {
	// From is where they come from, as in "they come from …": `the profile "work" (IAM Identity Center)`. It holds no secret.
	From string
	// Expires is when they end; the zero time for keys without an end. The SDK gets new ones where it can.
	Expires time.Time
}

// SignIn tells whose credentials the Client has.
func (c *Client) SignIn() SignIn { return SignIn{From: c.source.phrase(), Expires: c.expires} }

// phrase names the source.
func (s source) phrase() string {
	what := map[origin]string{fromKeys: "access key in the AWS files", fromTempKeys: "temporary keys in the AWS files", fromSSO: "IAM Identity Center",
		fromLogin: "aws login", fromProcess: fmt.Sprintf("credential_process %q", s.process), fromWebIdentity: "web identity token",
		fromContainer: "container credentials", fromMetadata: "instance metadata", fromNothing: "nothing configured", fromEnvironment: "keys in the environment"}[s.origin]
	if s.unused {
		return map[bool]string{true: "AWS_ACCESS_KEY_ID", false: "the web identity token"}[s.origin == fromEnvironment] + " in the environment, which wins over profiles"
	}
	text := fmt.Sprintf("the profile %s (%s", s.quotedProfile(), what)
	if s.base != s.profile {
		text += fmt.Sprintf(" of %q", clean(s.base, maxCode))
	}
	if s.role != "" {
		text += ", then the role " + clean(s.role, maxDetail)
	}
	return text + ")"
}

// Clock tells by how much this computer's clock is ahead of AWS's, as the answer at [Open] showed; AWS tells whole seconds.
// ok is false when the answer had no date.
func (c *Client) Clock() (ahead time.Duration, ok bool) { return c.ahead, c.dated }

// ClockOf is the same for an answer that was an error.
func ClockOf(err error) (ahead time.Duration, ok bool) {
	r, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || r.Response == nil || r.Response.Response == nil {
		return 0, false
	}
	date, parseErr := http.ParseTime(r.Response.Header.Get("Date"))
	if parseErr != nil {
		return 0, false
	}
	return wall().Sub(date), true
}

// DefaultRegions are those that are enabled in every account (AWS Account Management, "Enable or disable AWS
// Regions"). In other partitions than "aws" there are others.
func DefaultRegions() []string {
	return []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
		"eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1",
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"}
}

// seekTime ends a search in other regions: they are far, and it is a courtesy.
const seekTime = 6 * time.Second

// Seek looks in other regions of the account for a cluster, and returns those that know it. Regions that do not
// answer are left out.
func (c *Client) Seek(ctx context.Context, cluster string, regions []string) (found []string) {
	if checkID("", "cluster", formCluster, cluster) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, region := range regions {
		if region == c.identity.Region {
			continue
		}
		wg.Go(func() {
			out, err := c.emr.DescribeCluster(ctx, &emr.DescribeClusterInput{ClusterId: &cluster}, func(o *emr.Options) { o.Region = region })
			if err != nil || out.Cluster == nil || out.Cluster.Id == nil || *out.Cluster.Id != cluster {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, region)
		})
	}
	wg.Wait()
	slices.Sort(found)
	return found
}
