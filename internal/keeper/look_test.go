package keeper_test

import (
	"slices"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// questions are when the sources were asked for IPv4, since the start.
func (d *daemon) questions() (at []time.Duration) {
	d.net.mu.Lock()
	defer d.net.mu.Unlock()
	for _, t := range d.net.asked {
		at = append(at, t.Sub(d.start))
	}
	return at
}

// A day on which nothing happens asks the sources a few times, though the rules are looked at all the time.
func TestLookIdleDay(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(24 * time.Hour)
		if n := len(d.questions()); n < 8 || n > 11 {
			t.Errorf("asked %d times in a day, want one each %v and at each renewal", n, keeper.EvidenceAge)
		}
		if n := len(d.rounds()); n < 90 {
			t.Errorf("%d rounds in a day: the rules are looked at each %v", n, keeper.DriftCheck)
		}
		d.stop()
	})
}

// Nobody watches for changes: then nothing may be recalled.
func TestLookWithoutHints(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		close(d.hints)
		d.sleep(5 * time.Hour)
		if asked, rounds := len(d.questions()), len(d.rounds()); asked < rounds {
			t.Errorf("asked %d times in %d rounds", asked, rounds)
		}
		d.stop()
	})
}

// Whatever is written rests on a fresh look, also when a round for drift finds something to write.
func TestLookBeforeWrites(t *testing.T) {
	inLab(t, func(l *lab) { // the rule is gone, and so is the address, unseen by anybody
		d := l.run()
		d.sleep(time.Minute)
		l.world.edit("sgr-1-1", func(*sgsync.Rule) bool { return false })
		l.v4(at(office))
		n := len(d.questions())
		d.sleep(20 * time.Minute)
		if got := d.questions(); len(got) != n+1 {
			t.Errorf("asked at %v", got)
		}
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.2/32:22 mine")
		d.stop()
	})
	inLab(t, func(l *lab) { // the way to the node has changed: what was recalled does not hold for it
		d := l.run()
		d.sleep(time.Minute)
		d.net.mu.Lock()
		d.net.split["203.0.113.10"] = ipwatch.SplitRoute
		d.net.mu.Unlock()
		n := len(d.questions())
		d.sleep(17 * time.Minute)
		if got := d.questions(); len(got) == n {
			t.Errorf("asked at %v: the recalled look was not doubted", got)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		d.stop()
	})
}

// A recalled look is a confirmation of its own time: it does not prolong the lapse of an unknown address.
func TestLookKeepsItsTime(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(2 * time.Hour)
		asked := d.questions()
		for _, mem := range l.state().Families {
			if mem.State == string(ipwatch.Confirmed) && !mem.Confirmed.Equal(d.start.Add(asked[len(asked)-1]).Round(0)) {
				t.Errorf("confirmed at %v, but asked at %v", mem.Confirmed.Sub(d.start), asked)
			}
		}
		d.stop()
	})
}

// An address that is not known is looked at again by a table, and an event starts the table anew.
func TestLookAgain(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(sight{state: ipwatch.Conflict})
		calls := len(d.rounds())
		d.hint(ipwatch.HintOutside)
		d.sleep(30 * time.Minute)
		got := d.questions()
		got = got[slices.IndexFunc(got, func(at time.Duration) bool { return at >= time.Minute }):]
		for i, want := range []time.Duration{2, 2, 4, 8, 16, 32, 60, 300} { // the first waits for LookSpacing
			pause := got[i+1] - got[i]
			if pause < want*time.Second*8/10-time.Millisecond || pause > want*time.Second*12/10+2*time.Second {
				t.Fatalf("asked at %v: pause %d is %v, not about %v", got, i, pause, want*time.Second)
			}
		}
		if n := len(d.rounds()) - calls; n > 4 {
			t.Errorf("%d rounds with AWS while the address is unknown", n)
		}
		d.sleep(time.Minute)
		now := time.Since(d.start)
		d.hint(ipwatch.HintLink)
		d.sleep(20 * time.Second)
		after := d.questions()
		after = after[slices.IndexFunc(after, func(at time.Duration) bool { return at >= now }):]
		if len(after) < 4 {
			t.Errorf("asked at %v after an event at %v", after, now)
		}
		l.v4(at(office))
		d.sleep(time.Minute)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// Only IPv6 is not known: it is looked at rarely.
func TestLookAgainSix(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8::10")
		l.net.be(ipwatch.V6, sight{state: ipwatch.Offline})
		d := l.run()
		d.sleep(10 * time.Minute)
		n := len(d.questions())
		d.sleep(2 * time.Hour)
		if got := len(d.questions()) - n; got < 2 || got > 16 { // the rounds for drift look too
			t.Errorf("asked %d times in two hours", got)
		}
		d.stop()
	})
}

// However many hints come, the sources are asked six times a minute at most, two seconds apart.
func TestLookBudget(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		for range 3000 {
			d.sleep(100 * time.Millisecond)
			d.hint(ipwatch.HintOutside)
		}
		d.sleep(0)
		got := d.questions()
		if len(got) < 5*ipwatch.LooksPerMinute-3 {
			t.Errorf("asked only %d times in five minutes: %v", len(got), got)
		}
		for i := range got {
			if i > 0 && got[i]-got[i-1] < ipwatch.LookSpacing {
				t.Errorf("asked at %v and %v", got[i-1], got[i])
			}
			if i >= ipwatch.LooksPerMinute && got[i]-got[i-ipwatch.LooksPerMinute] < time.Minute {
				t.Errorf("asked %d times within a minute: %v", ipwatch.LooksPerMinute+1, got)
			}
		}
		d.stop()
	})
}

// How changes are noticed is kept for the status, and costs neither a question nor a call.
func TestLookNoticing(t *testing.T) {
	inLab(t, func(l *lab) {
		said := []string{"UDP is blocked"}
		l.Noticing = func() []string { return said }
		told := 0
		l.Looked = func(v4, _ ipwatch.Observation) { told += len(v4.Answers) }
		d := l.run()
		d.sleep(time.Minute)
		if got := l.state().Status.Noticing; !slices.Equal(got, said) {
			t.Errorf("noticing: %q", got)
		}
		rounds, asked := len(d.rounds()), len(d.questions())
		said = nil
		d.hint(ipwatch.HintStatus)
		d.sleep(time.Second)
		if got := l.state().Status.Noticing; len(got) != 0 {
			t.Errorf("noticing: %q", got)
		}
		if len(d.rounds()) != rounds || len(d.questions()) != asked {
			t.Error("a hint about the status made somebody look")
		}
		if told != 1 {
			t.Errorf("told of %d answers", told)
		}
		d.stop()
	})
}

// An event in the middle of a look ends it: it is about a network that is gone, and may hang.
func TestLookInterrupted(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(sight{state: ipwatch.Offline})
		l.net.delay(ipwatch.V4, 4*time.Second)
		n := len(d.questions())
		d.hint(ipwatch.HintLink)
		d.sleep(time.Second)
		l.v4(at(office))
		l.net.delay(ipwatch.V4, 0)
		d.hints <- ipwatch.Hint{Kind: ipwatch.HintAddress, At: time.Now().Add(-time.Microsecond)} // it was on its way
		d.sleep(0)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		if got := d.instants("modify"); !slices.Equal(got, []time.Duration{time.Minute + time.Second}) {
			t.Errorf("moved at %v", got)
		}
		d.sleep(time.Minute)
		if got := d.questions()[n:]; len(got) != 2 {
			t.Errorf("asked at %v: the second look covers both events", got)
		}
		d.stop()
	})
	inLab(t, func(l *lab) { // events without end: bounded all the same, and the address is followed
		d := l.run()
		d.sleep(time.Minute)
		n := len(d.questions())
		l.net.delay(ipwatch.V4, 400*time.Millisecond)
		l.v4(at(office))
		for range 1000 {
			d.hint(ipwatch.HintLink)
			d.sleep(300 * time.Millisecond)
		}
		got := d.questions()[n:]
		for i := range got {
			if i > ipwatch.LooksPerMinute && got[i]-got[i-1-ipwatch.LooksPerMinute] < 59*time.Second {
				t.Errorf("asked at %v", got)
				break
			}
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// A hint that has to wait for its turn is not lost to a round that is due meanwhile.
func TestLookDueMeanwhile(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		d.sleep(time.Until(l.state().Status.NextRound) - 1500*time.Millisecond)
		d.hint(ipwatch.HintLink)
		d.sleep(500 * time.Millisecond)
		l.v4(at(office))
		d.hint(ipwatch.HintLink) // not before two seconds after the last look
		d.sleep(5 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}
