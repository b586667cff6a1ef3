package awsclient

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"
)

// retrieveTimeout ends the wait for credentials: a credential_process may take a minute (the SDK's own limit).
const retrieveTimeout = 65 * time.Second

// retrieveError marks a failure to get credentials, wherever it surfaces: the causes have no type in common, some
// are plain text.
type retrieveError struct{ err error }

func (e *retrieveError) Error() string { return "retrieve credentials: " + e.err.Error() }
func (e *retrieveError) Unwrap() error { return e.err }

// stagedProvider marks the failures of a provider, also when the SDK refreshes credentials within a call.
type stagedProvider struct{ next aws.CredentialsProvider }

func (p stagedProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := p.next.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &retrieveError{withoutOutput(err)}
	}
	return creds, nil
}

// withoutOutput replaces the error of a credential_process: where its output cannot be read, the SDK quotes it,
// secret key and all.
func withoutOutput(err error) error {
	if _, ok := errors.AsType[*processcreds.ProviderError](err); !ok {
		return err
	}
	if x, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("credential_process failed: %w", x)
	}
	if x, ok := errors.AsType[*exec.Error](err); ok {
		return fmt.Errorf("credential_process could not be started: %w", x)
	}
	return errors.New("credential_process did not print credentials (JSON with Version 1, AccessKeyId and SecretAccessKey)")
}

// retrieve gets credentials as a stage of its own, before any call needs them.
func (c *Client) retrieve(ctx context.Context, p aws.CredentialsProvider) error {
	bounded, cancel := context.WithTimeout(ctx, retrieveTimeout)
	defer cancel()
	creds, err := p.Retrieve(bounded)
	if err != nil {
		return c.retrieveFailed(ctx, "", err)
	}
	if creds.CanExpire {
		c.expires = creds.Expires
	}
	if !creds.HasKeys() {
		return &Error{Kind: Credentials, Err: errors.New("the credentials have no keys"), Hint: c.source.signInHint()}
	}
	return nil
}

// retrieveFailed classifies a failure to get credentials. Whatever is not the network's, IAM's or the service's fault is
// Credentials, and the hint follows from the profile.
func (c *Client) retrieveFailed(ctx context.Context, op string, err error) *Error {
	e := &Error{Kind: Credentials, Op: op, Err: err}
	call := innermostCall(err)
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code = api.ErrorCode()
		switch kind := kindOfAnswer(e.Code, statusOf(err)); kind {
		case Throttled, Server:
			e.Kind = kind
			e.Hint = c.hintFor(e)
			return e
		case Denied:
			if call != nil {
				return c.roleDenied(e, call)
			}
		case BadRequest:
			if e.Code == "ValidationError" { // STS: the profile asks for something that cannot be
				e.Kind, e.Hint = BadRequest, fmt.Sprintf("Check role_arn, role_session_name and duration_seconds of profile %s.", c.source.quotedProfile())
				return e
			}
		}
	} else if ctx.Err() != nil {
		return &Error{Kind: Canceled, Op: op, Err: errors.Join(ctx.Err(), err)}
	} else if kind, ok := transportKind(err); ok {
		if kind == Offline && call == nil && c.source.origin == fromProcess {
			e.Hint = c.source.signInHint() // nothing was sent: the program did not end in time
			return e
		}
		e.Kind = kind
		e.Hint = c.transportHint(err)
		return e
	}
	if c.source.origin == fromNothing {
		e.Err = errors.New("none are configured") // the SDK speaks of instance metadata, its last resort
	}
	e.Hint = c.source.signInHint()
	if skew := clockHint(err); skew != "" {
		e.Hint = skew
	}
	return e
}

// roleDenied is for good credentials that may not become the role of the profile.
func (c *Client) roleDenied(e *Error, call *smithy.OperationError) *Error {
	e.Kind = Denied
	e.Op = iamAction(call)
	e.Resource = clean(c.source.role, maxDetail)
	if e.Op == "sso:GetRoleCredentials" {
		e.Resource = ""
		e.Hint = fmt.Sprintf("Your user has no access to the account and role of profile %q in IAM Identity Center: check sso_account_id and sso_role_name, or ask for the assignment.", clean(c.source.base, maxCode))
		return e
	}
	e.Hint = fmt.Sprintf("Profile %s assumes a role: its trust policy and your own policy must both allow it.", c.source.quotedProfile())
	return e
}

// innermostCall finds the call that really failed: assuming a role may fail in getting the credentials for it.
func innermostCall(err error) *smithy.OperationError {
	var last *smithy.OperationError
	for {
		op, ok := errors.AsType[*smithy.OperationError](err)
		if !ok {
			return last
		}
		last, err = op, op.Err
	}
}
