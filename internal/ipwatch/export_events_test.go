package ipwatch

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Unexported functions and seams for the tests of events.
var (
	NetlinkHints     = netlinkHints
	RouteSocketHints = routeSocketHints
	WindowsAddrHint  = windowsAddrHint
	WindowsRouteHint = windowsRouteHint
	WindowsLinkHint  = windowsLinkHint
	WindowsPowerHint = windowsPowerHint
	WindowsAddr      = windowsAddr
	WindowsPrefix    = windowsPrefix
	Jump             = jump
	Lost             = Snapshot.lost
	InterfacesOf     = interfacesOf
	OpenNetwork      = openNetwork
	Stream           = stream
)

// Links makes a table of interfaces: each name is running, or not with a leading "-"; their indexes count from 1.
func Links(names ...string) linkTable {
	t := linkTable{}
	for n, name := range names {
		if name[0] == '-' {
			t[n+1] = link{name: name[1:]}
		} else {
			t[n+1] = link{name: name, running: true}
		}
	}
	return t
}

// Merged puts hints into a queue that nobody reads, and takes out what is left.
func Merged(hints ...Hint) []Hint {
	q := newHintQueue()
	for _, h := range hints {
		q.put(h)
	}
	var left []Hint
	for h, ok := q.take(); ok; h, ok = q.take() {
		left = append(left, h)
	}
	return left
}

// RunListening runs what was opened until ctx ends.
func RunListening(ctx context.Context, l listening) <-chan Hint {
	return stream(ctx, func(ctx context.Context, put func(Hint)) { _ = l.listen(ctx, put) })
}

// FakeListening is a registration with a system of the test's making.
type FakeListening func(ctx context.Context, put func(Hint)) error

func (f FakeListening) listen(ctx context.Context, put func(Hint)) error { return f(ctx, put) }

// NewFakeSystem is a System on a fake one: a nil FakeListening is refused.
func NewFakeSystem(network, wake FakeListening, poll Poll, wall func() time.Time) *System {
	open := func(l FakeListening, what string) func() (listening, error) {
		return func() (listening, error) {
			if l == nil {
				return nil, errors.New(what + ": not\x1b[31m permitted")
			}
			return l, nil
		}
	}
	return &System{Poll: poll, network: open(network, "netlink"), wake: open(wake, "timerfd"), tick: wallTick{wall: wall}}
}

// Anchors are the addresses that stand for the internet.
func Anchors() (v4, v6 netip.Addr) { return V4.anchor(), V6.anchor() }
