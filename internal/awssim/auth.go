package awssim

import (
	"strings"
)

// credentialScope is the part of a SigV4 credential after the access key.
type credentialScope struct{ region, service string }

// credential reads the access key and the scope from an Authorization header:
// "AWS4-HMAC-SHA256 Credential=AKIA…/20261122/us-east-1/ec2/aws4_request, SignedHeaders=…, Signature=…".
// Both are empty where the header is not of that form.
func credential(header string) (accessKey string, scope credentialScope) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", credentialScope{}
	}
	for field := range strings.SplitSeq(rest, ",") {
		value, ok := strings.CutPrefix(strings.TrimSpace(field), "Credential=")
		if !ok {
			continue
		}
		parts := strings.Split(value, "/")
		if len(parts) != 5 || parts[4] != "aws4_request" {
			return "", credentialScope{}
		}
		return parts[0], credentialScope{region: parts[2], service: parts[3]}
	}
	return "", credentialScope{}
}

// checkRegion refuses a request that is signed for another region. STS has a global endpoint too, which clients sign
// for in different ways, so there every region is right.
func (s *Sim) checkRegion(rq *request, scope credentialScope) error {
	if scope.region == "" || scope.region == s.opts.Region || rq.service == "sts" {
		return nil
	}
	code := "AuthFailure"
	if rq.service == "elasticmapreduce" {
		code = "InvalidSignatureException"
	}
	return fail(code, "Credential should be scoped to a valid region: %s, not %s", s.opts.Region, scope.region)
}

// authenticate refuses requests without a credential, and expired credentials. The codes of EMR and STS for
// expired credentials are general AWS convention; RequestExpired is on EC2's page "Error codes".
func (s *Sim) authenticate(rq *request) error {
	if rq.accessKey == "" {
		if rq.service == "elasticmapreduce" {
			return fail("MissingAuthenticationTokenException", "Missing Authentication Token")
		}
		return fail("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	if !rq.principal.Expired {
		return nil
	}
	switch rq.service {
	case "ec2":
		return fail("RequestExpired", "Request has expired.")
	case "elasticmapreduce":
		return fail("ExpiredTokenException", "The security token included in the request is expired")
	default:
		return fail("ExpiredToken", "The security token included in the request is expired")
	}
}

// authorize refuses what IAM denies the principal. sts:GetCallerIdentity works "even under explicit deny" (its API page).
func authorize(rq *request, action string) error {
	p := rq.principal
	if action == "sts:GetCallerIdentity" || !p.denies(action) {
		return nil
	}
	text := "User: " + p.ARN + " is not authorized to perform: " + action + " because no identity-based policy allows the " + action + " action"
	switch rq.service {
	case "ec2":
		return fail("UnauthorizedOperation", "You are not authorized to perform this operation. %s. "+
			"Encoded authorization failure message: c2ltdWxhdGVk", text)
	case "elasticmapreduce":
		return fail("AccessDeniedException", "%s", text)
	default:
		return fail("AccessDenied", "%s", text)
	}
}

func errUnknownAction(rq *request) error {
	if rq.service == "elasticmapreduce" {
		return fail("UnknownOperationException", "the operation %s is not simulated", rq.action)
	}
	return fail("InvalidAction", "The action %s is not valid for this web service.", rq.action)
}
