package awsclient

import (
	"context"
	"errors"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is who AWS says we are.
type Identity struct {
	Profile string // "" when keys or a token in the environment were used
	Region  string
	Account string // twelve digits
	ARN     string
	// UserID is what the IAM variable ${aws:userid} holds: "AIDA…" for a user, "AROA…:session" for a role
	// (STS API Reference, GetCallerIdentity).
	UserID string
	// Endpoint is where requests go when that is not AWS's own place, several joined by ", "; "" for AWS's own.
	Endpoint string
	// Unstable: an SDK made up the name of the role session, so that UserID changes with every sign-in. The profile
	// needs a role_session_name, or leases would be lost.
	Unstable bool
}

// Identity returns who the Client acts as, as STS told when it was opened.
func (c *Client) Identity() Identity { return c.identity }

// madeUpSession matches the role session names that SDKs make up where the profile has none: aws-sdk-go-v2 and
// botocore (the AWS CLI) a prefix and the time, other SDKs likewise, and the Go SDK for web identities the bare time in
// nanoseconds.
var madeUpSession = regexp.MustCompile(`\Aarn:[^:]*:sts::[0-9]*:assumed-role/.+/(aws-go-sdk-|botocore-session-|aws-sdk-(java|js|php|ruby|dotnet|rust|cpp|kotlin|swift)-|aws-dotnet-sdk-session-|[0-9]{16,}\z)`)

// identify asks STS. The call needs no permission and works under an explicit deny (IAM, Service Authorization Reference).
func (c *Client) identify(ctx context.Context) error {
	const op = "sts:GetCallerIdentity"
	out, err := read(ctx, c, op, "", func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
		return c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	})
	if err != nil {
		return err
	}
	if date, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		c.ahead, c.dated = wall().Sub(date), true
	}
	c.identity.Account, c.identity.ARN, c.identity.UserID = aws.ToString(out.Account), aws.ToString(out.Arn), aws.ToString(out.UserId)
	if c.identity.Account == "" || c.identity.UserID == "" {
		return &Error{Kind: Server, Op: op, Err: errors.New("the answer names no account or user")}
	}
	c.identity.Unstable = madeUpSession.MatchString(c.identity.ARN)
	return nil
}
