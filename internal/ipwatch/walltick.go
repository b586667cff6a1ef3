package ipwatch

import (
	"context"
	"time"
)

// wallTickInterval is how often the clock on the wall is compared where the system does not tell that it woke up.
// Whoever opens a laptop waits that long for the network to come back, and four wake-ups a minute cost little.
const wallTickInterval = 15 * time.Second

// wallTick notices sleep and clock changes by itself: between two ticks the wall clock goes on by more than the
// interval when the computer slept. The monotonic clock would not do: on Windows it runs on during sleep, and on
// macOS and Linux it stops, and so do timers. The zero value is the usual one.
type wallTick struct {
	interval time.Duration    // 0 is wallTickInterval
	wall     func() time.Time // nil is time.Now
}

func (w wallTick) every() time.Duration {
	if w.interval == 0 {
		return wallTickInterval
	}
	return w.interval
}

func (w wallTick) now() time.Time {
	if w.wall != nil {
		return w.wall()
	}
	return time.Now()
}

func (w wallTick) listen(ctx context.Context, put func(Hint)) error {
	// A timer set anew each time and no ticker: a ticker makes up for a late tick with an early one.
	timer := time.NewTimer(w.every())
	defer timer.Stop()
	for last := w.now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		now := w.now()
		if reason := jump(last, now, w.every()); reason != "" {
			put(Hint{Kind: HintWake, Reason: reason, Lost: true})
		}
		last = now
		timer.Reset(w.every())
	}
}

// jump says what a tick that should come after an interval tells about the wall clock, or "". A busy computer may
// be late by half an interval; if it is later, one look too many is no harm.
func jump(last, now time.Time, interval time.Duration) string {
	switch d := now.Round(0).Sub(last.Round(0)); { // Round(0) drops the monotonic reading
	case d > interval+interval/2:
		return "the computer slept, or its clock was set forward"
	case d < interval/2:
		return "the computer's clock was set back"
	}
	return ""
}
