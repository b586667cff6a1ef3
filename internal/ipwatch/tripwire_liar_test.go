package ipwatch_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var liedAddr = netip.MustParseAddr("203.0.113.66")

// rotating says another address each time.
func rotating(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }

// bounded fails the test when more hints than allowed were given in any minute.
func bounded(t *testing.T, hints []ipwatch.Hint) {
	t.Helper()
	for i := ipwatch.HintsPerMinute; i < len(hints); i++ {
		if d := hints[i].At.Sub(hints[i-ipwatch.HintsPerMinute].At); d < time.Minute {
			t.Fatalf("%d hints within %s", ipwatch.HintsPerMinute+1, d)
		}
	}
}

// TestTripwireLiars: however many servers lie, and however the sources conclude, a day costs a bounded number of
// hints; and a change is noticed all the same, if anybody is honest.
func TestTripwireLiars(t *testing.T) {
	t.Parallel()
	udp := []string{"stun a", "stun b", "dns a", "dns b"}
	for _, c := range []struct {
		name    string
		liars   []string
		say     func(n int) netip.Addr
		minute  int // hints in the first ten minutes at most
		day     int // hints in the day after it at most
		noticed time.Duration
		status  string
	}{
		{"one rotates", udp[:1], rotating, 6, 170, 45 * time.Second, "Stun a keeps seeing other addresses than the sources: it is asked rarely."},
		{"one says another one for ever", udp[:1], func(int) netip.Addr { return liedAddr }, 1, 0, 75 * time.Second, ""}, // the other one has every second turn
		{"one says two by turns", udp[:1], func(n int) netip.Addr { return rotating(n % 2) }, 6, 170, 45 * time.Second, "it is asked rarely"},
		{"both rotate", udp[:2], rotating, 14, 340, 75 * time.Second, "Stun a and stun b keep seeing"},
		{"all rotate", udp, rotating, 40, 700, ipwatch.SlowEvery, "stun b, dns a and dns b keep seeing"},
		{"all say another one for ever", udp, func(int) netip.Addr { return liedAddr }, 2, 0, 0, ""}, // and nobody tells of a change
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, w *world) {
				for _, s := range c.liars {
					w.says[s] = c.say
				}
				w.evidence().start()
				time.Sleep(10 * time.Minute)
				_, hints := w.since()
				bounded(t, hints)
				if len(hints) > c.minute {
					t.Errorf("%d hints in the first ten minutes, want at most %d", len(hints), c.minute)
				}
				time.Sleep(24 * time.Hour)
				asked, hints := w.since()
				bounded(t, hints)
				if len(hints) > c.day || c.day > 0 && len(hints) == 0 {
					t.Errorf("%d hints in a day, want at most %d and some", len(hints), c.day)
				}
				if len(asked) > 3500 {
					t.Errorf("%d questions in a day", len(asked))
				}
				if c.status != "" && !strings.Contains(w.family().Why, c.status) {
					t.Errorf("status %q, want %q", w.family().Why, c.status)
				}
				if c.noticed == 0 {
					return
				}
				for range 10 {
					time.Sleep(12 * time.Minute)
					w.set(func() { w.addr = w.addr.Next() })
					begin := time.Now()
					for w.known() != w.addr {
						if time.Since(begin) > c.noticed {
							t.Fatalf("a change is not known after %s; %+v", c.noticed, w.family())
						}
						time.Sleep(50 * time.Millisecond)
					}
				}
			})
		})
	}
}

// TestTripwireUnheard: nobody ever concludes anything, which is no licence either.
func TestTripwireUnheard(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		for _, s := range []string{"stun a", "stun b", "dns a", "dns b", "https aws"} {
			w.says[s] = rotating
		}
		w.start()
		time.Sleep(24 * time.Hour)
		_, hints := w.since()
		bounded(t, hints)
		if len(hints) > 1500 {
			t.Errorf("%d hints in a day", len(hints))
		}
	})
}

// TestTripwireOwed: a change while the minute's hints are used up is not lost.
func TestTripwireOwed(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.start()
		w.set(func() { w.dead["stun"], w.dead["dns"], w.dead["https"] = true, true, true })
		time.Sleep(10 * time.Minute)
		for range 6 { // each kick in an outage is a hint
			w.wire.Kick("a flapping link")
			time.Sleep(6 * time.Second)
		}
		_, hints := w.since()
		if len(hints) != ipwatch.HintsPerMinute {
			t.Fatalf("%d hints in 36 s", len(hints))
		}
		w.noticed(31 * time.Second)
	})
}

// TestTripwireForgives: a server that has become honest is asked in turn again within hours, and at once in another
// network.
func TestTripwireForgives(t *testing.T) {
	t.Parallel()
	for _, moved := range []bool{false, true} {
		in(t, func(t *testing.T, w *world) {
			w.says["stun a"] = rotating
			w.evidence().start()
			time.Sleep(24 * time.Hour)
			w.set(func() { delete(w.says, "stun a") })
			if moved {
				w.set(func() { w.addr = otherAddr })
				w.wire.Concluded(ipwatch.V4, otherAddr)
			} else {
				time.Sleep(5 * time.Hour)
			}
			w.since()
			time.Sleep(time.Hour)
			if asked, _ := w.since(); len(of(asked, "stun a")) < 55 {
				t.Errorf("moved %v: it was asked %d times of %d", moved, len(of(asked, "stun a")), len(asked))
			}
			w.method(ipwatch.MethodSTUN, "(STUN).")
		})
	}
}

// TestTripwirePool: a provider's NAT shows different addresses to different servers for ever. Each is compared with
// itself, so that a change is still one.
func TestTripwirePool(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		shift := byte(0)
		for i, s := range []string{"stun a", "stun b"} {
			w.says[s] = func(int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(10*i) + shift}) }
		}
		w.evidence().start()
		time.Sleep(time.Hour)
		if _, hints := w.since(); len(hints) != 2 {
			t.Errorf("%d hints at the first sight of two servers: %v", len(hints), hints)
		}
		time.Sleep(24 * time.Hour)
		if _, hints := w.since(); len(hints) > 0 {
			t.Errorf("hints %v", hints)
		}
		w.set(func() { shift, w.addr = 1, otherAddr })
		w.noticed(34 * time.Second)
		time.Sleep(time.Hour)
		if _, hints := w.since(); len(hints) > 2 {
			t.Errorf("%d hints at a change: %v", len(hints), hints)
		}
		w.method(ipwatch.MethodSTUN, "(STUN).")
	})
}

// TestTripwireKick: a look at once, however often it is asked for, and an answer to the question behind it.
func TestTripwireKick(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.wire.Kick("before the start")
		w.evidence().start()
		time.Sleep(5*time.Minute + 17*time.Second)
		for range 20 {
			time.Sleep(3 * ipwatch.LookGap)
			w.since()
			w.wire.Kick("wlan0 went down and came up")
			time.Sleep(ipwatch.LookGap + time.Millisecond)
			if asked, hints := w.since(); len(asked) != 1 || len(hints) > 0 {
				t.Fatalf("after a kick: %v, hints %v", asked, hints)
			}
		}
		for range 1000 {
			w.wire.Kick("a storm")
			time.Sleep(10 * time.Millisecond)
		}
		if asked, _ := w.since(); len(asked) > 7 {
			t.Errorf("%d looks in a storm of 10 s", len(asked))
		}
		time.Sleep(time.Minute)
		w.set(func() { w.addr = otherAddr }) // another network that looks the same from here
		w.wire.Kick("wlan0 went down and came up")
		w.noticed(ipwatch.LookGap + 100*time.Millisecond)

		time.Sleep(5 * time.Minute)
		w.set(func() { w.dead["stun"] = true }) // cannot be told: the sources have to
		w.wire.Kick("eth0 lost\x1b[31m its carrier")
		w.noticed(ipwatch.LookGap + ipwatch.ProbeTimeout + 100*time.Millisecond)
		if _, hints := w.since(); !strings.HasPrefix(hints[0].Reason, `eth0 lost\x1b[31m its carrier; `) {
			t.Errorf("hint %v", hints)
		}
	})
	in(t, func(t *testing.T, w *world) { // nothing to compare with
		w.set(func() { w.noRoute = true })
		w.start()
		synctest.Wait()
		w.set(func() { w.noRoute = false })
		w.wire.Kick("")
		w.noticed(ipwatch.LookGap + 100*time.Millisecond)
		if _, hints := w.since(); !strings.HasPrefix(hints[0].Reason, "somebody asks; ") {
			t.Errorf("hint %v", hints)
		}
	})
	in(t, func(t *testing.T, w *world) { // in the middle of a look
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		w.set(func() { w.dead["stun"] = true })
		for w.since(); ; time.Sleep(10 * time.Millisecond) {
			if asked, _ := w.since(); len(asked) > 0 {
				break
			}
		}
		w.wire.Kick("in between")
		time.Sleep(ipwatch.ProbeTimeout + 50*time.Millisecond)
		if asked, _ := w.since(); len(asked) != 1 {
			t.Errorf("%v after a look that was under way", asked)
		}
	})
}

// TestTripwireNothingMissed: networks change at random in every way. Whenever one has been left alone for a while, the
// keeper knows its address; hints are bounded all the time.
func TestTripwireNothingMissed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			in(t, func(t *testing.T, w *world) {
				r := rand.New(rand.NewPCG(seed, 0))
				w.evidence().start()
				for step := range 60 {
					w.set(func() {
						if r.IntN(2) == 0 {
							w.addr = netip.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(4))})
						}
						for _, who := range []string{"stun", "stun a", "stun b", "dns", "dns a", "https"} {
							w.dead[who] = r.IntN(5) == 0
						}
						w.noRoute = r.IntN(6) == 0
						delete(w.says, "stun a")
						if r.IntN(4) == 0 {
							w.says["stun a"] = rotating
						}
					})
					if r.IntN(3) == 0 {
						w.wire.Kick("something happened")
					}
					time.Sleep(time.Duration(r.Int64N(int64(20 * time.Minute))))
					w.set(func() { w.noRoute = false; clear(w.dead) })
					time.Sleep(12 * time.Minute) // the longest rest, and a look
					_, hints := w.since()
					bounded(t, hints)
					if known := w.known(); known != w.addr {
						t.Fatalf("step %d: the address is %s, and known is %s; hints %v; %+v", step, w.addr, known, hints, w.family())
					}
				}
			})
		})
	}
}
