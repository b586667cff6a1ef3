package sgsync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tag keys. A key of the form emr-accessd-lease-<aws:userid>-<installation id> lets an IAM policy forbid
// forging somebody else's lease; the owner is the rule's creator, so that IAM can guard Modify.
const (
	OwnerTag       = "emr-accessd-owner"
	ProvisionedTag = "emr-accessd-provisioned" // set by an administrator: such a rule is never removed
	LeasePrefix    = "emr-accessd-lease-"
)

// MaxTags is the number of tags a resource can have (AWS, "Tag your Amazon EC2 resources").
const MaxTags = 50

// Holder names one installation of one AWS user.
type Holder struct {
	UserID       string // aws:userid, as sts:GetCallerIdentity returns it
	Installation string // lower-case letters and digits only
}

// Key is the tag key of the holder's leases.
func (h Holder) Key() string { return LeasePrefix + h.UserID + "-" + h.Installation }

// Lease is one installation's claim on a rule, kept as a tag on it.
type Lease struct {
	Holder
	End      time.Time
	FirmFrom time.Time // the lease is firm once it has been read, live and on its rule, at or after this instant
	Who      string    // user@host, for humans only
	Key      string    // as read
	Value    string    // as read
	Err      error     // not nil: the tag could not be read, and counts as live
}

// ParseLease reads a tag. ok is false when the tag is no lease at all; a lease that cannot be read has Err.
func ParseLease(key, value string) (l Lease, ok bool) {
	rest, ok := strings.CutPrefix(key, LeasePrefix)
	if !ok {
		return Lease{}, false
	}
	l = Lease{Key: key, Value: value}
	cut := strings.LastIndexByte(rest, '-') // a user id may hold '-', an installation id does not
	if cut <= 0 || cut == len(rest)-1 {
		l.Err = errors.New("lease key names no installation")
		return l, true
	}
	l.Holder = Holder{rest[:cut], rest[cut+1:]}
	parts := strings.SplitN(value, " ", 3)
	if len(parts) < 2 {
		l.Err = errors.New("lease value has no end and firm-from")
		return l, true
	}
	var err error
	if l.End, err = time.Parse(time.RFC3339, parts[0]); err != nil {
		l.Err = errors.New("lease end is not an RFC 3339 time")
		return l, true
	}
	if l.FirmFrom, err = time.Parse(time.RFC3339, parts[1]); err != nil {
		l.Err = errors.New("lease firm-from is not an RFC 3339 time")
		return l, true
	}
	if len(parts) == 3 {
		l.Who = parts[2]
	}
	return l, true
}

// FormatLease is the tag value of a lease; the inverse of [ParseLease]. Times are kept to the second, the
// end rounded down and firm-from rounded up: both err on the side of claiming less.
func FormatLease(end, firmFrom time.Time, who string) string {
	if trunc := firmFrom.Truncate(time.Second); !trunc.Equal(firmFrom) {
		firmFrom = trunc.Add(time.Second)
	}
	return fmt.Sprintf("%s %s %s", end.UTC().Truncate(time.Second).Format(time.RFC3339), firmFrom.UTC().Format(time.RFC3339), clean(who, 120))
}

// Live reports whether the lease still protects its rule at the AWS time now. What cannot be read, or ends
// further ahead than any lease of ours may, counts as live: when in doubt nothing is removed.
func (l Lease) Live(now time.Time) bool { return l.Err != nil || l.End.After(now) }

// Strange says why a lease cannot be believed, or "".
func (l Lease) Strange(now time.Time) string {
	switch {
	case l.Err != nil:
		return l.Err.Error()
	case l.End.After(now.Add(MaxLease + D)):
		return "lease ends more than 7 days ahead"
	}
	return ""
}

// Leases returns all leases on the rule, sorted by key.
func (r Rule) Leases() []Lease {
	var ls []Lease
	for k, v := range r.Tags {
		if l, ok := ParseLease(k, v); ok {
			ls = append(ls, l)
		}
	}
	slices.SortFunc(ls, func(a, b Lease) int { return strings.Compare(a.Key, b.Key) })
	return ls
}

// lease returns the holder's lease on the rule.
func (r Rule) lease(h Holder) (Lease, bool) {
	v, ok := r.Tags[h.Key()]
	if !ok {
		return Lease{}, false
	}
	return ParseLease(h.Key(), v)
}

// clean keeps only what EC2 allows in a rule's description and in tag values that other AWS services read
// too (AWS, IpRange: "a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*", of which we use fewer), and cuts it.
func clean(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == limit {
			break
		}
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-:/@+=", r):
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

// Describe is the description of a rule that is written at now: for humans only, nothing reads it back.
func Describe(who string, now time.Time) string {
	return "emr-accessd " + clean(who, 120) + " " + now.UTC().Format("2006-01-02T15:04Z")
}
