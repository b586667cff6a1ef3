package config

import (
	"net/netip"
	"slices"
	"time"
)

// Config is the whole configuration. The zero value is not usable: begin with [Default].
type Config struct {
	Targets []Target
	Address Address
	Rules   Rules
	Notify  Notify
	Path    string // the file that was read; "" when there is none
}

// Target is what the user wants to reach: one cluster, the clusters with a name or tags, or one security group.
// Either Cluster, or SecurityGroup, or Name and Tags together are set.
type Target struct {
	Cluster       string            // j-…
	Name          string            // a cluster name, or a pattern with *
	Tags          map[string]string // cluster tags that must all be there
	SecurityGroup string            // sg-…

	Profile string // AWS profile; "" is the standard chain's choice
	Region  string // "" is the standard chain's choice
	Account string // 12 digits, checked before every write; "" is unchecked

	Nodes   []string       // "primary", "core", "task"; empty with SecurityGroup
	Group   string         // [GroupManaged] or [GroupAdditional]; "" with SecurityGroup
	Port    int            // 1 to 65535
	Trusted []netip.Prefix // further ranges to keep open, canonical
	Address string         // "" is the public address, [AddressLocal] the local one
}

// The values of [Target].Group and [Target].Address.
const (
	GroupManaged    = "managed"    // EMR's managed security group
	GroupAdditional = "additional" // the cluster's additional group, which EMR never changes
	AddressLocal    = "local"      // the address that the system would send from (a private cluster over a VPN)
)

// Address says how the own address is found, and which addresses may count.
type Address struct {
	IPv4, IPv6 Mode

	Accept []netip.Prefix // treated as public although they are not
	Never  []netip.Prefix // never authorized
	Only   []netip.Prefix // when not empty: nothing else is authorized

	STUN        []string      // host:port of STUN servers; empty is off
	Interval    time.Duration // between two looks
	EgressCheck bool          // compare the local address towards the node with the one towards the echo
	Agree       int           // operators that must agree
	Require     string        // the operator that must be among them; "" for none
	Sources     []Source      // empty: the built-in ones
	IPv6Prefix  int           // 128 authorizes the address alone, 64 its whole network
}

// Source is one HTTPS echo that tells the caller's address.
type Source struct {
	URL      string // https
	Operator string // sources of one operator are one vote
	Format   string // [FormatText] or [FormatTrace]
	CAFile   string // PEM file with the only CA to trust; "" is the system's list
}

// The values of [Source].Format.
const (
	FormatText  = "text"  // the body is the address
	FormatTrace = "trace" // key=value lines with ip=, as Cloudflare's /cdn-cgi/trace answers
)

// Rules says what the program's own rules look like and how long they live.
type Rules struct {
	Lease   time.Duration     // how long a rule stands without its laptop
	Expired string            // [ExpiredRemove] or [ExpiredReport]
	Probe   bool              // TCP connect to the port after a change
	Tags    map[string]string // further tags on new rules
}

// The values of [Rules].Expired.
const (
	ExpiredRemove = "remove" // take rules away whose leases have all ended
	ExpiredReport = "report" // only name them
)

// Notify says what the daemon tells on the desktop.
type Notify struct {
	Desktop bool // what only the user can settle
	Changes bool // also that the address has changed
}

// builtInOperators run the echoes that are asked when the file names no source of its own.
func builtInOperators() []string { return []string{"aws", "cloudflare", "ipify"} }

// Operators are the parties that have a vote on the own address, each once, in the order of their first source.
func (a Address) Operators() []string {
	if len(a.Sources) == 0 {
		return builtInOperators()
	}
	var ops []string
	for _, s := range a.Sources {
		if s.Operator != "" && !slices.Contains(ops, s.Operator) {
			ops = append(ops, s.Operator)
		}
	}
	return ops
}

// Default is the configuration of somebody who has no file: no target, and every key as docs/configuration.md says.
func Default() Config {
	return Config{
		Address: Address{
			IPv4: Mode{Kind: Auto},
			IPv6: Mode{Kind: Auto},
			// Two operators, so that one outage does not blind the watch.
			STUN:        []string{"stun.cloudflare.com:3478", "stun.l.google.com:19302"},
			Interval:    30 * time.Second,
			EgressCheck: true,
			Agree:       2,
			Require:     "aws",
			IPv6Prefix:  128,
		},
		Rules:  Rules{Lease: 24 * time.Hour, Expired: ExpiredRemove, Probe: true},
		Notify: Notify{Desktop: true},
	}
}

// DefaultTarget is a target with every key at its default and nothing selected yet.
func DefaultTarget() Target {
	return Target{Nodes: []string{"primary"}, Group: GroupManaged, Port: 22}
}
