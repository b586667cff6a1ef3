//go:build linux

package main

import (
	"math/rand/v2"
	"time"
)

// kind is what is made to go wrong.
type kind string

// The kinds, by what they are done to. A world has one track for each: faults of one track follow one another, those of
// different tracks overlap.
var (
	networkKinds = []kind{"another network", "another address behind the router", "offline", "same private address elsewhere",
		"packets lost", "packets late", "no name server", "captive portal"}
	sourceKinds = []kind{"echoes down", "echo lies", "echoes say garbage", "echoes say HTML", "echoes slow", "STUN down", "STUN lies", "STUN says garbage"}
	apiKinds    = []kind{"throttled", "error 500", "lost before the effect", "answer lost after the effect", "API slow", "API says HTML",
		"credentials expired", "reads stale", "AWS's clock wrong"}
	processKinds = []kind{"killed", "half a state file", "restarted", "asleep", "disk full"}
	// lastingKinds leave the process alive, so that what it leaks adds up.
	lastingKinds = []kind{"asleep", "disk full"}
)

// churn is how often a storm deals the kinds that end the process, since only some worlds have them; and those that
// change the address, since the faults of the other tracks mean most to a change.
const churn = 2

// Each longEvery-th storm takes longer times as long: pauses of the program that grow while something fails, and processes
// that sleep for long, are met in those.
const longEvery, longer = 4, 4

// fault is one of a storm.
type fault struct {
	Kind  kind
	After time.Duration // since the end of the one before on its track
	For   time.Duration
	N     uint64 // its details
}

// storm has the faults of each track, in order.
type storm [4][]fault

// tracks are the names of a storm's tracks.
var tracks = [len(storm{})]string{"network", "sources", "AWS", "process"}

// newStorm deals each kind once, in an order and with lengths that depend on nothing but the arguments.
func newStorm(seed uint64, world, number int, lasting bool) (s storm) {
	r := rand.New(rand.NewPCG(seed, uint64(world)<<32|uint64(number)))
	process, network := lastingKinds, append([]kind{}, networkKinds...)
	for range churn - 1 {
		network = append(network, networkKinds[:2]...)
	}
	if !lasting {
		process = append([]kind{}, processKinds...)
		for range churn - 1 {
			process = append(process, processKinds[:3]...)
		}
	}
	for track, deck := range [][]kind{network, sourceKinds, apiKinds, process} {
		// A fault and the pause before it take three quarters of this on average: some 26 s a track, 35 s at most.
		slot := min(35*time.Second/time.Duration(len(deck)), 8*time.Second)
		if number%longEvery == longEvery-1 {
			slot *= longer
		}
		for _, i := range r.Perm(len(deck)) {
			held := slot/4 + below(r, slot/2)
			s[track] = append(s[track], fault{deck[i], slot/8 + below(r, slot/4), held, r.Uint64()})
		}
	}
	return s
}

// below is a random duration below d.
func below(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// allKinds are the kinds of all tracks.
func allKinds() (all []kind) {
	for _, kinds := range [][]kind{networkKinds, sourceKinds, apiKinds, processKinds} {
		all = append(all, kinds...)
	}
	return all
}

// wanted is how often each kind must have been injected in a run: 100 times in half an hour, and in proportion.
func wanted(d time.Duration) int { return int(100 * d / (30 * time.Minute)) }
