package ipwatch_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestTripwireStaleEvidence: what the sources confirmed before a server's last view explains no change of that view.
func TestTripwireStaleEvidence(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.says["stun a"] = func(int) netip.Addr { return otherAddr }
		w.evidence().start()
		time.Sleep(10 * time.Minute)
		w.set(func() { delete(w.says, "stun a") }) // now it sees what was confirmed ten minutes ago
		w.noticed(67 * time.Second)
	})
}

// TestTripwireFirstView: without any evidence, a server's first view is compared with another server's.
func TestTripwireFirstView(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.says["stun b"] = func(int) netip.Addr { return otherAddr }
		w.start()
		w.noticed(34 * time.Second)
		if _, hints := w.since(); !strings.Contains(hints[0].Reason, "stun b sees another public address than stun a") {
			t.Errorf("hints %v", hints)
		}
		time.Sleep(2 * ipwatch.RareEvery)
		if _, hints := w.since(); len(hints) > 0 {
			t.Errorf("hints %v", hints)
		}
	})
}
