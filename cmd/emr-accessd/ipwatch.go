package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// ipEvent is one line of `ip --watch --json`; docs/json.md describes it. Fields that do not belong to an event's kind
// are left out.
type ipEvent struct {
	At      time.Time               `json:"at"`
	Event   string                  `json:"event"` // burst, hint, verdict or noticing
	Kinds   map[string]int          `json:"kinds,omitempty"`
	Reasons []string                `json:"reasons,omitempty"`
	Lost    bool                    `json:"lost,omitempty"`
	Outcome string                  `json:"outcome,omitempty"`
	Kind    string                  `json:"kind,omitempty"`
	Why     string                  `json:"why,omitempty"`
	Family  string                  `json:"family,omitempty"`
	Verdict *ipVerdict              `json:"verdict,omitempty"`
	TookMS  float64                 `json:"took_ms,omitempty"`
	Lines   []string                `json:"noticing,omitempty"`
	Outside *ipwatch.TripwireStatus `json:"outside,omitempty"`
}

// ipWatching shows events and verdicts as they come, until ctx ends. Nothing is changed, and no AWS call is made.
type ipWatching struct {
	*app
	det      *ipwatch.Detector
	notice   *noticing
	families []ipwatch.Family
	pace     ipwatch.Pace
	history  map[ipwatch.Family][]ipwatch.Verdict
	events   chan ipEvent
}

// watchIP runs `ip --watch`.
func (a *app) watchIP(ctx context.Context, det *ipwatch.Detector) error {
	w := &ipWatching{app: a, det: det, history: map[ipwatch.Family][]ipwatch.Verdict{}, events: make(chan ipEvent, 64)}
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		if det.Setting(f).Mode != ipwatch.ModeOff {
			w.families = append(w.families, f)
		}
	}
	none := func() []netip.Addr { return nil }
	w.notice = a.notice(det, none, func() []ipwatch.Family { return w.families }, func() time.Duration { return a.cfg.Address.Interval })
	w.notice.Told = func(b ipwatch.Burst) { w.events <- burstEvent(b) }
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hints, err := w.notice.Events(ctx)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		done <- w.look(ctx, hints)
		close(w.events)
	}()
	for e := range w.events {
		if err == nil {
			if err = w.show(e); err != nil {
				cancel() // nobody reads any more
			}
		}
	}
	if lerr := <-done; err == nil {
		err = lerr
	}
	return err
}

// asked is what one family's look has come to.
type asked struct {
	verdict   ipwatch.Verdict
	took      time.Duration
	questions int
}

// look asks the sources at the start, at each hint and again while the address is not known. A hint in the middle
// of a look ends it: it is about a network that is gone.
func (w *ipWatching) look(ctx context.Context, hints <-chan ipwatch.Hint) error {
	w.say(ipEvent{At: time.Now(), Event: "noticing", Lines: w.notice.Notes()})
	results := make(chan []asked)
	allowed, again, giveUp := time.After(0), (<-chan time.Time)(nil), func() {}
	for busy := false; ; {
		select {
		case <-ctx.Done():
			giveUp()
			if busy {
				<-results
			}
			for ok := hints != nil; ok; { // whoever tells of bursts has ended when this is closed
				_, ok = <-hints
			}
			return nil
		case <-again:
			again, allowed = nil, time.After(w.pace.Wait(time.Now()))
		case <-allowed:
			allowed, again, busy = nil, nil, true
			actx, cancel := context.WithCancel(ctx)
			giveUp = cancel
			go func() { results <- w.ask(actx) }()
		case r := <-results:
			busy = false
			giveUp()
			if pause := w.conclude(r, allowed != nil); pause > 0 {
				again = time.After(pause)
			}
		case h, ok := <-hints:
			switch {
			case !ok:
				hints = nil
			case h.Kind == ipwatch.HintStatus:
				w.say(ipEvent{At: h.At, Event: "noticing", Lines: w.notice.Notes(), Outside: w.outside()})
			default:
				w.pace.Event()
				w.say(ipEvent{At: h.At, Event: "hint", Kind: string(h.Kind), Why: h.Reason})
				wait := w.pace.Wait(time.Now())
				if busy && w.pace.Room(time.Now()) {
					giveUp()
					wait = 0
				}
				if allowed == nil {
					allowed = time.After(wait)
				}
			}
		}
		if busy && allowed != nil { // the one that was given up comes to its end first
			r := <-results
			busy = false
			giveUp()
			w.conclude(r, true)
		}
	}
}

// ask asks for each family.
func (w *ipWatching) ask(ctx context.Context) (all []asked) {
	for _, f := range w.families {
		begin := time.Now()
		o := w.det.Observe(ctx, f)
		if ctx.Err() != nil {
			return all
		}
		v := w.det.Conclude(o, nil)
		v.Warnings = nil // of a node that is not known: there is none here
		all = append(all, asked{v, time.Since(begin), len(o.Answers)})
	}
	return all
}

// conclude shows what a look has come to. It returns the pause until the next one, 0 for none.
func (w *ipWatching) conclude(all []asked, gaveUp bool) time.Duration {
	known4, unknown := false, false
	for _, r := range all {
		v, f := r.verdict, r.verdict.Family
		if r.questions > 0 {
			w.pace.Asked(time.Now())
		}
		w.notice.looked(v)
		w.history[f] = append(w.history[f][max(0, len(w.history[f])-2*ipwatch.StandingAfter):], v)
		if v.State == ipwatch.Conflict {
			v.Why, v.Remedy = ipwatch.Standing(w.history[f])
		}
		ans := answerOf(v)
		w.say(ipEvent{At: time.Now(), Event: "verdict", Family: f.String(), Verdict: &ans, TookMS: millis(r.took), Outside: w.outside()})
		known4 = known4 || f == ipwatch.V4 && v.State == ipwatch.Confirmed
		unknown = unknown || v.State != ipwatch.Confirmed && v.State != ipwatch.Absent
	}
	switch {
	case gaveUp:
		return 0
	case unknown:
		return w.pace.Unknown(known4)
	}
	w.pace.Known()
	return 0
}

func (w *ipWatching) outside() *ipwatch.TripwireStatus {
	if w.notice.tripwire == nil || !w.flags.json {
		return nil
	}
	st := w.notice.tripwire.Status()
	return &st
}

func (w *ipWatching) say(e ipEvent) { w.events <- e }

func millis(d time.Duration) float64 { return float64(d.Round(100*time.Microsecond)) / 1e6 }

func burstEvent(b ipwatch.Burst) ipEvent {
	kinds := map[string]int{}
	for k, n := range b.Kinds {
		kinds[string(k)] = n
	}
	return ipEvent{At: b.At, Event: "burst", Kinds: kinds, Reasons: b.Reasons, Lost: b.Lost, Outcome: string(b.Outcome), Why: b.Why}
}

// show writes one event, as a line of JSON or of text.
func (w *ipWatching) show(e ipEvent) error {
	e.At = e.At.Round(0)
	if w.flags.json {
		e.At = e.At.UTC()
		return w.printLine(e)
	}
	_, err := io.WriteString(w.Out, e.text())
	return err
}

// text is an event for people: the time, what it is, and why. These lines are what a bug report needs.
func (e ipEvent) text() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%s  %-9s %s\n", e.At.Format("15:04:05.000"), what, printable(fmt.Sprintf(format, args...)))
	}
	switch e.Event {
	case "noticing":
		for _, n := range e.Lines {
			line("watching", "%s", n)
		}
	case "burst":
		var kinds []string
		for k, n := range e.Kinds {
			kinds = append(kinds, fmt.Sprintf("%d %s", n, k))
		}
		slices.Sort(kinds)
		line("events", "%s: %s", strings.Join(kinds, ", "), strings.Join(e.Reasons, "; "))
		line("  "+e.Outcome, "%s", e.Why)
	case "hint":
		line("hint", "%s: %s", e.Kind, e.Why)
	case "verdict":
		v := e.Verdict
		line(e.Family, "%s%s (%.0f ms): %s", v.State, space(v.Address), e.TookMS, v.Why)
		for _, r := range v.Answers {
			said := r.Address
			if r.Error != nil {
				said = *r.Error
			}
			line("", "  %s says %s (%.0f ms)", r.Operator, said, r.TookMS)
		}
	}
	return b.String()
}

func space(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}
