package keeper

import (
	"context"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// inbox takes hints also while a round is under way: one that comes in the middle of a look at the address ends
// that look, because it is about a network that is gone, and may hang for seconds.
type inbox struct {
	arrived chan struct{} // room for one: there is a hint
	news    chan struct{} // room for one: an event has come, for the look that is under way

	mu    sync.Mutex
	hints []ipwatch.Hint
	ended bool // no more will come
}

func newInbox(ctx context.Context, hints <-chan ipwatch.Hint) *inbox {
	in := &inbox{arrived: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	if hints == nil {
		in.ended = true
		return in
	}
	go in.fill(ctx, hints)
	return in
}

func (in *inbox) fill(ctx context.Context, hints <-chan ipwatch.Hint) {
	for {
		select {
		case <-ctx.Done():
			return
		case h, ok := <-hints:
			in.mu.Lock()
			in.ended = !ok
			if ok {
				in.hints = append(in.hints, h)
			}
			in.mu.Unlock()
			if ok && h.Kind != ipwatch.HintTimer && h.Kind != ipwatch.HintStatus {
				signal(in.news)
			}
			signal(in.arrived)
			if !ok {
				return
			}
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take returns the hints that no look since has answered. What somebody asks for (a sign-in) is more than a look.
func (in *inbox) take(asked time.Time) (hints []ipwatch.Hint) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, h := range in.hints {
		if h.Kind == ipwatch.HintStatus || h.Kind == ipwatch.HintAsked || !h.At.Before(asked) {
			hints = append(hints, h)
		}
	}
	in.hints = nil
	return hints
}

// quiet reports whether nobody tells of changes any more.
func (in *inbox) quiet() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.ended
}
