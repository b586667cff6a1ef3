package sgsync

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Do names a change. The words are those of the --json output.
type Do string

// What a plan can do with a rule.
const (
	Keep   Do = "keep"   // my lease stands: nothing is written
	Borrow Do = "borrow" // the rule stands but cannot be leased: nothing is written
	Renew  Do = "renew"  // the lease gets a later end
	Join   Do = "join"   // a lease of mine on a rule that is there already
	Move   Do = "move"   // my rule gets another address, in place
	Add    Do = "add"    // a new rule
	Leave  Do = "leave"  // my lease goes, the rule stays for others
	Remove Do = "remove" // the rule goes
	Purge  Do = "purge"  // an ended lease of somebody else goes
)

// Role says whose address a prefix is.
type Role string

// The roles of a wanted prefix.
const (
	Self    Role = "self"
	Held    Role = "held"
	Trusted Role = "trusted"
	Other   Role = "other" // somebody else's rule: only ever removed or purged
)

// Change is one step of a plan.
type Change struct {
	Do          Do
	Rule        string // sgr-…; "" for add until it is done
	Port        int
	CIDR        netip.Prefix // after the change
	From        netip.Prefix // move: the address before
	Role        Role
	Firm        bool      // after the change, my lease here is firm
	FirmFrom    time.Time // when it becomes firm, if it is not
	Key, Value  string    // the tag of renew, join, leave and purge; the key of my lease on what is moved or removed
	Description string    // of add and move
	Tags        map[string]string
	Why         string // a phrase for humans
	first       bool   // a purge that makes room for a join
}

// Write reports whether the change calls EC2.
func (c Change) Write() bool { return c.Do != Keep && c.Do != Borrow }

// opens reports whether the change authorizes or secures an address.
func (c Change) opens() bool {
	return c.Do == Join || c.Do == Add || c.Do == Move || c.Do == Renew
}

func (c Change) phase() int {
	switch {
	case !c.Write():
		return 0
	case c.Do == Purge && c.first:
		return 1
	case c.opens():
		return 2
	case c.Do == Leave || c.Do == Remove:
		return 3
	}
	return 4
}

// Changes is a plan for one group, in the order in which it must be applied.
type Changes struct {
	Group    string
	List     []Change
	Public   []string  // ids of rules that let the world in
	Bare     []string  // ids of managed rules without any lease: remember when they were first seen
	Expired  []string  // ids that would be removed, were expired = "remove"
	Warnings []string  // what an administrator should look at
	Unshown  time.Time // AWS's clock: a rule that nothing wants is kept until then, when all its leases show; zero = none is
	Next     time.Time // AWS's clock: look again then (a lease becomes firm, a bare or borrowed rule is due); zero = nothing special
}

// Writes returns the changes that call EC2.
func (c Changes) Writes() []Change {
	return slices.DeleteFunc(slices.Clone(c.List), func(c Change) bool { return !c.Write() })
}

// Pending reports whether a lease of mine is not firm yet.
func (c Changes) Pending() bool {
	return slices.ContainsFunc(c.List, func(c Change) bool { return c.Do != Borrow && !c.Firm && c.phase() <= 2 && c.Do != Purge })
}

func (c *Changes) lookAt(t time.Time) {
	if c.Next.IsZero() || t.Before(c.Next) {
		c.Next = t
	}
}

func (c *Changes) sort() {
	slices.SortFunc(c.List, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.phase(), b.phase()), cmp.Compare(a.Port, b.Port), comparePrefix(a.CIDR, b.CIDR),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Do, b.Do), cmp.Compare(a.Key, b.Key))
	})
	slices.Sort(c.Public)
	c.Public = slices.Compact(c.Public)
	slices.Sort(c.Bare)
	slices.Sort(c.Expired)
	slices.Sort(c.Warnings)
	c.Warnings = slices.Compact(c.Warnings)
}

// comparePrefix orders IPv4 before IPv6, then by address and length.
func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
