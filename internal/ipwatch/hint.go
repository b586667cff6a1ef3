package ipwatch

import (
	"context"
	"time"
)

// HintKind says what made somebody look again.
type HintKind string

// The kinds of hints.
const (
	HintTimer    HintKind = "timer"    // time has passed
	HintLink     HintKind = "link"     // an interface came, went or changed
	HintAddress  HintKind = "address"  // an interface's address changed
	HintRoute    HintKind = "route"    // a route changed
	HintWake     HintKind = "wake"     // the computer slept, or its clock was set
	HintOutside  HintKind = "outside"  // an unauthenticated probe saw another public address
	HintOverflow HintKind = "overflow" // events were lost, so anything may have changed
	HintAsked    HintKind = "asked"    // a person or another part of the program asks
	HintStatus   HintKind = "status"   // nothing to look at: how changes are noticed has changed
)

// Hint says that the address may have changed. It is no evidence: it only makes somebody look.
type Hint struct {
	Kind   HintKind
	Reason string // for people, safe to print
	At     time.Time
	// Lost: something went away (a link, an address, a default route). What came in its place may look the same on
	// this computer and be another network: two routers often give out the same private address.
	Lost bool
}

// EventSource gives hints. The channel is buffered and hints are dropped while it is full: each of them says the
// same, "look again". It is closed when ctx ends, or earlier when the source cannot go on; an error from Events
// means that the source does not work on this system.
type EventSource interface {
	Events(ctx context.Context) (<-chan Hint, error)
}

// DefaultJitter spreads timers by ten percent either way, so that many laptops do not ask at the same moment.
const DefaultJitter = 0.1
