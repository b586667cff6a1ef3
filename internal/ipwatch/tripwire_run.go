package ipwatch

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// outcome is a look that has ended.
type outcome struct {
	*look
	sighting Sighting
	err      error
}

func (t *Tripwire) run(ctx context.Context, hints chan<- Hint) {
	defer close(hints)
	outcomes := make(chan outcome)
	timer := idleTimer()
	defer timer.Stop()
	for running := 0; ; {
		started, wait := t.start(ctx, outcomes)
		running += started
		timer.Reset(min(wait, t.emit(hints)))
		select {
		case <-ctx.Done():
			for ; running > 0; running-- {
				<-outcomes
			}
			return
		case o := <-outcomes:
			running--
			t.ended(o)
		case <-t.poke:
		case <-timer.C:
		}
	}
}

// start begins the looks that are due, and returns how many and how long nothing else is due.
func (t *Tripwire) start(ctx context.Context, outcomes chan<- outcome) (started int, wait time.Duration) {
	every, families := DefaultInterval, []Family{V4}
	if t.Interval != nil {
		if d := t.Interval(); d > 0 {
			every = d
		}
	}
	if t.Families != nil {
		families = t.Families()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.every, t.looking = every, families
	wait = pollEvery
	for _, f := range families {
		now, v := time.Now(), t.vigil(f)
		if v.busy {
			continue
		}
		if d := v.wait(now, t.pace(f)); d > 0 {
			wait = min(wait, d)
			continue
		}
		if !t.routedNow(f) {
			v.unrouted(now, t.pace(f))
		} else if l := v.begin(now, t.pace(f)); l != nil {
			started++
			go func() {
				s, err := l.asked.ask(ctx, f)
				outcomes <- outcome{l, s, err}
			}()
			continue
		}
		wait = min(wait, v.wait(now, t.pace(f)))
	}
	return started, wait
}

// pace is the time between two looks of a family.
func (t *Tripwire) pace(f Family) time.Duration {
	if f == V6 && slices.Contains(t.looking, V4) {
		return t.every * Every6
	}
	return t.every
}

// routedNow asks for a way out, without holding mu meanwhile: what is asked is not our code.
func (t *Tripwire) routedNow(f Family) bool {
	t.mu.Unlock()
	defer t.mu.Lock()
	if t.Routed != nil {
		return t.Routed(f)
	}
	c, err := net.DialUDP(f.udp(), nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.anchor(), 3478)))
	if err != nil {
		return !NoRoute(err)
	}
	c.Close()
	return true
}

// ended makes a hint of what a look has seen.
func (t *Tripwire) ended(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.vigil(o.family)
	was := o.asked.last.addr
	reason := v.ended(o, time.Now(), t.pace(o.family))
	if reason == "" {
		return
	}
	if t.Log != nil {
		t.Log.Debug("the view from outside", slog.String("family", o.family.String()), slog.String("reason", reason),
			slog.String("by", o.asked.by), slog.String("was", addrText(was)), slog.String("is", addrText(o.sighting.Addr)))
	}
	t.owed = &Hint{Kind: HintOutside, Reason: reason, Lost: true}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// emit gives the hint that is owed when its minute allows it, and a HintStatus when the sentences have changed. It
// returns how long it has nothing to do.
func (t *Tripwire) emit(hints chan<- Hint) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	give := func(h Hint) {
		select {
		case hints <- h:
		default: // those that wait say the same
		}
	}
	if told := fmt.Sprint(t.sentences()); told != t.told {
		t.told = told
		give(Hint{Kind: HintStatus, Reason: "how changes behind the router are noticed has changed", At: now})
	}
	for len(t.given) > 0 && now.Sub(t.given[0]) >= time.Minute {
		t.given = t.given[1:]
	}
	switch {
	case t.owed == nil:
		return pollEvery
	case len(t.given) >= HintsPerMinute:
		return time.Minute - now.Sub(t.given[0])
	}
	t.owed.At = now // it may have waited
	give(*t.owed)
	t.owed = nil
	t.given = append(t.given, now)
	t.hints++
	return pollEvery
}
