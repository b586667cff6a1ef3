package ipwatch

import (
	"net/netip"
	"time"
)

// State is the outcome of a look at one family's address.
type State string

// The states. Only Confirmed may change a rule; of the others only Absent ever lets go of one (after a time
// that the caller decides), the rest mean that the address is not known.
const (
	// Confirmed: the address is known.
	Confirmed State = "confirmed"
	// Conflict: valid answers differ and no majority settles it.
	Conflict State = "conflict"
	// Unsure: too few usable answers, or an address that the configuration forbids.
	Unsure State = "unsure"
	// Captive: something else answers in place of the sources, as captive portals do.
	Captive State = "captive"
	// SplitRoute: the sources agree, but traffic to the node leaves this computer by another local address.
	SplitRoute State = "split-route"
	// Offline: no route, no names or no answers.
	Offline State = "offline"
	// Absent: this computer positively does not have the family, or it is turned off in the configuration.
	Absent State = "absent"
)

// Answer is what one question to one source gave. Addr is valid exactly when Err is nil.
type Answer struct {
	Source Source
	Addr   netip.Addr     // the address that the source saw
	Local  netip.Addr     // the local address of our socket, when a connection was made
	Remote netip.AddrPort // where the question went, when a connection was made
	Err    error          // an [*EchoError]; its text is safe to print
	Took   time.Duration
	// Issuer is who certified the server, escaped. It is only given for the well-known public echoes without a CA
	// file of their own: these have authorities of their own, so that one issuer for all of them is a sign.
	Issuer string
}

// Observation is what the sources said about one family at one time. It is made once and concluded for each
// target.
type Observation struct {
	Family  Family
	Setting Setting  // how the configuration sets the family; only ModeAuto asks sources
	Answers []Answer // of the sources that were asked, in their configured order
	At      time.Time
	// NoRoute: the system has no route for this family to any source, so none was asked.
	NoRoute bool
	// Absent: on top of NoRoute no interface has a usable address of this family, while the other family is
	// there. It is never set for IPv4: an IPv6-only network may carry IPv4 over NAT64 (RFC 6146, RFC 6877).
	Absent bool
}

// Verdict is what an observation means for one target (or for none).
type Verdict struct {
	Family   Family
	State    State
	Addr     netip.Addr // valid exactly when State is Confirmed
	Why      string     // a sentence for the user, safe to print
	Answers  []Answer
	At       time.Time
	Warnings []string // further sentences that do not change the state
	// Remedy is the one line of configuration that settles this state, if the user finds that it is right, such as
	// ipv4 = "198.51.100.7"; "" when there is none. Why says in which table it belongs.
	Remedy string
}
