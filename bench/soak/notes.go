//go:build linux

package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// notes are what is counted in a world.
type notes struct {
	mu       sync.Mutex
	injected map[kind]int
	requests map[kind]int // that reached AWS or a source while a kind was done to it
	changes  map[kind]int // of the address
	writes   int          // that ask for an address
	wrongs   []string
	faults   []string // what must not be
	recent   []string
	open     uncovered // the longest
	settled  []time.Duration
	reached  int
	foreign  int // worlds in which a rule of others was changed
	alarms   int // panics and data races
	left     int // rules after revoke
}

// uncovered is a time in which the network and AWS worked and no rule admitted the laptop.
type uncovered struct {
	Lasted time.Duration
	After  []string // what had happened
}

func newNotes() *notes {
	return &notes{injected: map[kind]int{}, requests: map[kind]int{}, changes: map[kind]int{}}
}

func (n *notes) count(k kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.injected[k]++
}

func (n *notes) met(k kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests[k]++
}

// change counts a change of the address.
func (n *notes) change(k kind) {
	n.mu.Lock()
	n.changes[k]++
	n.mu.Unlock()
	n.note("%s", k)
}

func (n *notes) wrote() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes++
}

// wrong notes a call for an address that the laptop did not have.
func (n *notes) wrong(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wrongs = append(n.wrongs, what)
}

// fault notes what must not be.
func (n *notes) fault(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = append(n.faults, what)
}

// memory is how many events explain a time without a rule.
const memory = 8

// note notes an event, with its time of day.
func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recent = append(n.recent, time.Now().Format("15:04:05.0 ")+fmt.Sprintf(format, args...))
	if len(n.recent) > memory {
		n.recent = slices.Delete(n.recent, 0, 1)
	}
}

// closed notes that no rule admitted the laptop for so long.
func (n *notes) closed(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d > n.open.Lasted {
		n.open = uncovered{d, slices.Clone(n.recent)}
	}
}

// took notes how long the rules took to be right after a storm.
func (n *notes) took(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settled = append(n.settled, d)
}

// reach counts a connection to the cluster.
func (n *notes) reach() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reached++
}

// touched notes that a rule of others is not as it was.
func (n *notes) touched(world string) {
	n.mu.Lock()
	n.foreign++
	n.mu.Unlock()
	n.fault(world + ": a rule of others was changed")
}

// alarm notes a panic or a data race.
func (n *notes) alarm(what string) {
	n.mu.Lock()
	n.alarms++
	n.mu.Unlock()
	n.fault(what)
}

// leftover notes rules that were not given back.
func (n *notes) leftover(cidrs []string) {
	n.mu.Lock()
	n.left += len(cidrs)
	n.mu.Unlock()
	n.fault(fmt.Sprintf("left over after revoke: %v", cidrs))
}

// broken is what went wrong, one sentence each.
func (n *notes) broken() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all = slices.Clone(n.faults)
	for _, w := range n.wrongs {
		all = append(all, "an address that the laptop did not have: "+w)
	}
	return all
}
