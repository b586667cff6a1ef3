package ipwatch

import (
	"context"
	"errors"
	"math/rand/v2"
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

// Timer is the plainest [EventSource]: a hint each interval. It notices nothing by itself, and an interval is the
// longest that a change stays unnoticed.
type Timer struct {
	Interval time.Duration
	Jitter   float64 // part of the interval by which each wait is longer or shorter at random, 0 to below 1
}

// Events starts the timer. It fails when the interval is not positive or the jitter out of its range.
func (t Timer) Events(ctx context.Context) (<-chan Hint, error) {
	if t.Interval <= 0 {
		return nil, errors.New("the interval of a timer must be more than zero")
	}
	if !(t.Jitter >= 0 && t.Jitter < 1) {
		return nil, errors.New("the jitter of a timer must be at least 0 and below 1")
	}
	hints := make(chan Hint, 1)
	go t.run(ctx, hints)
	return hints, nil
}

func (t Timer) run(ctx context.Context, hints chan<- Hint) {
	defer close(hints)
	timer := time.NewTimer(t.wait())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-timer.C:
			select {
			case hints <- Hint{Kind: HintTimer, Reason: "it is time for the regular check", At: now}:
			default:
			}
			timer.Reset(t.wait())
		}
	}
}

// wait is the interval with its jitter.
func (t Timer) wait() time.Duration {
	spread := 2*rand.Float64() - 1
	return max(time.Duration(float64(t.Interval)*(1+t.Jitter*spread)), 1)
}
