package main

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"

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
