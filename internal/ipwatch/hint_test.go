package ipwatch_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var _ ipwatch.EventSource = ipwatch.Timer{}

func TestTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hints, err := ipwatch.Timer{Interval: 30 * time.Second, Jitter: ipwatch.DefaultJitter}.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		last, shortest, longest := time.Now(), time.Hour, time.Duration(0)
		for range 500 {
			h := <-hints
			if h.Kind != ipwatch.HintTimer || h.Reason == "" || !h.At.Equal(time.Now()) {
				t.Fatalf("hint %+v at %v", h, time.Now())
			}
			wait := time.Since(last)
			last, shortest, longest = time.Now(), min(shortest, wait), max(longest, wait)
		}
		if shortest < 27*time.Second || longest > 33*time.Second {
			t.Errorf("waits from %s to %s, want 27s to 33s", shortest, longest)
		}
		// 500 even draws that all stay in the middle half have a chance of 2^-500.
		if shortest > 28500*time.Millisecond || longest < 31500*time.Millisecond {
			t.Errorf("waits from %s to %s: the jitter does not spread", shortest, longest)
		}
		cancel()
		if _, open := <-hints; open {
			t.Error("the channel is still open after the end")
		}
	})
}

// TestTimerDrops: nobody reads for an hour; then there is one hint, not a hundred.
func TestTimerDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hints, err := ipwatch.Timer{Interval: 30 * time.Second}.Events(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		time.Sleep(time.Hour + time.Second)
		if h := <-hints; h.At.Sub(begin) != 30*time.Second {
			t.Errorf("the first hint is from %s", h.At.Sub(begin))
		}
		if h := <-hints; h.At.Sub(begin) != time.Hour+30*time.Second {
			t.Errorf("the second hint is from %s", h.At.Sub(begin))
		}
	})
}

func TestTimerRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []ipwatch.Timer{
		{}, {Interval: -time.Second}, {Interval: time.Second, Jitter: 1}, {Interval: time.Second, Jitter: -0.1}, {Interval: time.Second, Jitter: math.NaN()},
	} {
		if _, err := bad.Events(t.Context()); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}
