package awsclient

import (
	"errors"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// codeTagLimit is EC2's code for a resource that has its 50 tags.
const codeTagLimit = "TagLimitExceeded"

// Error is why a call, or getting ready for calls, failed.
type Error struct {
	Kind     Kind
	Op       string // the IAM action, "ec2:AuthorizeSecurityGroupIngress"; "" before any call
	Resource string // what it was about, "sg-…"; may be ""
	Code     string // AWS's error code; "" when AWS did not answer with one
	Err      error  // the cause; its text is foreign and may have several lines. Never nil.
	Hint     string // what the user can do, in ready sentences with the exact command; may be ""
}

// Error says what failed in one line of printable characters and bounded length. The hint is not part of it.
func (e *Error) Error() string {
	var b strings.Builder
	switch e.Kind {
	case Denied:
		b.WriteString("no permission for " + e.Op)
		if e.Resource != "" {
			b.WriteString(" on " + e.Resource)
		}
	default:
		if e.Op != "" {
			b.WriteString(e.Op)
			if e.Resource != "" {
				b.WriteString(" " + e.Resource)
			}
			b.WriteString(": ")
		}
		if e.Kind == BadRequest && e.Code == "" { // found here, before any call: the cause is the sentence
			return clean(b.String()+e.detail(), maxErrorText)
		}
		b.WriteString(phrase(e.Kind))
	}
	if d := e.detail(); d != "" {
		b.WriteString(" (" + d + ")")
	}
	return clean(b.String(), maxErrorText)
}

// phrase says what a kind means, to stand before the details.
func phrase(k Kind) string {
	switch k {
	case Credentials:
		return "no usable AWS credentials"
	case Offline:
		return "no answer from AWS"
	case Throttled:
		return "AWS asks for fewer calls"
	case NotFound:
		return "it does not exist"
	case Gone:
		return "the rule does not exist any more"
	case Duplicate:
		return "an identical rule exists"
	case Quota:
		return "a limit of AWS is reached"
	case BadRequest:
		return "wrong configuration or request"
	case Account:
		return "the AWS account cannot be used"
	case Server:
		return "AWS did not answer as expected"
	case Canceled:
		return "canceled"
	default:
		return "failed"
	}
}

// detail is the code and the message, without the layers that the SDK wraps around them.
func (e *Error) detail() string {
	var msg string
	if api, ok := errors.AsType[smithy.APIError](e.Err); ok {
		msg = withoutEncoded(api.ErrorMessage())
	} else if e.Err != nil {
		msg = innermost(e.Err).Error()
	}
	msg = clean(msg, maxDetail)
	switch code := clean(e.Code, maxCode); {
	case code == "":
		return msg
	case msg == "":
		return code
	default:
		return code + ": " + msg
	}
}

// innermost strips the SDK's wrappers, which repeat the operation and say "https response error".
func innermost(err error) error {
	for {
		var next error
		if x, ok := errors.AsType[*smithy.OperationError](err); ok {
			next = x.Err
		} else if x, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
			next = x.Err
		} else if x, ok := errors.AsType[*retrieveError](err); ok {
			next = x.err
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, sgsync.ErrGone) and its like work.
func (e *Error) Is(target error) bool {
	switch target {
	case sgsync.ErrDuplicate:
		return e.Kind == Duplicate
	case sgsync.ErrGone:
		return e.Kind == Gone
	case sgsync.ErrDenied:
		return e.Kind == Denied
	case sgsync.ErrTagsFull:
		return e.Kind == Quota && e.Code == codeTagLimit
	case sgsync.ErrQuota:
		return e.Kind == Quota && e.Code != codeTagLimit
	case sgsync.ErrRefused:
		// An answer with a code of these kinds is EC2's word that nothing was done.
		return e.Code != "" && (e.Kind == Throttled || e.Kind == Credentials || e.Kind == BadRequest || e.Kind == Account || e.Kind == NotFound)
	default:
		return false
	}
}
