package ipwatch

import (
	"context"
	"net/netip"
	"time"
)

// Sighting is what an unauthenticated server says that it saw this computer come from. It is a trigger and no
// evidence: whoever is on the way can forge it, and it can only make somebody look.
type Sighting struct {
	Addr netip.Addr // of the asked family; never the zero Addr
	By   string     // who said it, such as "stun stun.example.org:3478"; sightings of one By are compared with each other
	Took time.Duration
}

// Prober looks by unauthenticated means. Each look uses a new local port: a reused flow stays on the NAT's old
// mapping and misses a changed address.
type Prober interface {
	Probe(ctx context.Context, f Family) (Sighting, error)
}
