package ipwatch_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// events is an EventSource that a test feeds.
type events struct {
	c      chan ipwatch.Hint
	mu     sync.Mutex
	kicked []string
}

func newEvents() *events { return &events{c: make(chan ipwatch.Hint, 64)} }

func (e *events) Events(context.Context) (<-chan ipwatch.Hint, error) { return e.c, nil }

func (e *events) Kick(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked = append(e.kicked, reason)
}

// watching is a Watcher in a bubble.
type watching struct {
	*testing.T
	*ipwatch.Watcher
	system, behind *events
	diff           atomic.Value // what Compare says next
	routed         atomic.Bool
	bursts         []ipwatch.Burst
	hints          <-chan ipwatch.Hint
	start          time.Time
	stop           func()
}

func watch(t *testing.T, change func(*watching)) *watching {
	w := &watching{T: t, system: newEvents(), behind: newEvents()}
	w.routed.Store(true)
	w.diff.Store("")
	w.Watcher = &ipwatch.Watcher{System: w.system, Behind: w.behind,
		Compare: func() string { return w.diff.Swap("").(string) },
		Routed:  w.routed.Load,
		Told:    func(b ipwatch.Burst) { w.bursts = append(w.bursts, b) }}
	if change != nil {
		change(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	hints, err := w.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.hints, w.start = hints, time.Now()
	w.stop = func() {
		cancel()
		synctest.Wait()
		for range hints { // it is closed
		}
	}
	return w
}

func (w *watching) event(k ipwatch.HintKind, lost bool, reason string) {
	w.system.c <- ipwatch.Hint{Kind: k, Lost: lost, Reason: reason, At: time.Now()}
	synctest.Wait()
}

// sleep lets time pass, and the watcher come to rest.
func (w *watching) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// got are the hints so far, with the time since the start at which they were waited for.
func (w *watching) got() (all []ipwatch.Hint) {
	synctest.Wait()
	for {
		select {
		case h := <-w.hints:
			all = append(all, h)
		default:
			return all
		}
	}
}

func (w *watching) want(kinds ...ipwatch.HintKind) []ipwatch.Hint {
	w.Helper()
	hs := w.got()
	var have []ipwatch.HintKind
	for _, h := range hs {
		have = append(have, h.Kind)
	}
	if !slices.Equal(have, kinds) {
		w.Errorf("after %v: hints %v, want %v", time.Since(w.start), have, kinds)
	}
	return hs
}

func TestWatcherSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		defer w.stop()
		for range 5 { // the quiet time begins anew with each event
			w.diff.Store("eth0 has 192.168.1.5 now")
			w.event(ipwatch.HintAddress, false, "address added")
			w.sleep(200 * time.Millisecond)
			w.want()
		}
		w.sleep(49 * time.Millisecond)
		w.want()
		w.sleep(time.Millisecond)
		if h := w.want(ipwatch.HintAddress); len(h) == 1 && h[0].Reason != "eth0 has 192.168.1.5 now" {
			t.Errorf("reason %q", h[0].Reason)
		}
		w.sleep(time.Minute)
		w.want()
	})
	synctest.Test(t, func(t *testing.T) { // a network that never rests is weighed every two seconds
		w := watch(t, nil)
		defer w.stop()
		for i := range 100 {
			if i%10 == 0 {
				w.diff.Store("changed")
			}
			w.event(ipwatch.HintRoute, false, "route added")
			w.sleep(100 * time.Millisecond)
		}
		if n := len(w.got()); n < 4 || n > 5 {
			t.Errorf("%d hints in ten seconds, want one each %v", n, ipwatch.SettleCeiling)
		}
	})
}

// What changes nothing costs nothing; what may be another network is looked at from outside.
func TestWatcherWeighs(t *testing.T) {
	for name, c := range map[string]struct {
		kind    ipwatch.HintKind
		lost    bool
		diff    string
		alone   bool // nobody watches behind the NAT
		outcome ipwatch.Outcome
		hint    bool
		kick    bool
	}{
		"renewed lease":                {ipwatch.HintAddress, false, "", false, ipwatch.Ignored, false, false},
		"new address":                  {ipwatch.HintAddress, false, "new", false, ipwatch.Looked, true, false},
		"lost and new address":         {ipwatch.HintAddress, true, "new", false, ipwatch.Looked, true, false},
		"link lost, looks the same":    {ipwatch.HintLink, true, "", false, ipwatch.Kicked, false, true},
		"events lost, looks the same":  {ipwatch.HintOverflow, true, "", false, ipwatch.Kicked, false, true},
		"the same with nobody to ask":  {ipwatch.HintLink, true, "", true, ipwatch.Looked, true, false},
		"woken up, looks the same":     {ipwatch.HintWake, true, "", false, ipwatch.Looked, true, false},
		"somebody asks":                {ipwatch.HintAsked, false, "", false, ipwatch.Looked, true, false},
		"renewal with nobody to ask":   {ipwatch.HintAddress, false, "", true, ipwatch.Ignored, false, false},
		"woken up with a new address":  {ipwatch.HintWake, true, "new", false, ipwatch.Looked, true, false},
		"a route that does not matter": {ipwatch.HintRoute, false, "", false, ipwatch.Ignored, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, func(w *watching) {
					if c.alone {
						w.Behind = nil
					}
				})
				defer w.stop()
				w.diff.Store(c.diff)
				w.event(c.kind, c.lost, "it happened")
				w.sleep(time.Second)
				if hs := w.got(); (len(hs) == 1) != c.hint || len(hs) > 1 {
					t.Errorf("hints %v", hs)
				}
				if got := len(w.behind.kicked) == 1 && strings.Contains(w.behind.kicked[0], "it happened"); got != c.kick {
					t.Errorf("kicked: %q", w.behind.kicked)
				}
				if len(w.bursts) != 1 || w.bursts[0].Outcome != c.outcome || w.bursts[0].Why == "" || w.bursts[0].Kinds[c.kind] != 1 {
					t.Errorf("told %+v, want %s", w.bursts, c.outcome)
				}
			})
		})
	}
}

// One lost link among many events is not forgotten.
func TestWatcherKeepsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		defer w.stop()
		w.event(ipwatch.HintAddress, false, "a")
		w.event(ipwatch.HintLink, true, "eth0 went down")
		w.event(ipwatch.HintAddress, false, "b")
		w.sleep(time.Second)
		w.want()
		if len(w.behind.kicked) != 1 {
			t.Errorf("kicked %q", w.behind.kicked)
		}
	})
}

func TestWatcherWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // without a network: as soon as there is one
		w := watch(t, nil)
		defer w.stop()
		w.routed.Store(false)
		w.event(ipwatch.HintWake, true, "woke")
		w.sleep(7 * time.Second)
		w.want()
		w.routed.Store(true)
		w.sleep(ipwatch.WakeStep)
		w.want(ipwatch.HintWake)
		w.sleep(time.Minute)
		w.want()
	})
	synctest.Test(t, func(t *testing.T) { // an event that shows the network comes first, and is the only hint
		w := watch(t, nil)
		defer w.stop()
		w.routed.Store(false)
		w.event(ipwatch.HintWake, true, "woke")
		w.sleep(3500 * time.Millisecond)
		w.routed.Store(true)
		w.diff.Store("wlan0 is up")
		w.event(ipwatch.HintLink, false, "link up")
		w.sleep(ipwatch.SettleQuiet)
		w.want(ipwatch.HintLink)
		w.sleep(time.Minute)
		w.want()
	})
	synctest.Test(t, func(t *testing.T) { // a network that never rests and shows nothing new does not put the look off
		w := watch(t, nil)
		defer w.stop()
		w.routed.Store(false)
		w.event(ipwatch.HintWake, true, "woke")
		w.sleep(time.Second)
		w.routed.Store(true)
		for range 10 {
			w.event(ipwatch.HintAddress, false, "renewed")
			w.sleep(400 * time.Millisecond)
		}
		w.want(ipwatch.HintWake)
	})
	synctest.Test(t, func(t *testing.T) { // never any network: it is looked at once all the same, for the status
		w := watch(t, nil)
		defer w.stop()
		w.routed.Store(false)
		w.event(ipwatch.HintWake, true, "woke")
		w.sleep(time.Second)
		if len(w.bursts) != 1 || w.bursts[0].Outcome != ipwatch.Waits {
			t.Errorf("told %+v", w.bursts)
		}
		w.diff.Store("changed while it waited")
		w.sleep(time.Hour)
		if h := w.want(ipwatch.HintWake); len(h) == 1 && (!h[0].Lost || h[0].At.Sub(w.start) != ipwatch.SettleQuiet+ipwatch.WakePatience) {
			t.Errorf("after %v: %+v", h[0].At.Sub(w.start), h[0])
		}
		w.event(ipwatch.HintAddress, false, "renewed") // the hint was about what has changed until then
		w.sleep(time.Second)
		w.want()
	})
}

// A hint from behind the NAT waits for nothing; a source that ends does not end the other.
func TestWatcherPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		defer w.stop()
		w.behind.c <- ipwatch.Hint{Kind: ipwatch.HintOutside}
		w.want(ipwatch.HintOutside)
		w.event(ipwatch.HintStatus, false, "")
		w.want(ipwatch.HintStatus)
		close(w.behind.c)
		w.diff.Store("new")
		w.event(ipwatch.HintAddress, false, "")
		w.sleep(time.Second)
		w.want(ipwatch.HintAddress)
		close(w.system.c)
		w.sleep(time.Second)
		w.want()
		if len(w.bursts) != 1 {
			t.Errorf("told %+v: the end is no event", w.bursts)
		}
	})
}

// A reader that is busy loses no change: what waits for it says "look again" already.
func TestWatcherSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		defer w.stop()
		for range 100 {
			w.diff.Store("new")
			w.event(ipwatch.HintAddress, false, "")
			w.sleep(time.Second)
		}
		if n := len(w.got()); n == 0 || n > 16 {
			t.Errorf("%d hints wait", n)
		}
	})
}
