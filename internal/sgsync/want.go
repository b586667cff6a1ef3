package sgsync

import (
	"net/netip"
	"time"
)

// Knowledge says what is known of one's own address in one family. Unknown is not empty: see invariant I2.
type Knowledge uint8

// The three states; the zero value is the careful one.
const (
	Unknown Knowledge = iota
	Known
	Absent
)

func (k Knowledge) String() string { return [...]string{"unknown", "known", "absent"}[k] }

// Family is the wanted state of one address family on one port.
type Family struct {
	State Knowledge
	// Self are the own addresses, each a host (or the opted-in /64). Only read while Known.
	Self []netip.Prefix
	// Held are former own addresses whose rules stay for now (the address flips); they are kept, never added.
	Held []netip.Prefix
	// Since is when the address was last confirmed (Unknown), or since when the family is gone (Absent),
	// by AWS's clock. The zero time means never, and for ever.
	Since time.Time
}

// Port is the wanted state of one port of a group.
type Port struct {
	Port    int
	V4, V6  Family
	Trusted []netip.Prefix // the user's own ranges: kept like Self, never moved
}

// Want is the wanted state of a group: what all targets that use it need, together.
type Want struct {
	Group string
	Ports []Port
	// Complete says that Ports holds everything this installation wants of the group. Without it a range
	// that nobody here asks for is left alone: another target may want it.
	Complete bool
	// ReportExpired leaves rules whose leases have ended in place (rules.expired = "report").
	ReportExpired bool
	// NoMove: IAM refused ModifySecurityGroupRules in this round; add and remove instead.
	NoMove bool
	// NoJoin holds ids of rules that could not be tagged in this round: borrowed.
	NoJoin map[string]bool
}

// Have is what a round knows of a group.
type Have struct {
	View
	// Bare tells when a managed rule was first read without any lease, by AWS's clock (the caller keeps it
	// between rounds): two reads σ apart are needed before such a rule is believed to be nobody's.
	Bare map[string]time.Time
}

// Me is the installation on whose behalf is planned.
type Me struct {
	Holder
	Who      string            // user@host, for humans
	Lease    time.Duration     // length of a lease
	Promised time.Time         // AWS's clock: a lease that ends before, and can be made to last so long, is renewed
	Tags     map[string]string // further tags for new rules, from the configuration
}

// LeaseTag returns the tag value of a lease of mine that begins at now.
func (m Me) leaseValue(now, firmFrom time.Time) string {
	return FormatLease(now.Add(m.Lease), firmFrom, m.Who)
}

func is4(p netip.Prefix) bool { return p.Addr().Is4() }

// shaped reports whether a rule has the form of every rule that this program writes: tcp, one port, a CIDR.
func (r Rule) shaped() bool {
	return r.Protocol == "tcp" && r.FromPort == r.ToPort && r.FromPort > 0 && r.CIDR.IsValid()
}

// hostSized reports whether p is one host, or an IPv6 /64 (one LAN).
func hostSized(p netip.Prefix) bool {
	return p.IsSingleIP() || (!is4(p) && p.Bits() == 64)
}

// TooWide reports whether p is wider than any range that a user may trust: /16, or /32 in IPv6.
func TooWide(p netip.Prefix) bool {
	if is4(p) {
		return p.Bits() < 16
	}
	return p.Bits() < 32
}

// Managed reports whether this program may write to a rule: it has the form of ours, the owner tag, and is
// no wider than what we write. A wider rule with our tags was tagged by somebody else; it is his.
func (r Rule) Managed() bool {
	return r.shaped() && r.Tags[OwnerTag] != "" && !TooWide(r.CIDR)
}

// Public reports whether the rule lets the world in to the port: a source wider than /8 (IPv6 /16) that is not private
// altogether, as fd00::/8 is.
func (r Rule) Public(port int) bool {
	if !r.CIDR.IsValid() || !r.reaches(port) || private(r.CIDR) {
		return false
	}
	if is4(r.CIDR) {
		return r.CIDR.Bits() < 8
	}
	return r.CIDR.Bits() < 16
}

// reaches reports whether the rule admits tcp to the port, from whatever source.
func (r Rule) reaches(port int) bool {
	switch r.Protocol {
	case "-1", "": // an answer without a protocol is none that EC2 gives: not to be taken for closed
		return true
	case "tcp", "6":
		return r.FromPort <= port && (port <= r.ToPort || r.ToPort < 0)
	}
	return false
}

// Shift returns the want with its times moved by the difference between two clocks.
func (w Want) Shift(by time.Duration) Want {
	move := func(f Family) Family {
		if !f.Since.IsZero() {
			f.Since = f.Since.Add(by)
		}
		return f
	}
	ports := make([]Port, len(w.Ports))
	for i, p := range w.Ports {
		p.V4, p.V6 = move(p.V4), move(p.V6)
		ports[i] = p
	}
	w.Ports = ports
	return w
}
