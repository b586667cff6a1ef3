package ipwatch

import (
	"net/netip"
	"time"
)

// vigil is the watch over one family. The tripwire's mutex guards it.
type vigil struct {
	family Family
	ladder ladder

	busy    bool
	routed  bool
	outage  bool   // everything has failed
	kicked  string // why somebody asked for a look that has not begun; "" is nobody
	method  Method // of the last good look; none while there is an outage
	begun   time.Time
	regular bool    // the next look is a pace after begun; else it is at due
	factor  float64 // the jitter of that pace
	paced   bool    // the pace was known at the last look at it
	pace    time.Duration
	due     time.Time
	slow    time.Time // the next look over HTTPS, while that is the method

	newest    glimpse    // of any server
	inARow    int        // looks in a row that asked for another one soon
	suspect   *glimpse   // the last one that differed, until the look after it
	confirmed netip.Addr // what was concluded last; the zero Addr is unknown
	settled   netip.Addr // the last address that was confirmed
	concluAt  time.Time

	looks, failures int
	fault           string // of the last look, if it failed
}

// look is one question that is under way.
type look struct {
	family Family
	rung   *rung
	asked  *server
	begun  time.Time
	kicked string
}

// wait is how long the next look is not due.
func (v *vigil) wait(now time.Time, pace time.Duration) time.Duration {
	if v.begun.IsZero() {
		return 0
	}
	due := v.due
	if v.regular {
		if v.paced && pace < v.pace {
			v.factor = min(v.factor, 1) // somebody waits now: not later than the new interval
		}
		v.paced, v.pace = true, pace
		due = v.begun.Add(time.Duration(float64(pace) * v.factor))
		v.due = due
	}
	return due.Sub(now)
}

// nextRegular makes the next look due a pace after the last one.
func (v *vigil) nextRegular(pace time.Duration) {
	v.regular, v.factor, v.paced, v.pace = true, spreadFactor(), true, pace
	v.due = v.begun.Add(time.Duration(float64(pace) * v.factor))
}

// nextAt makes the next look due at a time, but for the gap.
func (v *vigil) nextAt(at time.Time) {
	v.regular, v.due = false, latest(at, v.begun.Add(LookGap))
}

// kick makes the next look due now.
func (v *vigil) kick(reason string, now time.Time) {
	v.kicked = reason
	if !v.begun.IsZero() && !v.busy { // else it is due already, or the end of the look makes it due
		v.nextAt(now)
	}
}

// unrouted notes that there is no way out. A kick stays open: it is about the network that comes.
func (v *vigil) unrouted(now time.Time, pace time.Duration) {
	v.routed, v.method, v.begun = false, MethodNone, now
	v.nextRegular(pace)
}

// begin returns the look to make now; nil when every server rests.
func (v *vigil) begin(now time.Time, pace time.Duration) *look {
	if !v.routed { // another network, perhaps
		v.routed = true
		v.ladder.reset()
	}
	v.begun = now
	r, s := v.ladder.pick(now, v.kicked != "")
	if s == nil {
		v.nextRegular(pace)
		return nil
	}
	l := &look{family: v.family, rung: r, asked: s, begun: now, kicked: v.kicked}
	v.busy, v.kicked = true, ""
	v.looks++
	return l
}

// ended notes how a look ended, says when the next one is due, and returns why a hint is to be given, or "".
func (v *vigil) ended(o outcome, now time.Time, pace time.Duration) (hint string) {
	v.busy = false
	if o.err != nil {
		hint = v.missed(o, now, pace)
	} else {
		hint = v.answered(o, now, pace)
	}
	if v.kicked != "" { // meanwhile
		v.nextAt(now)
	}
	return hint
}

func (v *vigil) missed(o outcome, now time.Time, pace time.Duration) (hint string) {
	v.failures++
	v.fault = clean(o.err.Error(), 200)
	v.ladder.failed(o.rung, o.asked, now)
	switch {
	case v.ladder.stuck(now):
		v.outage, v.method = true, MethodNone
		v.nextRegular(pace)
	case v.method == MethodHTTPS && o.rung.method != MethodHTTPS:
		v.nextSlow(now) // UDP is still blocked; that is no reason to ask over HTTPS more often
	default:
		v.nextAt(now.Add(RetryAfter))
	}
	o.asked.hush(now)
	if o.kicked != "" {
		return o.kicked + "; a server that could tell whether it is the same network did not answer"
	}
	return ""
}

func (v *vigil) answered(o outcome, now time.Time, pace time.Duration) (hint string) {
	back := v.outage
	v.outage, v.method, v.fault = false, o.rung.method, ""
	v.ladder.answered(o.rung, o.asked)
	hint, again := v.saw(o, now)
	v.inARow++
	if !again {
		v.inARow = 0
	}
	if hint == "" && back {
		hint = o.asked.by + " answers again"
	}
	o.asked.forgive(now)
	o.asked.hush(now)
	switch {
	case again:
		v.nextAt(now.Add(LookAfter))
	case o.rung.method == MethodHTTPS && v.ladder[0] != o.rung:
		v.slow = o.begun.Add(spread(SlowEvery * 9 / 10)) // never later than SlowEvery, which status promises
		v.nextSlow(now)
	default:
		v.nextRegular(pace)
	}
	return hint
}

// nextSlow makes the next look over HTTPS due, or an earlier one by a better method that may be tried again.
func (v *vigil) nextSlow(now time.Time) {
	at := v.slow
	for _, r := range v.ladder {
		if opens := r.opens(); r.method != MethodHTTPS && opens.Before(at) {
			at = opens
		}
	}
	v.nextAt(latest(at, now.Add(RetryAfter)))
}
