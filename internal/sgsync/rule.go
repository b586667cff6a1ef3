package sgsync

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Rule is one ingress rule of a security group, as EC2 describes it.
// Exactly one source is set: CIDR, SourceGroup or PrefixList.
type Rule struct {
	ID          string // sgr-…
	Group       string // sg-…
	Protocol    string // "tcp", "udp", "icmp", "icmpv6", or "-1" for all traffic
	FromPort    int    // -1 with protocol -1
	ToPort      int
	CIDR        netip.Prefix // canonical (masked); the zero Prefix when the source is something else
	SourceGroup string
	PrefixList  string
	Description string
	Tags        map[string]string
}

// View is what one DescribeSecurityGroupRules call told about a group.
type View struct {
	Group string
	Rules []Rule // ingress only
	// AWS is AWS's clock at the answer (the Date header): the only clock that lease ends are compared with.
	AWS time.Time
	// Sent is the laptop's wall clock when the call was sent, without a monotonic reading: a laptop may
	// sleep between a read and the write that was planned on it.
	Sent time.Time
}

// NewRule is the body of a rule to be authorized, or to be written over an existing one.
// The protocol is always tcp and from = to = Port.
type NewRule struct {
	Port        int
	CIDR        netip.Prefix
	Description string
	Tags        map[string]string // only used by Authorize
}

// API is what Apply needs of EC2: one rule a call, always by rule id. Implementations send each call
// exactly once (no retry) and end it after at most five seconds, see [AttemptTimeout].
type API interface {
	// Authorize adds a rule with its tags in the same call and returns it as EC2 answered.
	Authorize(ctx context.Context, group string, rule NewRule) (Rule, error)
	// Modify replaces the body of a rule; id and tags stay.
	Modify(ctx context.Context, group, id string, rule NewRule) error
	// Revoke removes a rule by its id.
	Revoke(ctx context.Context, group, id string) error
	// Tag sets one tag of a rule.
	Tag(ctx context.Context, id, key, value string) error
	// Untag deletes one tag of a rule, but only while it has this value.
	Untag(ctx context.Context, id, key, value string) error
}

// Errors that an [API] wraps, decided by EC2's error code, never by its text.
var (
	// ErrDuplicate: a rule with the same protocol, ports and source is there already (InvalidPermission.Duplicate).
	ErrDuplicate = errors.New("an identical rule exists")
	// ErrGone: the rule is not there any more (InvalidSecurityGroupRuleId.NotFound, InvalidPermission.NotFound).
	ErrGone = errors.New("the rule does not exist")
	// ErrDenied: IAM refused (UnauthorizedOperation and its kin).
	ErrDenied = errors.New("not permitted")
	// ErrTagsFull: the rule has 50 tags (TagLimitExceeded).
	ErrTagsFull = errors.New("the rule has all the tags that it can have")
	// ErrQuota: the group has all the rules that it can have (RulesPerSecurityGroupLimitExceeded).
	ErrQuota = errors.New("the security group is full")
	// ErrRefused: AWS answered that it did nothing, for another reason: throttling, credentials, a wrong
	// parameter. A failure without it may have taken effect: its answer was lost, or spoke of an internal error.
	ErrRefused = errors.New("the call was refused")
)
