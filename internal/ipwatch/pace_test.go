package ipwatch_test

import (
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// However the caller is driven, a look is never sooner than it may be, and never later than a minute.
func TestPaceBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p ipwatch.Pace
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var asked []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			wait := p.Wait(now)
			if wait < 0 || wait > time.Minute {
				t.Fatalf("wait %v", wait)
			}
			now = now.Add(wait)
			if p.Wait(now) != 0 {
				t.Fatal("a wait that is over has not ended")
			}
			p.Asked(now)
			asked = append(asked, now)
			if n := len(asked); n > 1 && asked[n-1].Sub(asked[n-2]) < ipwatch.LookSpacing {
				t.Fatalf("two looks within %v", asked[n-1].Sub(asked[n-2]))
			} else if n > ipwatch.LooksPerMinute && now.Sub(asked[n-1-ipwatch.LooksPerMinute]) < time.Minute {
				t.Fatal("more looks in a minute than are allowed")
			}
		}
	})
}

// TestPaceTable: six looks, each two seconds after the one before, and then not before the first is a minute old.
func TestPaceTable(t *testing.T) {
	t.Parallel()
	var p ipwatch.Pace
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	for n := range ipwatch.LooksPerMinute {
		if !p.Room(now) || p.Wait(now) != 0 {
			t.Fatalf("look %d: room %t, wait %v", n, p.Room(now), p.Wait(now))
		}
		p.Asked(now)
		if n < ipwatch.LooksPerMinute-1 {
			if got := p.Wait(now); got != ipwatch.LookSpacing {
				t.Errorf("after look %d: wait %v, want %v", n, got, ipwatch.LookSpacing)
			}
			now = now.Add(ipwatch.LookSpacing)
		}
	}
	if got := p.Wait(now); got != time.Minute-now.Sub(start) {
		t.Errorf("after six looks: wait %v", got)
	}
	for after, room := range map[time.Duration]bool{time.Minute - 1: false, time.Minute: true, time.Hour: true} {
		if p.Room(start.Add(after)) != room {
			t.Errorf("room %v after the first look: %t", after, !room)
		}
	}
}

// TestPaceSpreads: many laptops that lost the same network do not look at the same moment.
func TestPaceSpreads(t *testing.T) {
	t.Parallel()
	sooner, later := 0, 0
	for range 200 { // all on one side: once in 2^199 runs
		var p ipwatch.Pace
		switch pause := p.Unknown(false); {
		case pause < time.Second:
			sooner++
		case pause > time.Second:
			later++
		}
	}
	if sooner == 0 || later == 0 {
		t.Errorf("%d pauses are shorter, %d longer", sooner, later)
	}
}

func TestPaceUnknown(t *testing.T) {
	var p ipwatch.Pace
	near := func(got, want time.Duration) {
		t.Helper()
		if got < want*8/10 || got > want*12/10 {
			t.Errorf("pause %v, want about %v", got, want)
		}
	}
	table := []time.Duration{1, 2, 4, 8, 16, 32, 60, 300, 300}
	for _, want := range table {
		near(p.Unknown(false), want*time.Second)
	}
	near(p.Unknown(true), ipwatch.LookAgain6)
	p.Event()
	near(p.Unknown(true), time.Second)
	near(p.Unknown(false), 2*time.Second)
	p.Known()
	near(p.Unknown(false), time.Second)
}
