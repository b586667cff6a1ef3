package keeper_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
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

// A command that holds the lock of a round for long, stopped in its terminal perhaps, is no reason to end the daemon: it
// tells that it has begun, and that it is alive, while it waits.
func TestPulseWhileACommandHoldsTheLock(t *testing.T) {
	inLab(t, func(l *lab) {
		var told []time.Duration // of the loop alone, until it has ended
		begin := time.Now()
		l.Pulse = func() { told = append(told, time.Since(begin)) }
		l.PulseEvery = time.Minute
		l.Noticing = func() []string { return []string{"so"} }
		lock := func() (unlock func()) {
			unlock, err := l.Store.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return unlock
		}
		unlock := lock()
		d := l.run()
		d.sleep(5 * time.Minute) // before the first round
		unlock()
		d.sleep(time.Minute)
		if len(d.rounds()) == 0 {
			t.Error("no round once the lock was free")
		}
		unlock = lock()
		d.hint(ipwatch.HintStatus)
		d.hint(ipwatch.HintLink)
		d.sleep(10 * time.Minute) // before a check, and a round that is due
		unlock()
		d.sleep(time.Minute)
		d.stop()
		if len(told) == 0 || told[0] != 0 {
			t.Errorf("pulses at %v", told)
		}
		for i := 1; i < len(told); i++ {
			if gap := told[i] - told[i-1]; gap > 2*l.PulseEvery { // the watchdog allows three
				t.Errorf("%v without a pulse before %v", gap, told[i])
			}
		}
	})
}
