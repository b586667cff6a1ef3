package ipwatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// System is the [EventSource] of the operating system: rtnetlink and a timer that clock changes cancel on Linux,
// the routing socket on macOS, the IP helper's and the power manager's callbacks on Windows. Its hints are raw: a
// link that goes and comes is some thirty of them, and a renewed lease is a hint too. Compare a [Snapshot] before
// anything costs something. What the system does not offer is replaced by looking, and [System.Notes] says so.
type System struct {
	// Poll replaces the network's events where they are refused. The zero Poll is the usual one.
	Poll Poll

	network, wake func() (listening, error)
	tick          wallTick // replaces the events of waking up

	mu    sync.Mutex
	notes map[part]string
}

// listening is a registration with the system, made by the goroutine that asks for it (on Linux a socket belongs to
// the network namespace of its maker).
type listening interface {
	// listen puts hints until ctx ends, and gives the registration back before it returns. An error says why it
	// cannot go on.
	listen(ctx context.Context, put func(Hint)) error
}

// part is one of the two subjects that a system tells about.
type part int

const (
	partNetwork part = iota
	partWake
)

// NewSystem makes the event source of this operating system. Nothing is registered before Events.
func NewSystem() *System {
	return &System{network: openNetwork, wake: openWake}
}

// Events registers with the system. The channel is closed after ctx has ended and everything is given back. It
// fails only when Poll cannot be used; a system that refuses is not an error but a note.
func (s *System) Events(ctx context.Context) (<-chan Hint, error) {
	if err := s.Poll.check(); err != nil {
		return nil, err
	}
	return stream(ctx, s.source(partNetwork, s.network), s.source(partWake, s.wake)), nil
}

// source opens one part and returns what runs it, or what runs in its place.
func (s *System) source(p part, open func() (listening, error)) func(context.Context, func(Hint)) {
	l, err := open()
	s.note(p, err)
	if err != nil {
		return s.instead(p)
	}
	return func(ctx context.Context, put func(Hint)) {
		err := l.listen(ctx, put)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it has ended")
		}
		s.note(p, err)
		run := s.instead(p)
		// Whatever happened between the last event and the first look was missed.
		put(Hint{Kind: HintOverflow, Reason: "the system's events have ended", Lost: true})
		put(Hint{Kind: HintStatus, Reason: "how changes of the network are noticed has changed"})
		run(ctx, put)
	}
}

// instead begins to look where the system does not tell.
func (s *System) instead(p part) func(context.Context, func(Hint)) {
	if p == partWake {
		return func(ctx context.Context, put func(Hint)) { _ = s.tick.listen(ctx, put) } // ends with ctx alone
	}
	return s.Poll.begin()
}

// note remembers why a part does not work; nil forgets it.
func (s *System) note(p part, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.notes, p)
		return
	}
	if s.notes == nil {
		s.notes = make(map[part]string)
	}
	why := clean(err.Error(), 120)
	if p == partWake {
		s.notes[p] = fmt.Sprintf("The system does not tell when it wakes up or its clock is set (%s): that is noticed within %s instead.", why, s.tick.every())
		return
	}
	s.notes[p] = fmt.Sprintf("The system's network events are not to be had (%s): addresses are compared every %s instead.", why, s.Poll.every())
}

// Notes returns a sentence for each thing that this system refused or does not offer, with what is done instead. It
// is empty before Events, and when all is well. It may be called at any time.
func (s *System) Notes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, p := range []part{partNetwork, partWake} {
		if n := s.notes[p]; n != "" {
			all = append(all, n)
		}
	}
	return all
}
