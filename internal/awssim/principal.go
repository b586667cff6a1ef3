package awssim

import (
	"slices"
	"time"
)

// Principal is who an access key belongs to.
type Principal struct {
	UserID  string // aws:userid, "AIDA…" or "AROA…:session"; "" means a fixed one
	ARN     string // "" means arn:aws:iam::ACCOUNT:user/sim
	Account string // "" means Options.Account
	// Deny lists the actions that IAM refuses, "ec2:AuthorizeSecurityGroupIngress" or with wildcards
	// "ec2:*". A denied ec2:CreateTags also refuses tags in an Authorize call, unless TagOnCreate is set.
	Deny []string
	// TagOnCreate permits tags in the call that makes a resource even where ec2:CreateTags is denied: a policy
	// with the condition ec2:CreateAction does that.
	TagOnCreate bool
	// Expired makes the credentials count as expired.
	Expired bool

	expires time.Time // of assumed roles; zero means never
}

// AddPrincipal says who an access key belongs to, replacing what was said before. The secret key and the session token
// are not checked: any will do. A key that was never added belongs to a default principal, who may do everything.
func (s *Sim) AddPrincipal(accessKey string, p Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Deny = slices.Clone(p.Deny)
	s.principals[accessKey] = p
}

// principal returns who a key belongs to, with defaults filled in.
func (s *Sim) principal(accessKey string) Principal {
	p := s.principals[accessKey]
	if p.Account == "" {
		p.Account = s.opts.Account
	}
	if p.ARN == "" {
		p.ARN = "arn:aws:iam::" + p.Account + ":user/sim"
	}
	if p.UserID == "" {
		p.UserID = "AIDASIMULATEDUSER0001"
	}
	if !p.expires.IsZero() && !s.opts.Now().Before(p.expires) {
		p.Expired = true
	}
	return p
}

// denies reports whether the principal is refused an action such as "ec2:CreateTags".
func (p Principal) denies(action string) bool {
	return slices.ContainsFunc(p.Deny, func(pattern string) bool { return wildcard(pattern, action) })
}
