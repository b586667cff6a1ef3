package awsclient

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// kindOfCode tells the kind by AWS's error code; false for a code that is not listed.
// Sources: EC2 "Error codes for the Amazon EC2 API", STS "Common Errors", EMR's model, the SDK's list of throttling codes.
func kindOfCode(code string) (Kind, bool) {
	switch code {
	case "InvalidPermission.Duplicate":
		return Duplicate, true
	// Revoking by id answers with the second one on moto, with the first one on AWS.
	case "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound":
		return Gone, true
	case "InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidSecurityGroupID.NotFound",
		"InvalidInstanceID.NotFound", "InvalidKeyPair.NotFound", "InvalidPrefixListID.NotFound":
		return NotFound, true
	case "RulesPerSecurityGroupLimitExceeded", codeTagLimit:
		return Quota, true
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "ForbiddenException":
		return Denied, true
	case "AuthFailure", "InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException",
		"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "RequestTimeTooSkewed", "UnauthorizedException":
		return Credentials, true
	case "RequestExpired", "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return Credentials, true
	case "OptInRequired", "Blocked", "PendingVerification", "SubscriptionRequiredException", "RegionDisabledException":
		return Account, true
	// "You can't run simultaneous commands to modify a tag for a specific resource": later it works.
	case "ConcurrentTagAccess":
		return Throttled, true
	case "InternalError", "InternalFailure", "InternalServerError", "InternalServerException", "Unavailable",
		"ServiceUnavailable", "ServiceUnavailableException":
		return Server, true
	}
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return Throttled, true
	}
	return 0, false
}

// kindOfAnswer tells the kind of an answer by its code and, for a code that is not known, by its HTTP status.
func kindOfAnswer(code string, status int) Kind {
	if k, ok := kindOfCode(code); ok {
		return k
	}
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status >= 500:
		return Server
	case code == "" || code == "UnknownError": // the SDK's word for an answer without a code
		return Server
	default:
		return BadRequest
	}
}

// expired reports whether a code says that credentials were good once. EC2 sends RequestExpired for expired
// credentials and for a clock that is more than 15 minutes off alike.
func expired(code string) bool {
	switch code {
	case "RequestExpired", "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return true
	}
	return false
}
