package keeper_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// The loop itself tells that it is alive: when it has begun, while it waits, and not while it hangs.
func TestPulse(t *testing.T) {
	inLab(t, func(l *lab) {
		var mu sync.Mutex
		var told []time.Duration
		begin := time.Now()
		l.Pulse = func() {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, time.Since(begin))
		}
		seen := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(told)
		}
		l.PulseEvery = time.Minute
		hang := make(chan struct{})
		l.world.failWith(func(context.Context, string) error {
			if time.Since(begin) > 10*time.Minute { // in the first drift check
				<-hang
			}
			return nil
		})
		d := l.run()
		d.sleep(10 * time.Minute)
		pulses := seen()
		if n := len(pulses); n < 10 || pulses[0] != 0 {
			t.Errorf("pulses at %v", pulses)
		}
		for i := 1; i < len(pulses); i++ {
			if gap := pulses[i] - pulses[i-1]; gap > l.PulseEvery {
				t.Errorf("%v without a pulse before %v", gap, pulses[i])
			}
		}
		d.sleep(20 * time.Minute) // the drift check hangs
		pulses = seen()
		n := len(pulses)
		if n > 21 {
			t.Errorf("a loop that hangs tells that it is alive: %v", pulses)
		}
		d.sleep(20 * time.Minute)
		if pulses = seen(); len(pulses) != n {
			t.Errorf("a loop that hangs tells that it is alive: %v", pulses[n:])
		}
		close(hang)
		d.sleep(5 * time.Minute)
		if pulses = seen(); len(pulses) < n+5 {
			t.Errorf("a loop that goes on does not tell: %v", pulses[n:])
		}
		d.stop()
	})
}
