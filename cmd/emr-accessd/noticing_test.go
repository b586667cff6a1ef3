package main

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// prober tells over which families it was asked.
type prober struct {
	mu    sync.Mutex
	asked map[ipwatch.Family]int
}

func (p *prober) Probe(_ context.Context, f ipwatch.Family) (ipwatch.Sighting, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[f]++
	return ipwatch.Sighting{Addr: netip.MustParseAddr("192.0.2.1"), By: "test"}, nil
}

// `ip` asks nobody outside over a family that the configuration turns off or fixes.
func TestLookAllFamilies(t *testing.T) {
	a := &app{streams: streams{Err: io.Discard}}
	det, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.DefaultPolicy(), Settings: map[ipwatch.Family]ipwatch.Setting{ipwatch.V6: {Mode: ipwatch.ModeOff}}})
	if err != nil {
		t.Fatal(err)
	}
	n := a.notice(det, nil, func() []ipwatch.Family { return []ipwatch.Family{ipwatch.V4, ipwatch.V6} }, nil)
	p := &prober{asked: map[ipwatch.Family]int{}}
	n.tripwire.STUN, n.tripwire.DNS = []ipwatch.Prober{p}, nil
	n.tripwire.Routed = func(ipwatch.Family) bool { return true }
	if all := n.lookAll(t.Context()); len(all) != 1 || p.asked[ipwatch.V4] != 1 || p.asked[ipwatch.V6] != 0 {
		t.Errorf("asked %v, told %+v", p.asked, all)
	}
}

// `ip --watch` ends at Ctrl-C also when the hints have ended before that is seen, as they do at the same moment.
func TestWatchIPEnds(t *testing.T) {
	a := &app{streams: streams{Err: io.Discard}}
	det, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.DefaultPolicy(), Settings: map[ipwatch.Family]ipwatch.Setting{
		ipwatch.V4: {Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr("198.51.100.7")}, ipwatch.V6: {Mode: ipwatch.ModeOff}}})
	if err != nil {
		t.Fatal(err)
	}
	families := []ipwatch.Family{ipwatch.V4}
	w := &ipWatching{app: a, det: det, families: families, history: map[ipwatch.Family][]ipwatch.Verdict{}, events: make(chan ipEvent, 64)}
	w.notice = a.notice(det, nil, func() []ipwatch.Family { return families }, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hints := make(chan ipwatch.Hint)
		close(hints)
		done := make(chan error, 1)
		go func() { done <- w.look(ctx, hints) }()
		synctest.Wait() // both the verdict and the end of the hints are seen
		cancel()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("it waits for hints that have ended")
		}
	})
}
