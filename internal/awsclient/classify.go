package awsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// iamAction returns the IAM action of a call, "ec2:RevokeSecurityGroupIngress".
func iamAction(call *smithy.OperationError) string {
	prefix := map[string]string{"EC2": "ec2", "EMR": "elasticmapreduce", "STS": "sts", "SSO": "sso", "SSO OIDC": "sso-oauth", "Signin": "signin"}[call.ServiceID]
	if prefix == "" {
		prefix = call.ServiceID
	}
	return clean(prefix+":"+call.OperationName, maxCode)
}

// failed classifies the error of a call. ctx is the caller's, without the timeout of the call.
func (c *Client) failed(ctx context.Context, op, resource string, err error) *Error {
	if _, ok := errors.AsType[*retrieveError](err); ok {
		return c.retrieveFailed(ctx, op, err)
	}
	e := &Error{Op: op, Resource: clean(resource, maxCode), Err: err}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code = api.ErrorCode()
		e.Kind = kindOfAnswer(e.Code, statusOf(err))
		switch {
		case e.Kind == Credentials:
			e.Hint = c.refusedHint(e)
		case e.Kind == Server && statusOf(err) < 500: // an error without a code that AWS has
			e.Hint = c.transportHint(err)
		default:
			e.Hint = c.hintFor(e)
		}
		return e
	}
	if ctx.Err() != nil {
		e.Kind, e.Err = Canceled, errors.Join(ctx.Err(), err)
		return e
	}
	if kind, ok := transportKind(err); ok {
		e.Kind, e.Hint = kind, c.transportHint(err)
		return e
	}
	// What is left is an answer that the SDK could not decode, or a request that it refused to build.
	e.Kind = BadRequest
	if _, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		e.Kind, e.Hint = Server, c.transportHint(err)
	}
	return e
}

// refusedHint is for credentials that were retrieved and that AWS then refused.
func (c *Client) refusedHint(e *Error) string {
	if skew := clockHint(e.Err); skew != "" {
		return skew
	}
	if expired(e.Code) {
		return c.source.signInHint()
	}
	return c.source.signInHint() + c.regionHint()
}

// statusOf returns the HTTP status of an answer; 0 if there was none.
func statusOf(err error) int {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && r.Response != nil {
		return r.HTTPStatusCode()
	}
	return 0
}

// transportKind tells failures of the way to AWS and back; false if it was none. net.Error is no help: a missing
// file (syscall.Errno) implements it too.
func transportKind(err error) (Kind, bool) {
	switch {
	case errors.Is(err, errAnswerTooLarge), errors.Is(err, errNotAWS):
		return Server, true
	case isType[*smithyhttp.RequestSendError](err), isType[*smithy.CanceledError](err), isType[*aws.RequestCanceledError](err),
		isType[*net.OpError](err), isType[*net.DNSError](err), isType[*url.Error](err):
		return Offline, true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return Offline, true // while the answer was read
	case isType[*smithy.DeserializationError](err):
		return Server, true
	}
	return 0, false
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// transportHint says what stands between here and AWS.
func (c *Client) transportHint(err error) string {
	if isType[*tls.CertificateVerificationError](err) {
		return "The certificate is not AWS's: a network that wants you to sign in first, an inspecting proxy (set AWS_CA_BUNDLE or ca_bundle to its CA), or a clock that is far off."
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("The name %s could not be looked up: there is no network, or there is no region %s.", clean(dns.Name, maxCode), clean(c.identity.Region, maxCode))
	}
	if isType[*smithy.DeserializationError](err) || isType[*smithyhttp.ResponseError](err) && statusOf(err) != 0 {
		return "What answered may not be AWS: a proxy, a sign-in page of the network, or another endpoint (AWS_ENDPOINT_URL)."
	}
	return "Check the network, the VPN and the proxy (HTTPS_PROXY)."
}
