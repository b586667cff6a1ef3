package ipwatch

import (
	"context"
	"errors"
	"time"
)

// pollInterval is how often the addresses are compared where the system gives no events. A person who changes
// networks waits about that long before the first try anyway, and one look costs well below a millisecond.
const pollInterval = 10 * time.Second

// Poll is an [EventSource] for systems without events: it takes a [Snapshot] each interval, and a hint says what
// differs from the one before. It misses a network that is changed for another with the same addresses, and what
// goes and comes back between two looks.
type Poll struct {
	Interval time.Duration            // 0 is 10 seconds
	Take     func() (Snapshot, error) // nil is Snapshotter{}.Take
}

// Events takes the first snapshot and starts to compare. It fails when the interval is negative.
func (p Poll) Events(ctx context.Context) (<-chan Hint, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return stream(ctx, p.begin()), nil
}

func (p Poll) check() error {
	if p.Interval < 0 {
		return errors.New("the interval of a poll must be more than zero")
	}
	return nil
}

func (p Poll) every() time.Duration {
	if p.Interval == 0 {
		return pollInterval
	}
	return p.Interval
}

func (p Poll) take() (Snapshot, error) {
	if p.Take == nil {
		return Snapshotter{}.Take()
	}
	return p.Take()
}

// begin takes the snapshot that the first look is compared with.
func (p Poll) begin() func(context.Context, func(Hint)) {
	last, failed := p.take()
	return func(ctx context.Context, put func(Hint)) {
		timer := time.NewTimer(p.every())
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			now, err := p.take()
			switch {
			case err != nil && failed == nil: // once: nothing new is learned by saying it each time
				put(Hint{Kind: HintOverflow, Reason: "the addresses cannot be compared: " + clean(err.Error(), 120), Lost: true})
			case err == nil && failed != nil:
				put(Hint{Kind: HintOverflow, Reason: "the addresses can be compared again", Lost: true})
			case err == nil && !now.Equal(last):
				put(Hint{Kind: HintAddress, Reason: now.Diff(last), Lost: now.lost(last)})
			}
			last, failed = now, err // after a failure nothing is compared
			timer.Reset(p.every())
		}
	}
}
