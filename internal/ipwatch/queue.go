package ipwatch

import (
	"context"
	"sync"
	"time"
)

// hintQueueLength is how many hints wait for a slow reader before they are merged: a link that goes and comes is
// some thirty messages, and `ip --watch` shows each of them.
const hintQueueLength = 64

// hintQueue takes hints from any goroutine and from the system's callbacks, and never makes them wait. When nobody
// reads, the newest hints are merged into one: that something was lost is never forgotten.
type hintQueue struct {
	ready chan struct{} // has room for one: "there is something to take"

	mu      sync.Mutex
	waiting []Hint
}

func newHintQueue() *hintQueue { return &hintQueue{ready: make(chan struct{}, 1)} }

// put adds a hint and fills in its time.
func (q *hintQueue) put(h Hint) {
	if h.At.IsZero() {
		h.At = time.Now()
	}
	q.mu.Lock()
	if n := len(q.waiting); n < hintQueueLength {
		q.waiting = append(q.waiting, h)
	} else {
		q.waiting[n-1] = mergeHints(q.waiting[n-1], h)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns the oldest hint.
func (q *hintQueue) take() (Hint, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil // gives back the memory of a burst
		return Hint{}, false
	}
	h := q.waiting[0]
	q.waiting = q.waiting[1:]
	return h, true
}

// feed hands the hints out until ctx ends.
func (q *hintQueue) feed(ctx context.Context, out chan<- Hint) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.ready:
		}
		for h, ok := q.take(); ok; h, ok = q.take() {
			select {
			case <-ctx.Done():
				return
			case out <- h:
			}
		}
	}
}

// mergeHints makes one hint of two, the older first: what the more serious one says, at the later time. A loss is
// more serious than all that is none.
func mergeHints(a, b Hint) Hint {
	m := b
	if gravity(a) > gravity(b) {
		m = a
	}
	m.At = b.At
	return m
}

// gravity orders hints by how much may be different after them. After waking up everything may be, and what else
// happened meanwhile adds nothing.
func gravity(h Hint) int {
	g := 0
	switch h.Kind {
	case HintWake:
		g = 5
	case HintOverflow:
		g = 4
	case HintLink:
		g = 3
	case HintAddress:
		g = 2
	case HintRoute:
		g = 1
	}
	if h.Lost {
		g += 10
	}
	return g
}

// stream runs sources until ctx ends and gives what they put. The channel is closed when all of them have ended.
func stream(ctx context.Context, sources ...func(ctx context.Context, put func(Hint))) <-chan Hint {
	q, out := newHintQueue(), make(chan Hint, 1)
	var running sync.WaitGroup
	for _, s := range sources {
		running.Go(func() { s(ctx, q.put) })
	}
	go func() {
		defer close(out)
		q.feed(ctx, out)
		running.Wait()
	}()
	return out
}
