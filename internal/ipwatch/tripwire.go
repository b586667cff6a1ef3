package ipwatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// The times of a [Tripwire]. All waits are longer or shorter by [DefaultJitter].
const (
	// DefaultInterval is the time between two looks, and so the longest that a change behind the router stays
	// unnoticed. Shorter is not worth it: a change that this computer can see comes as an event at once.
	DefaultInterval = 30 * time.Second
	// SessionInterval is the one to use while a session is open, which somebody is waiting on.
	SessionInterval = 15 * time.Second
	// SlowEvery is the longest time between two looks over HTTPS, which cost fifty times as much as STUN ones.
	SlowEvery = 5 * time.Minute
	// RareEvery is the time between two looks at a server that keeps seeing other addresses than the sources, and
	// the longest until one that does not answer is tried again.
	RareEvery = 10 * time.Minute
	// LookAfter is the time from a changed sighting to the next look: a router in the middle of dialling anew may
	// change twice, and what the sources said at the first hint may have been too early.
	LookAfter = 5 * time.Second
	// RetryAfter is the time from a failed look to the next one, with another server where there is one.
	RetryAfter = 5 * time.Second
	// LookGap is the shortest time between two looks of a family, however often somebody kicks.
	LookGap = 2 * time.Second
	// HintsPerMinute is how many hints are given in a minute at most. A change takes two, a liar on the way gets no
	// more, and of the LooksPerMinute some are left for what the system tells.
	HintsPerMinute = 4
	// Every6 is how many intervals pass between looks over IPv6 while IPv4 is looked at, too. There is seldom a NAT in
	// IPv6, so nearly all of its changes come as events; so both together stay below half a megabyte a day.
	Every6 = 4

	// pollEvery is how often the interval and the families are asked for at least, so that a shorter interval acts in time.
	// At the usual interval each look does that, and nothing wakes the computer up in between.
	pollEvery = time.Minute
	// resetEvery is the shortest time between two kicks that make the ladder begin anew: going all the way down it
	// takes less.
	resetEvery = time.Minute
)

// Tripwire notices changes behind the NAT, where nothing on this computer shows them. It is an [EventSource]: at each
// interval it asks one unauthenticated server which address it sees, STUN servers in turn; when those fail, name
// servers; when UDP is blocked, now and then an HTTPS source. A sighting that differs from the same server's last one
// is a hint, no more. It sends nothing while there is no route.
//
// It costs 108 bytes a look over IPv4 with the headers (STUN without options), 0.31 MB a day at 30 s; with IPv6 beside
// it 0.43 MB a day. HTTPS costs about 5 KB a look.
//
// Whoever is on the way can forge sightings. That never costs more than HintsPerMinute, and a server whose sightings
// keep being refuted by the sources ([Tripwire.Concluded]) is asked every RareEvery only.
//
// The fields must not be changed after Events. The methods may be called at any time, from any goroutine.
type Tripwire struct {
	// STUN are the servers that are asked in turn, of different operators. Without any, nothing unauthenticated is
	// asked at all: Slow is asked at each interval in their place.
	STUN []Prober
	// DNS are asked in turn while no STUN server answers.
	DNS []Prober
	// Slow looks at the address by one HTTPS request; nil is not at all. It must heed ctx.
	Slow func(ctx context.Context, f Family) (Sighting, error)
	// Interval is the time between two looks; nil or not positive is DefaultInterval. It may change at any time.
	Interval func() time.Duration
	// Families are those to look at now; nil is IPv4 alone. IPv6 only matters where a node has an IPv6 address.
	Families func() []Family
	// Routed tells whether there is a way out over a family; nil looks for a route to a root name server, and sends
	// nothing.
	Routed func(Family) bool
	// Log gets the sightings that changed, at debug level; nil is nowhere. It is the only place, apart from Status, where
	// their address is said: hints are shown to people, and an address that anybody may have forged looks true there.
	Log *slog.Logger

	mu      sync.Mutex
	poke    chan struct{} // nil until Events
	vigils  map[Family]*vigil
	looking []Family      // what Families said last
	every   time.Duration // what Interval said last
	given   []time.Time   // the hints of the last minute
	hints   int           // all hints
	owed    *Hint         // one that has to wait for its minute
	told    string        // the sentences of the last HintStatus
	reset   time.Time     // the last kick that made the ladders begin anew
}

// Events starts the looks, the first one at once. It fails when nobody could be asked, and when it is called twice.
func (t *Tripwire) Events(ctx context.Context) (<-chan Hint, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.poke != nil:
		return nil, errors.New("the tripwire has been started already")
	case len(t.STUN) == 0 && t.Slow == nil:
		return nil, errors.New("there is no server to ask for changes behind the router: name one in stun under [address]")
	}
	t.poke = make(chan struct{}, 1)
	hints := make(chan Hint, 16)
	go t.run(ctx, hints)
	return hints, nil
}

// Kick asks for a look now, because the network may be another one. Kicks are coalesced and wait for LookGap. When
// nobody can be asked, that itself is a hint.
func (t *Tripwire) Kick(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, reason := time.Now(), clean(cmp.Or(reason, "somebody asks"), 200)
	anew := t.reset.IsZero() || now.Sub(t.reset) >= resetEvery
	if anew {
		t.reset = now
	}
	for _, f := range t.looking {
		v := t.vigil(f)
		if anew {
			v.ladder.reset()
		}
		v.kick(reason, now)
	}
	t.wake()
}

// Concluded tells what the sources said of a family in the end: the confirmed address, or the zero Addr when they could
// not tell. Servers are scored by it.
func (t *Tripwire) Concluded(f Family, confirmed netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.vigil(f).concluded(confirmed, time.Now()) {
		t.wake()
	}
}

// wake makes the goroutine look what is due.
func (t *Tripwire) wake() {
	select {
	case t.poke <- struct{}{}:
	default: // not started, or told already
	}
}

// vigil is the watch over a family. The caller holds mu.
func (t *Tripwire) vigil(f Family) *vigil {
	v := t.vigils[f]
	if v == nil {
		if t.vigils == nil {
			t.vigils = make(map[Family]*vigil)
		}
		v = &vigil{family: f, ladder: t.newLadder(), routed: true}
		t.vigils[f] = v
	}
	return v
}
