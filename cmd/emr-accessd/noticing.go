package main

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// noticing is what notices that the own address may have changed: the system's events, and the watch behind the
// NAT.
type noticing struct {
	*ipwatch.Watcher
	system   *ipwatch.System
	tripwire *ipwatch.Tripwire // nil where no public address is looked for
}

// notice puts it together. reach tells which nodes matter and which families; interval how often it is looked
// behind the NAT now.
func (a *app) notice(det *ipwatch.Detector, nodes func() []netip.Addr, families func() []ipwatch.Family, interval func() time.Duration) *noticing {
	snapshots := ipwatch.Snapshotter{Targets: nodes}
	n := &noticing{system: ipwatch.NewSystem()}
	n.system.Poll.Take = snapshots.Take
	n.Watcher = &ipwatch.Watcher{System: n.system, Compare: snapshots.Comparing(), Routed: snapshots.Routed}
	if demoBind() != nil {
		n.System = merged{n.system, demoMoves{}}
	}
	automatic := func() (fs []ipwatch.Family) {
		for _, f := range families() {
			if det.Setting(f).Mode == ipwatch.ModeAuto {
				fs = append(fs, f)
			}
		}
		return fs
	}
	if det.Setting(ipwatch.V4).Mode != ipwatch.ModeAuto && det.Setting(ipwatch.V6).Mode != ipwatch.ModeAuto {
		return n // what is fixed or local does not change behind the NAT
	}
	n.tripwire = &ipwatch.Tripwire{Slow: det.Glance, Interval: interval, Families: automatic, Routed: det.Routed, Log: a.logger()}
	wire := ipwatch.Wire{Bind: det.Bind}
	for _, s := range a.cfg.Address.STUN {
		n.tripwire.STUN = append(n.tripwire.STUN, &ipwatch.STUN{Server: s, Wire: wire})
	}
	if len(n.tripwire.STUN) > 0 {
		for _, d := range ipwatch.DefaultWhoami() {
			d.Wire = wire
			n.tripwire.DNS = append(n.tripwire.DNS, d)
		}
	}
	n.Behind = n.tripwire
	return n
}

// Notes says in sentences how changes are noticed, for people.
func (n *noticing) Notes() []string {
	notes := n.system.Notes()
	if n.tripwire != nil {
		notes = append(notes, n.tripwire.Sentences()...)
	}
	return notes
}

// looked passes on what a look at the address has confirmed: the servers behind the NAT are judged by it.
func (n *noticing) looked(v ipwatch.Verdict) {
	if n.tripwire != nil {
		n.tripwire.Concluded(v.Family, v.Addr)
	}
}

// lookAll asks each server outside once, over the families that are looked at.
func (n *noticing) lookAll(ctx context.Context) []ipSighting {
	all := []ipSighting{}
	if n.tripwire == nil {
		return all
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, f := range n.tripwire.Families() {
		if !n.tripwire.Routed(f) {
			continue
		}
		for _, p := range slices.Concat(n.tripwire.STUN, n.tripwire.DNS) {
			wg.Go(func() {
				begin := time.Now()
				s, err := p.Probe(ctx, f)
				o := ipSighting{By: s.By, Family: f.String(), TookMS: millis(time.Since(begin))}
				if err != nil {
					text := err.Error()
					o.By, o.Error = serverOf(p), &text
				} else {
					o.Address = s.Addr.String()
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, o)
			})
		}
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b ipSighting) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(b.By, a.By)) // STUN before DNS
	})
	return all
}

// serverOf names who was asked, in the form of a sighting's By.
func serverOf(p ipwatch.Prober) string {
	switch p := p.(type) {
	case *ipwatch.STUN:
		return "stun " + p.Server
	case *ipwatch.DNSWhoami:
		return "dns " + p.Server
	}
	return ""
}

// probeSystem registers with the system for a moment, and tells what it refuses.
func (n *noticing) probeSystem(ctx context.Context) []string {
	ctx, cancel := context.WithCancel(ctx)
	hints, err := n.system.Events(ctx)
	notes := append([]string{}, n.system.Notes()...)
	cancel()
	if err != nil {
		return append(notes, err.Error())
	}
	for range hints { // until it is closed
	}
	return notes
}

// merged gives the hints of two sources.
type merged [2]ipwatch.EventSource

// Events starts both. The channel is closed when both have ended.
func (m merged) Events(ctx context.Context) (<-chan ipwatch.Hint, error) {
	out := make(chan ipwatch.Hint, 64)
	var wg sync.WaitGroup
	for _, s := range m {
		hints, err := s.Events(ctx)
		if err != nil {
			return nil, err
		}
		wg.Go(func() {
			for h := range hints {
				select {
				case out <- h:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	go func() {
		wg.Wait()
		close(out)
	}()
	return out, nil
}
