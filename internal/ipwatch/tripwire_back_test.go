package ipwatch_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestTripwireThereAndBack: an event told of another address, and it went back behind the NAT before the next look: each
// server sees what it saw before, and the sources do not know.
func TestTripwireThereAndBack(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		for w.since(); len(of(first(w.since()), "stun")) == 0; {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		w.set(func() { w.concluded = otherAddr })
		w.wire.Concluded(ipwatch.V4, otherAddr) // by an event of the system
		time.Sleep(5 * time.Second)
		if _, hints := w.since(); len(hints) > 0 {
			t.Fatalf("hints %+v before anybody has looked", hints)
		}
		w.noticed(33 * time.Second)
		time.Sleep(time.Second)
		if w.known() != homeAddr {
			t.Errorf("%s is known", w.known())
		}
		time.Sleep(time.Hour)
		if _, hints := w.since(); len(hints) > 1 {
			t.Errorf("%d hints in the hour after", len(hints))
		}
	})
}

// TestTripwireOfItsOwnMind: a server that never saw the address of the sources gives no hint when that changes.
func TestTripwireOfItsOwnMind(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		for _, s := range []string{"stun a", "stun b"} {
			w.says[s] = func(int) netip.Addr { return liedAddr }
		}
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		w.since()
		for range 3 {
			w.set(func() { w.addr, w.concluded = w.addr.Next(), w.addr.Next() })
			w.wire.Concluded(ipwatch.V4, w.addr)
			time.Sleep(10 * time.Minute)
		}
		if _, hints := w.since(); len(hints) > 0 {
			t.Errorf("hints %+v", hints)
		}
	})
}

func first(asked []question, _ []ipwatch.Hint) []question { return asked }
