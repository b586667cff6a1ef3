//go:build linux

package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// result is what a run has found.
type result struct {
	Date      string       `json:"date"`
	Seed      uint64       `json:"seed"`
	Worlds    int          `json:"worlds"`
	Race      bool         `json:"race_detector"`
	CPUs      int          `json:"cpus"`
	Seconds   float64      `json:"seconds"`
	Storms    int          `json:"storms"`
	Changes   map[kind]int `json:"changes"`  // of the address
	Injected  map[kind]int `json:"injected"` // by kind
	Requests  map[kind]int `json:"requests"` // that a kind has met, where it is done to AWS or a source
	Writes    int          `json:"writes_with_an_address"`
	Wrong     int          `json:"wrong_addresses"`
	Foreign   int          `json:"foreign_rules_touched"`
	Alarms    int          `json:"panics_and_races"`
	Leftover  int          `json:"rules_left_over"`
	Reached   int          `json:"reached_after_a_storm"`
	Uncovered float64      `json:"longest_uncovered_seconds"`
	Because   []string     `json:"longest_uncovered_after"`
	Settled   quantiles    `json:"settled_after_a_storm_seconds"`
	Leaks     []leak       `json:"leaks"`
	Broken    []string     `json:"broken"`

	settled []time.Duration
	longest time.Duration
}

// quantiles are of the times from the end of a storm to the right rules.
type quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

func newResult(o options) *result {
	return &result{Date: time.Now().UTC().Format(time.RFC3339), Seed: o.seed, Worlds: o.worlds, Race: o.race, CPUs: runtime.NumCPU(),
		Changes: map[kind]int{}, Injected: map[kind]int{}, Requests: map[kind]int{}, Leaks: []leak{}, Broken: []string{}}
}

// add adds what was counted in a world.
func (r *result) add(l *laptop, storms int, k leak) {
	r.Broken = append(r.Broken, l.broken()...)
	r.Storms += storms
	l.notes.mu.Lock()
	defer l.notes.mu.Unlock()
	for _, sum := range []struct{ to, from map[kind]int }{{r.Changes, l.changes}, {r.Injected, l.injected}, {r.Requests, l.requests}} {
		for kind, n := range sum.from {
			sum.to[kind] += n
		}
	}
	r.Writes += l.writes
	r.Wrong += len(l.wrongs)
	r.Foreign += l.foreign
	r.Alarms += l.alarms
	r.Leftover += l.left
	r.Reached += l.reached
	r.settled = append(r.settled, l.settled...)
	if l.open.Lasted > r.longest {
		r.longest, r.Because = l.open.Lasted, l.open.After
	}
	if l.lasting {
		r.Leaks = append(r.Leaks, k)
		r.Broken = append(r.Broken, k.broken(l.name)...)
	}
}

// done fills in the rest. Each kind must have been injected so often.
func (r *result) done(want int) *result {
	for _, k := range allKinds() {
		if r.Injected[k] < want {
			r.Broken = append(r.Broken, fmt.Sprintf("%q was injected %d times, want %d: the run says too little", k, r.Injected[k], want))
		}
	}
	slices.Sort(r.settled)
	if n := len(r.settled); n > 0 {
		r.Settled = quantiles{r.settled[n/2].Seconds(), r.settled[n*95/100].Seconds(), r.settled[n-1].Seconds()}
	}
	r.Uncovered = r.longest.Seconds()
	if r.longest > settleLimit {
		r.Broken = append(r.Broken, fmt.Sprintf("no rule for %v while all worked: %v", r.longest, r.Because))
	}
	return r
}

func (r *result) table(w io.Writer) {
	changes := 0
	for _, n := range r.Changes {
		changes += n
	}
	fmt.Fprintf(w, "%.0f s in %d worlds on %d processors, seed %d: %d storms, %d changes of address.\n\n", r.Seconds, r.Worlds, r.CPUs, r.Seed, r.Storms, changes)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "fault\tinjected\trequests that met it")
	for _, k := range allKinds() {
		met := ""
		if slices.Contains(apiKinds, k) || slices.Contains(sourceKinds, k) && k != "STUN says garbage" {
			met = fmt.Sprint(r.Requests[k])
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\n", k, r.Injected[k], met)
	}
	fmt.Fprintf(tw, "\nwrong addresses asked for\t%d of %d\n", r.Wrong, r.Writes)
	fmt.Fprintf(tw, "worlds with foreign rules touched\t%d\n", r.Foreign)
	fmt.Fprintf(tw, "panics and data races\t%d\n", r.Alarms)
	fmt.Fprintf(tw, "rules left over after revoke\t%d\n", r.Leftover)
	fmt.Fprintf(tw, "rules right after a storm\tp50 %.1f s, p95 %.1f s, max %.1f s\n", r.Settled.P50, r.Settled.P95, r.Settled.Max)
	fmt.Fprintf(tw, "cluster reached after a storm\t%d of %d\n", r.Reached, len(r.settled))
	fmt.Fprintf(tw, "longest without a rule while all worked\t%.1f s (at most %.0f)\n", r.Uncovered, settleLimit.Seconds())
	_ = tw.Flush()
	for _, event := range r.Because {
		fmt.Fprintf(w, "    before: %s\n", event)
	}
	for _, k := range r.Leaks {
		fmt.Fprintf(w, "a daemon that lived through it: descriptors %d, then %d; threads %d, then %d; resident %d KB, then %d; goroutines %d, a fresh one %d\n",
			k.First.Files, k.Last.Files, k.First.Threads, k.Last.Threads, k.First.KB, k.Last.KB, k.Goroutines, k.FreshGoroutines)
	}
	for _, b := range r.Broken {
		fmt.Fprintf(w, "\nBROKEN: %s\n", b)
	}
	if len(r.Broken) == 0 {
		fmt.Fprintln(w, "\nNo promise was broken.")
	}
}
