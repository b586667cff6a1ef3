package keeper_test

import (
	"context"
	"testing"
	"time"
)

// The loop itself tells that it is alive: when it has begun, while it waits, and not while it hangs.
func TestPulse(t *testing.T) {
	inLab(t, func(l *lab) {
		var pulses []time.Duration
		begin := time.Now()
		l.Pulse = func() { pulses = append(pulses, time.Since(begin)) } // on the loop's own goroutine
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
		if n := len(pulses); n < 10 || pulses[0] != 0 {
			t.Errorf("pulses at %v", pulses)
		}
		for i := 1; i < len(pulses); i++ {
			if gap := pulses[i] - pulses[i-1]; gap > l.PulseEvery {
				t.Errorf("%v without a pulse before %v", gap, pulses[i])
			}
		}
		d.sleep(20 * time.Minute) // the drift check hangs
		n := len(pulses)
		if n > 21 {
			t.Errorf("a loop that hangs tells that it is alive: %v", pulses)
		}
		d.sleep(20 * time.Minute)
		if len(pulses) != n {
			t.Errorf("a loop that hangs tells that it is alive: %v", pulses[n:])
		}
		close(hang)
		d.sleep(5 * time.Minute)
		if len(pulses) < n+5 {
			t.Errorf("a loop that goes on does not tell: %v", pulses[n:])
		}
		d.stop()
	})
}
