package awsclient

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// withProfile returns " --profile NAME", or nothing for the default profile.
func withProfile(name string) string {
	if name == "" || name == config.DefaultSharedConfigProfile {
		return ""
	}
	return " --profile " + shellWord(name)
}

func (s source) quotedProfile() string { return fmt.Sprintf("%q", clean(s.profile, maxCode)) }

// signInHint says how to get good credentials, for this kind of profile.
func (s source) signInHint() string {
	if s.mfa != "" && s.origin != fromEnvironment {
		return s.mfaHint()
	}
	base := fmt.Sprintf("%q", clean(s.base, maxCode))
	switch s.origin {
	case fromEnvironment:
		return "The keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment: renew them, or unset them to use a profile."
	case fromKeys:
		return fmt.Sprintf("The access key of profile %s is wrong, inactive or deleted: `aws configure%s` stores another one.", base, withProfile(s.base))
	case fromTempKeys:
		return fmt.Sprintf("Profile %s holds temporary keys: run the tool that wrote them again (the aws_session_token line shows that they expire).", base)
	case fromSSO:
		return fmt.Sprintf("Sign in: `aws sso login%s`.", withProfile(s.base))
	case fromLogin:
		return fmt.Sprintf("Sign in: `aws login%s`.", withProfile(s.base))
	case fromProcess:
		return fmt.Sprintf("Profile %s gets its credentials from the credential_process %q: run it by hand to see what it wants.", base, s.process)
	case fromWebIdentity:
		return "The credentials come from a web identity token file: renew the token, and check that the role trusts it."
	case fromContainer:
		return "The credentials come from the address in AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI, which did not give any."
	case fromMetadata:
		return fmt.Sprintf("Profile %s wants EC2 instance metadata, which is not used here; choose another profile with --profile or AWS_PROFILE.", base)
	default:
		return "No credentials are configured: choose a profile with --profile or AWS_PROFILE (`aws configure list-profiles` shows them), or set one up with `aws configure sso` or `aws login`."
	}
}

// mfaHint explains the one kind of profile that works in the AWS CLI and cannot work unattended: the SDK
// does not read the CLI's cache of role sessions.
func (s source) mfaHint() string {
	device := clean(s.mfa, maxDetail)
	if device == "" {
		device = "set"
	}
	p := shellWord(s.profile)
	return fmt.Sprintf("Profile %s has mfa_serial %s. Let the AWS CLI ask and keep the session: add a profile with "+
		"`credential_process = aws configure export-credentials --profile %s --format process` and use that one, "+
		"or sign in through IAM Identity Center (`aws configure sso`).", s.quotedProfile(), device, p)
}

// regionHint reminds of a second cause of refused keys.
func (c *Client) regionHint() string {
	if c.identity.Region == "" {
		return ""
	}
	return fmt.Sprintf(" If they are right: region %s may not be enabled for the account.", clean(c.identity.Region, maxCode))
}

// where names account, region and profile for "not found": looking in the wrong place is the usual cause.
func (c *Client) where() string {
	var b strings.Builder
	fmt.Fprintf(&b, "region %s", clean(c.identity.Region, maxCode))
	if c.identity.Account != "" {
		fmt.Fprintf(&b, " of account %s", clean(c.identity.Account, maxCode))
	}
	if c.identity.Profile != "" {
		fmt.Fprintf(&b, " (profile %s)", clean(c.identity.Profile, maxCode))
	}
	return b.String()
}

// hintFor says what to do about a failed call.
func (c *Client) hintFor(e *Error) string {
	switch e.Kind {
	case Denied:
		return c.deniedHint(e)
	case Throttled:
		return "The limits hold for everybody in the account and region together; it is tried again later."
	case NotFound:
		return fmt.Sprintf("Looked in %s: check --region and --profile.", c.where())
	case Quota:
		if e.Code == codeTagLimit {
			return "The rule has its 50 tags; ended leases are purged by every round that looks at it."
		}
		return "Remove rules that nobody needs, or raise the quota \"Inbound or outbound rules per security group\"."
	case Account:
		return "The administrator of the account, or AWS Support, has to settle this."
	case BadRequest:
		if e.Code == "TagPolicyViolation" {
			return "The organisation demands certain tags: set them as tags in the configuration's [rules]."
		}
	}
	return ""
}

func (c *Client) deniedHint(e *Error) string {
	on := ""
	if e.Resource != "" {
		on = " on " + e.Resource
	}
	also := ""
	if e.Op == opAuthorize {
		also = ", and for ec2:CreateTags at creation (ec2:CreateAction AuthorizeSecurityGroupIngress)"
	}
	who := ""
	if c.identity.ARN != "" {
		who = " for " + clean(c.identity.ARN, maxDetail)
	}
	return fmt.Sprintf("Ask whoever administers the account for %s%s%s%s; `emr-accessd policy` prints all that is needed.", e.Op, on, also, who)
}
