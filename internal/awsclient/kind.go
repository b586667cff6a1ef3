package awsclient

import "errors"

// Kind says what a failure means for the user and for the next try.
type Kind int

// The kinds of failure. The zero Kind is none of them.
const (
	// Credentials: AWS does not know who asks. Signing in again, or other keys, help; trying again does not.
	Credentials Kind = iota + 1
	// Denied: AWS knows who asks, and IAM says no.
	Denied
	// Offline: no answer came from AWS. A write may have taken effect all the same.
	Offline
	// Throttled: AWS asks for fewer calls; the limits are per account and region, shared with everybody in it.
	Throttled
	// NotFound: the cluster, group, instance or key pair that was named does not exist there.
	NotFound
	// Gone: the security group rule is not there any more.
	Gone
	// Duplicate: a rule with the same protocol, ports and source is there already.
	Duplicate
	// Quota: the group has all its rules, or the rule all its tags.
	Quota
	// BadRequest: the configuration, an argument or the request is wrong; trying again does not help.
	BadRequest
	// Account: the account itself is blocked, or has not signed up for the service or region.
	Account
	// Server: AWS answered with a failure of its own, or something answered that is not AWS.
	Server
	// Canceled: the caller's context ended first.
	Canceled
)

// String names the kind in a word for logs.
func (k Kind) String() string {
	switch k {
	case Credentials:
		return "credentials"
	case Denied:
		return "denied"
	case Offline:
		return "offline"
	case Throttled:
		return "throttled"
	case NotFound:
		return "not-found"
	case Gone:
		return "gone"
	case Duplicate:
		return "duplicate"
	case Quota:
		return "quota"
	case BadRequest:
		return "bad-request"
	case Account:
		return "account"
	case Server:
		return "server"
	case Canceled:
		return "canceled"
	}
	return "unknown"
}

// KindOf returns the kind of the first [*Error] in err's tree; false if there is none.
func KindOf(err error) (Kind, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, true
	}
	return 0, false
}
