package ipwatch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestWatcherBurst: what becomes of a burst of several events.
func TestWatcherBurst(t *testing.T) {
	t.Parallel()
	type event struct {
		kind   ipwatch.HintKind
		lost   bool
		reason string
	}
	for name, c := range map[string]struct {
		events  []event
		alone   bool // nobody watches behind the NAT
		noRoute bool
		outcome ipwatch.Outcome
		kind    ipwatch.HintKind // of the hint; "" is none
		reason  string
	}{
		"a wake among others": {[]event{{ipwatch.HintAddress, false, "a"}, {ipwatch.HintWake, true, "b"}, {ipwatch.HintAsked, false, "c"}}, false, false,
			ipwatch.Looked, ipwatch.HintWake, "a; b; c"},
		"somebody asks among others": {[]event{{ipwatch.HintAddress, false, "a"}, {ipwatch.HintAsked, false, "b"}}, false, false,
			ipwatch.Looked, ipwatch.HintAsked, "a; b"},
		"lost, with nobody to ask": {[]event{{ipwatch.HintAddress, false, "a"}, {ipwatch.HintLink, true, "b"}}, true, false,
			ipwatch.Looked, ipwatch.HintAddress, "a; b"},
		"asked without a way out":   {[]event{{ipwatch.HintAsked, false, "a"}}, false, true, ipwatch.Looked, ipwatch.HintAsked, "a"},
		"renewed without a way out": {[]event{{ipwatch.HintAddress, false, "a"}}, false, true, ipwatch.Ignored, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, func(w *watching) {
					if c.alone {
						w.Behind = nil
					}
				})
				defer w.stop()
				w.routed.Store(!c.noRoute)
				for _, e := range c.events {
					w.event(e.kind, e.lost, e.reason)
				}
				w.sleep(time.Second)
				var kind ipwatch.HintKind
				var reason string
				if hs := w.got(); len(hs) > 0 {
					kind, reason = hs[0].Kind, hs[0].Reason
					if hs[0].At.Sub(w.start) != ipwatch.SettleQuiet {
						t.Errorf("hint of %v, want the time of the comparison", hs[0].At.Sub(w.start))
					}
				}
				if kind != c.kind || reason != c.reason || len(w.bursts) != 1 || w.bursts[0].Outcome != c.outcome {
					t.Errorf("hint %s %q, told %+v", kind, reason, w.bursts)
				}
			})
		})
	}
}

// TestWatcherReasons: a burst keeps the first few reasons, and none twice in a row.
func TestWatcherReasons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		defer w.stop()
		for _, reason := range []string{"", "a", "a", "b", "", "a", "c", "d"} {
			w.event(ipwatch.HintAddress, false, reason)
		}
		w.sleep(time.Second)
		if len(w.bursts) != 1 || !slices.Equal(w.bursts[0].Reasons, []string{"a", "b", "a", "c"}) {
			t.Errorf("%+v", w.bursts)
		}
	})
}

// broken is a source that does not work.
type broken struct{ *events }

func (broken) Events(context.Context) (<-chan ipwatch.Hint, error) { return nil, errors.New("broken") }

// TestWatcherParts: each of its parts may be missing, and one that does not work is told.
func TestWatcherParts(t *testing.T) {
	t.Parallel()
	for _, w := range []*ipwatch.Watcher{{System: broken{}, Behind: newEvents()}, {System: newEvents(), Behind: broken{}}} {
		w.Compare = func() string { return "" }
		if _, err := w.Events(t.Context()); err == nil {
			t.Errorf("%+v: no error", w)
		}
	}
	synctest.Test(t, func(t *testing.T) { // without a system
		w := watch(t, func(w *watching) { w.System = nil })
		defer w.stop()
		w.behind.c <- ipwatch.Hint{Kind: ipwatch.HintOutside}
		w.want(ipwatch.HintOutside)
	})
	synctest.Test(t, func(t *testing.T) { // nobody to be told, and no look at the routes
		w := watch(t, func(w *watching) {
			w.Told, w.Routed = nil, nil
			w.diff.Store("from before the start")
		})
		defer w.stop()
		w.event(ipwatch.HintAddress, false, "renewed")
		w.sleep(time.Second)
		w.want() // what was there at the start is no change
		w.event(ipwatch.HintWake, false, "woke")
		w.sleep(time.Second)
		w.want(ipwatch.HintWake)
	})
}
