package ipwatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestTripwireLadder: STUN, then DNS, then HTTPS, and all the way back.
func TestTripwireLadder(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		w.since()

		w.set(func() { w.dead["stun"] = true })
		time.Sleep(time.Minute)
		asked, _ := w.since()
		if n := len(of(asked, "stun")); n != 3 || len(of(asked, "dns")) == 0 {
			t.Errorf("STUN was asked %d times before DNS, want 3: %v", n, asked)
		}
		w.method(ipwatch.MethodDNS, "No STUN server answers over IPv4, so name servers are asked: a change behind the router is noticed within about 30s.")
		w.set(func() { w.addr = otherAddr })
		w.noticed(45 * time.Second) // a look at STUN may be in its way
		time.Sleep(3 * time.Hour)
		asked, _ = w.since()
		if n := len(of(asked, "stun")); n < 16 || n > 24 {
			t.Errorf("STUN was tried %d times in 3 hours, want about 6 an hour", n)
		}
		if n := len(of(asked, "dns")); n < 330 || n > 370 {
			t.Errorf("name servers were asked %d times in 3 hours", n)
		}

		w.set(func() { w.dead["dns"] = true })
		time.Sleep(2 * time.Minute)
		w.method(ipwatch.MethodHTTPS, "UDP is blocked here: a change behind the router over IPv4 is noticed within 5 minutes.")
		w.since()
		time.Sleep(3 * time.Hour)
		asked, hints := w.since()
		if n := len(of(asked, "https")); n < 36 || n > 42 || len(hints) > 0 {
			t.Errorf("HTTPS was asked %d times in 3 hours; hints %v", n, hints)
		}
		if n := len(asked); n > 90 {
			t.Errorf("%d questions in 3 hours", n)
		}
		for range 20 {
			w.set(func() { w.addr = w.addr.Next() })
			w.noticed(ipwatch.SlowEvery)
			time.Sleep(20 * time.Minute)
		}

		w.set(func() { w.dead["dns"] = false })
		time.Sleep(12 * time.Minute)
		w.method(ipwatch.MethodDNS, "name servers")
		w.set(func() { w.dead["stun"] = false })
		time.Sleep(12 * time.Minute)
		w.method(ipwatch.MethodSTUN, "within about 30s")
		w.set(func() { w.dead["stun"], w.dead["dns"] = true, true })
		time.Sleep(5 * time.Minute)
		w.method(ipwatch.MethodHTTPS, "UDP is blocked")
		w.set(func() { w.dead["stun"] = false })
		time.Sleep(12 * time.Minute)
		w.method(ipwatch.MethodSTUN, "within about 30s")
	})
}

// TestTripwireNewNetwork: what is blocked in one network may work in the next.
func TestTripwireNewNetwork(t *testing.T) {
	t.Parallel()
	for name, arrive := range map[string]func(w *world){
		"kicked":    func(w *world) { w.wire.Kick("wlan0 came up") },
		"concluded": func(w *world) { w.wire.Concluded(ipwatch.V4, otherAddr) },
		"no route meanwhile": func(w *world) {
			w.set(func() { w.noRoute = true })
			time.Sleep(6 * time.Minute)
			w.set(func() { w.noRoute = false })
			time.Sleep(30 * time.Second)
		},
	} {
		in(t, func(t *testing.T, w *world) {
			w.evidence().start()
			w.set(func() { w.dead["stun"], w.dead["dns"] = true, true })
			time.Sleep(time.Hour)
			w.method(ipwatch.MethodHTTPS, "UDP is blocked")
			w.set(func() { w.dead["stun"], w.dead["dns"], w.addr = false, false, otherAddr })
			arrive(w)
			time.Sleep(5 * time.Second)
			if w.family().Method != ipwatch.MethodSTUN {
				t.Errorf("%s: method %s", name, w.family().Method)
			}
		})
	}
}

// TestTripwireOutage: a router that starts anew is down for a while, nobody answers, and the laptop's link stays up.
// That is no blocked UDP: the change is noticed soon after it is back, whenever that is.
func TestTripwireOutage(t *testing.T) {
	t.Parallel()
	for _, down := range []time.Duration{20 * time.Second, time.Minute, 100 * time.Second, 4 * time.Minute, 26 * time.Minute, 7 * time.Hour} {
		in(t, func(t *testing.T, w *world) {
			w.evidence().start()
			time.Sleep(10 * time.Minute)
			w.set(func() { w.dead["stun"], w.dead["dns"], w.dead["https"] = true, true, true })
			w.since()
			time.Sleep(down)
			asked, _ := w.since()
			if down >= 100*time.Second {
				w.method(ipwatch.MethodNone, "Nobody outside answers over IPv4")
			}
			if n, limit := len(asked), 12+int(down/(20*time.Second)); n > limit {
				t.Errorf("down for %s: %d questions, want at most %d", down, n, limit)
			}
			w.set(func() { clear(w.dead); w.addr = otherAddr })
			if took := w.noticed(2 * time.Minute); took > 45*time.Second {
				t.Errorf("down for %s: noticed %s after its end", down, took)
			}
			time.Sleep(2 * time.Minute)
			w.method(ipwatch.MethodSTUN, "")
		})
	}
	in(t, func(t *testing.T, w *world) { // back with the same address: the sources may be asked again
		w.wire.Slow = nil
		w.start()
		w.set(func() { w.dead["stun"], w.dead["dns"] = true, true })
		time.Sleep(time.Hour)
		w.method(ipwatch.MethodNone, "Nobody outside answers")
		w.set(func() { clear(w.dead) })
		w.noticed(36 * time.Second)
		if _, hints := w.since(); !strings.Contains(hints[0].Reason, "answers again") {
			t.Errorf("hints %v", hints)
		}
		time.Sleep(time.Hour)
		if _, hints := w.since(); len(hints) > 0 {
			t.Errorf("hints %v", hints)
		}
	})
}

// TestTripwireDeadServer: one operator is down for good. The other one is enough, and takes its turns.
func TestTripwireDeadServer(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.dead["stun a"] = true
		w.evidence().start()
		time.Sleep(time.Hour)
		asked, hints := w.since()
		if n := len(of(asked, "stun a")); n < 6 || n > 14 || len(of(asked, "dns")) > 0 || len(hints) > 0 {
			t.Errorf("it was asked %d times; %d times DNS; hints %v", n, len(of(asked, "dns")), hints)
		}
		if n := len(of(asked, "stun b")); n < 110 {
			t.Errorf("the other one was asked %d times in an hour", n)
		}
		for range 50 {
			time.Sleep(5 * time.Minute)
			w.set(func() { w.addr = w.addr.Next() })
			w.noticed(42 * time.Second)
		}
	})
}

// TestTripwireWithoutSTUN: nothing unauthenticated is asked then, and the interval is kept by HTTPS.
func TestTripwireWithoutSTUN(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.wire.STUN = nil
		w.every = time.Minute
		w.evidence().start()
		time.Sleep(time.Hour)
		asked, _ := w.since()
		if n := len(of(asked, "https")); n != len(asked) || n < 58 || n > 63 {
			t.Errorf("%d of %d questions were over HTTPS", n, len(asked))
		}
		w.method(ipwatch.MethodHTTPS, "STUN is turned off, so an HTTPS source is asked: a change behind the router over IPv4 is noticed within about 1m.")
		w.set(func() { w.addr = otherAddr })
		w.noticed(67 * time.Second)
		w.set(func() { w.dead["https"] = true })
		time.Sleep(time.Hour)
		asked, _ = w.since()
		if n := len(asked); n > 70 || len(of(asked, "https")) != n {
			t.Errorf("%d questions while it is down", n)
		}
		w.set(func() { w.dead["https"], w.addr = false, homeAddr })
		w.noticed(67 * time.Second)
	})
}

// TestTripwireNoRoute: nothing is sent (the world fails the test otherwise), and the route is noticed.
func TestTripwireNoRoute(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.evidence().noRoute = true
		w.start()
		time.Sleep(time.Hour)
		w.wire.Kick("wlan0 went down")
		time.Sleep(time.Hour)
		asked, _ := w.since()
		if len(asked) > 0 {
			t.Fatalf("asked %v", asked)
		}
		w.method(ipwatch.MethodNone, "no route over IPv4, so nobody is asked")
		w.set(func() { w.noRoute, w.addr = false, otherAddr })
		w.noticed(34 * time.Second)
		w.method(ipwatch.MethodSTUN, "")
		w.set(func() { w.noRoute = true })
		time.Sleep(time.Minute)
		w.since()
		w.set(func() { w.noRoute = false })
		w.wire.Kick("wlan0 came up")
		time.Sleep(ipwatch.LookGap + time.Millisecond)
		if asked, _ := w.since(); len(asked) != 1 {
			t.Errorf("after a kick: %v", asked)
		}
	})
}

// TestTripwireOwnRoute: without a Routed of its own it asks the system, which sends nothing.
func TestTripwireOwnRoute(t *testing.T) {
	t.Parallel()
	slow := func(context.Context, ipwatch.Family) (ipwatch.Sighting, error) {
		return ipwatch.Sighting{Addr: homeAddr, By: "https"}, nil
	}
	w := &ipwatch.Tripwire{Slow: slow, Families: func() []ipwatch.Family { return []ipwatch.Family{ipwatch.V4} }}
	ctx, cancel := context.WithCancel(t.Context())
	hints, err := w.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d := &ipwatch.Detector{}
	_, routeErr := ipwatch.LocalAddr(d, ipwatch.V4, ipwatch.V4.Anchor())
	want := "HTTPS"
	if errors.Is(routeErr, ipwatch.ErrNoRoute) {
		want = "no route"
	}
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(strings.Join(w.Sentences(), ""), want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v, want %q", w.Sentences(), want)
		}
	}
	cancel()
	for range hints {
	}
}
