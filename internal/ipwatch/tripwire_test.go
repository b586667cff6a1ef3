package ipwatch_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/google/go-cmp/cmp"
)

// The size of the smallest answers: a header and one XOR-MAPPED-ADDRESS.
const stunAnswer4, stunAnswer6 = 20 + 12, 20 + 24

func lookCost(f ipwatch.Family) int {
	answer := stunAnswer4
	if f == ipwatch.V6 {
		answer = stunAnswer6
	}
	return len(ipwatch.STUNRequest([12]byte{})) + answer + 2*f.Headers()
}

// TestTripwireDay: an idle day costs what the package says, nothing is hinted, and the servers are asked in turn.
func TestTripwireDay(t *testing.T) {
	t.Parallel()
	for _, families := range [][]ipwatch.Family{{ipwatch.V4}, {ipwatch.V4, ipwatch.V6}, {ipwatch.V6}} {
		in(t, func(t *testing.T, w *world) {
			w.wire.Families = func() []ipwatch.Family { return families }
			w.start()
			time.Sleep(24 * time.Hour)
			asked, hints := w.since()
			if len(hints) > 0 {
				t.Errorf("%v: hints %v", families, hints)
			}
			if w.told > 3 {
				t.Errorf("%v: the sentence changed %d times", families, w.told)
			}
			total := 0
			for i, f := range families {
				pace := 30 * time.Second
				if i == 1 {
					pace *= ipwatch.Every6
				}
				var last question
				var n int
				shortest, longest := time.Hour, time.Duration(0)
				for _, q := range asked {
					if q.f != f {
						continue
					}
					if n++; n > 1 {
						shortest, longest = min(shortest, q.at-last.at), max(longest, q.at-last.at)
						if q.who == last.who || !strings.HasPrefix(q.who, "stun ") {
							t.Fatalf("%s was asked after %s", q.who, last.who)
						}
					}
					last = q
				}
				if shortest < pace*9/10 || longest > pace*11/10 || shortest > pace*93/100 || longest < pace*107/100 {
					t.Errorf("%v %s: pauses from %s to %s, want %s and 10 %% more or less", families, f, shortest, longest, pace)
				}
				if day := int(24 * time.Hour / pace); n < day*98/100 || n > day*102/100 {
					t.Errorf("%v %s: %d looks in a day, want about %d", families, f, n, day)
				}
				total += n * lookCost(f)
				if got := w.wire.Status().Families[f]; got.Looks != n || got.Failures != 0 || got.Method != ipwatch.MethodSTUN {
					t.Errorf("%v: %+v after %d looks", families, got, n)
				}
			}
			if total >= 500_000 {
				t.Errorf("%v: %d bytes in a day", families, total)
			}
			t.Logf("%v: %d looks, %d bytes a day", families, len(asked), total)
		})
	}
}

// The figures in the comment of Tripwire are those of its constants.
func TestTripwireFigures(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	four := float64(day/ipwatch.DefaultInterval) * float64(lookCost(ipwatch.V4)) / 1e6
	six := float64(day/(ipwatch.DefaultInterval*ipwatch.Every6)) * float64(lookCost(ipwatch.V6)) / 1e6
	if got := fmt.Sprintf("%d %.2f %.2f", lookCost(ipwatch.V4), four, four+six); got != "108 0.31 0.43" {
		t.Errorf("bytes a look, MB a day, MB a day with IPv6: %s; the comment says otherwise", got)
	}
}

// TestTripwireChange: each change is noticed within an interval; one hint is enough when the sources confirm it.
func TestTripwireChange(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.evidence().start()
		var sum time.Duration
		const n = 60
		for i := range n {
			time.Sleep(3*time.Minute + rand.N(2*time.Minute))
			if _, hints := w.since(); i > 0 && len(hints) > 0 {
				t.Fatalf("change %d: more than one hint: %v", i, hints)
			}
			w.set(func() { w.addr = w.addr.Next() })
			took := w.noticed(33*time.Second + 50*time.Millisecond)
			sum += took
			_, hints := w.since()
			if h := hints[0]; h.Kind != ipwatch.HintOutside || !h.Lost || !strings.Contains(h.Reason, "sees another public address than before") || strings.Contains(h.Reason, w.addr.String()) {
				t.Fatalf("hint %+v", h)
			}
		}
		if mean := sum / n; mean < 11*time.Second || mean > 19*time.Second {
			t.Errorf("a change is noticed after %s on average, want about half an interval", mean)
		}
		w.method(ipwatch.MethodSTUN, "A change behind the router over IPv4 is noticed within about 30s (STUN).")
	})
}

// TestTripwireLooksAgain: when nothing has been concluded, the change is hinted again at the next look, which comes
// soon; but a view that was only gone for a moment is left alone.
func TestTripwireLooksAgain(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 2} {
		in(t, func(t *testing.T, w *world) {
			w.wire.STUN = w.wire.STUN[:servers]
			w.start()
			time.Sleep(5 * time.Minute)
			w.set(func() { w.addr = otherAddr })
			w.noticed(34 * time.Second)
			time.Sleep(5200 * time.Millisecond)
			if asked, hints := w.since(); len(hints) != 2 || len(asked) != 2 || hints[1].At.Sub(hints[0].At) > 5100*time.Millisecond {
				t.Fatalf("%d servers: %d looks after the change, hints %v", servers, len(asked), hints)
			}
			time.Sleep(time.Hour)
			if _, hints := w.since(); len(hints) > 0 {
				t.Errorf("%d servers: hinted for ever: %v", servers, hints)
			}
		})
	}
	in(t, func(t *testing.T, w *world) { // a router that dials twice
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		w.set(func() { w.addr = otherAddr })
		w.noticed(34 * time.Second)
		time.Sleep(time.Second)
		w.set(func() { w.addr = otherAddr.Next() })
		if took := w.noticed(time.Minute); took > 5*time.Second {
			t.Errorf("the second change is noticed after %s", took)
		}
	})
}

// TestTripwireKnownChange: what the sources have found out already is not hinted.
func TestTripwireKnownChange(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.evidence().start()
		time.Sleep(5 * time.Minute)
		w.set(func() { w.addr = otherAddr })
		w.wire.Concluded(ipwatch.V4, otherAddr)
		time.Sleep(time.Hour)
		if _, hints := w.since(); len(hints) > 0 {
			t.Errorf("hints %v", hints)
		}
		// But back at the first one is news, and so is the second one again.
		w.set(func() { w.addr = homeAddr })
		w.noticed(34 * time.Second)
		time.Sleep(10 * time.Minute)
		w.set(func() { w.addr = otherAddr })
		w.noticed(34 * time.Second)
	})
}

// TestTripwireInterval: a session that is opened is watched more closely from the next look on, or within a minute, whenever
// it is opened; and the longer interval comes back.
func TestTripwireInterval(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.start()
		for n := range 50 {
			every, first := 30*time.Second, 33*time.Second
			if n%2 == 1 {
				every, first = time.Hour, time.Minute
			}
			w.set(func() { w.every = every })
			time.Sleep(2*time.Minute + rand.N(time.Minute))
			w.since()
			w.set(func() { w.every = ipwatch.SessionInterval })
			time.Sleep(first)
			if asked, _ := w.since(); len(asked) == 0 {
				t.Fatalf("no look within %s after the change from %s", first, every)
			}
			time.Sleep(5 * time.Minute)
			if asked, _ := w.since(); len(asked) < 18 || len(asked) > 23 {
				t.Fatalf("%d looks in 5 minutes at 15 s", len(asked))
			}
		}
		w.method(ipwatch.MethodSTUN, "within about 15s")
	})
	in(t, func(t *testing.T, w *world) { // what makes no sense is the default
		w.every = -1
		w.start()
		time.Sleep(10 * time.Minute)
		if asked, _ := w.since(); len(asked) < 18 || len(asked) > 23 {
			t.Errorf("%d looks in 10 minutes", len(asked))
		}
	})
}

// TestTripwireRests: between two looks nothing wakes the computer up.
func TestTripwireRests(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		wakes := 0
		w.wire.Interval = func() time.Duration { wakes++; return ipwatch.DefaultInterval } // asked for each time, by one goroutine
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		asked, _ := w.since()
		if most := 2 * len(asked); wakes > most { // for the question and for its answer
			t.Errorf("%d wakes for %d looks", wakes, len(asked))
		}
	})
}

// TestTripwireReturns: a route that comes back without a word is found at the next interval, and so is one who rests for
// his lies when his time is over, with nobody else to ask.
func TestTripwireReturns(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		w.start()
		for range 20 {
			w.set(func() { w.noRoute = true })
			time.Sleep(2*time.Minute + rand.N(time.Minute))
			w.since()
			w.set(func() { w.noRoute = false })
			time.Sleep(33 * time.Second)
			if asked, _ := w.since(); len(asked) == 0 {
				t.Fatal("no look within 33 s after the route came back")
			}
		}
	})
	in(t, func(t *testing.T, w *world) {
		w.wire.STUN, w.wire.DNS, w.wire.Slow = w.wire.STUN[:1], nil, nil
		w.says["stun a"] = rotating
		w.evidence().start()
		time.Sleep(10 * time.Minute)
		for range 20 {
			w.since()
			time.Sleep(12 * time.Minute)
			if asked, _ := w.since(); len(asked) == 0 || len(asked) > 10 {
				t.Fatalf("%d looks in 12 minutes", len(asked))
			}
		}
	})
}

func TestTripwireEvents(t *testing.T) {
	t.Parallel()
	if _, err := (&ipwatch.Tripwire{DNS: []ipwatch.Prober{&ipwatch.STUN{}}}).Events(t.Context()); err == nil || !strings.Contains(err.Error(), "stun under [address]") {
		t.Errorf("nobody to ask: %v", err)
	}
	in(t, func(t *testing.T, w *world) {
		w.start()
		if _, err := w.wire.Events(t.Context()); err == nil {
			t.Error("it was started twice")
		}
		w.set(func() { w.dead["stun"] = true })
		time.Sleep(31 * time.Second) // in the middle of a look
	})
}

// TestTripwireStatus: the names of the fields are promised.
func TestTripwireStatus(t *testing.T) {
	t.Parallel()
	in(t, func(t *testing.T, w *world) {
		if got, _ := json.Marshal(w.wire.Status()); string(got) != `{"families":{},"hints":0,"traffic":{"sent_packets":0,"sent_bytes":0,"received_packets":0,"received_bytes":0,"ip_bytes":0}}` {
			t.Errorf("before the start: %s", got)
		}
		w.wire.STUN = append(w.wire.STUN, &ipwatch.STUN{Server: "192.0.2.1:3478"})
		w.noRoute = true
		w.start()
		synctest.Wait()
		w.method(ipwatch.MethodNone, "no route over IPv4")
		w.set(func() { w.noRoute, w.dead["stun a"] = false, true })
		w.wire.Kick("") // else the route is looked for at the next interval
		time.Sleep(6 * time.Second)
		var got map[string]any
		text, err := json.Marshal(w.wire.Status().Families)
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		four := got["ipv4"].(map[string]any)
		if next, err := time.Parse(time.RFC3339, four["next"].(string)); err != nil || !next.After(time.Now()) {
			t.Errorf("the next look is at %v, %v", four["next"], err)
		}
		delete(four, "next")
		want := map[string]any{"method": "none", "why": "Nobody has been asked over IPv4 yet.", "by": "", "address": nil, "at": nil,
			"looks": 1.0, "failures": 1.0, "error": "no answer in time"}
		if diff := cmp.Diff(want, four); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		time.Sleep(10 * time.Second)
		if f := w.family(); f.Error != nil || f.By != "stun b" || f.Address == nil || *f.Address != homeAddr.String() || f.At == nil {
			t.Errorf("%+v", f)
		}
	})
}
