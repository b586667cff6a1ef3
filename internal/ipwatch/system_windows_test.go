package ipwatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestSystemIsSupported: this system's own events are used, both of the network and of waking up, and given back.
func TestSystemIsSupported(t *testing.T) {
	t.Parallel()
	for range 3 { // again and again, as a daemon that is started and stopped
		ctx, cancel := context.WithCancel(t.Context())
		s := ipwatch.NewSystem()
		hints, err := s.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // a listener that ends at once has said so by then
		if n := s.Notes(); len(n) != 0 {
			t.Errorf("notes %q", n)
		}
		cancel()
		for range hints {
		}
		if n := s.Notes(); len(n) != 0 {
			t.Errorf("notes %q after the end", n)
		}
	}
}
