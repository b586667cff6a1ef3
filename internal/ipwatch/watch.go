package ipwatch

import (
	"context"
	"strings"
	"time"
)

// The times in which a [Watcher] weighs what the system tells.
const (
	// SettleQuiet is the quiet time after an event: a joining network sends 20 to 30 of them.
	SettleQuiet = 250 * time.Millisecond
	// SettleCeiling ends the settling of a network that never becomes quiet.
	SettleCeiling = 2 * time.Second
	// WakePatience is how long a computer that woke may take to find a network; WakeStep how often it is looked
	// at, since the route may have been there all the time and then brings no event.
	WakePatience = 30 * time.Second
	WakeStep     = time.Second
)

// Behind watches for changes that nothing on this computer shows, behind the NAT. *[Tripwire] is one.
type Behind interface {
	EventSource
	// Kick asks for a look now.
	Kick(reason string)
}

// Watcher makes few hints that are worth asking the sources for out of the many events of a system. It is an
// [EventSource] whose hints have settled already.
type Watcher struct {
	// System gives the events of the operating system; nil is none.
	System EventSource
	// Behind watches behind the NAT; nil is nobody, and then what may have changed unseen is a hint at once.
	Behind Behind
	// Compare looks at this computer's own addresses and ways out, and says in a sentence how they differ from the
	// last time; "" when they do not.
	Compare func() string
	// Routed tells whether there is a way out now; nil is yes.
	Routed func() bool
	// Told, when set, is called with each burst of events and what became of it, from the watcher's goroutine.
	Told func(Burst)
}

// Burst is what happened within one settling time.
type Burst struct {
	At      time.Time
	Kinds   map[HintKind]int // events of each kind
	Reasons []string         // the first few, for people; safe to print
	Lost    bool
	Outcome Outcome
	Why     string // a sentence
}

// Outcome is what a [Watcher] makes of a burst.
type Outcome string

// The outcomes.
const (
	Ignored Outcome = "ignored" // nothing has changed that matters
	Kicked  Outcome = "kicked"  // looks the same, and may be another network: the watch behind the NAT looks now
	Looked  Outcome = "look"    // a hint: the sources are to be asked
	Waits   Outcome = "waits"   // woken up without a network yet
)

// Events starts the watching. It fails when neither the system nor the watch behind the NAT can give events.
func (w *Watcher) Events(ctx context.Context) (<-chan Hint, error) {
	r := &weighing{Watcher: w, out: make(chan Hint, 16)}
	var err error
	if w.System != nil {
		if r.system, err = w.System.Events(ctx); err != nil {
			return nil, err
		}
	}
	if w.Behind != nil {
		if r.behind, err = w.Behind.Events(ctx); err != nil {
			return nil, err
		}
	}
	w.Compare() // what is compared with from now on
	go r.run(ctx)
	return r.out, nil
}

// weighing is a running Watcher. One goroutine owns it.
type weighing struct {
	*Watcher
	system, behind <-chan Hint
	out            chan Hint
	burst          *Burst
	first          Hint      // of the burst
	woke           time.Time // when a wake that still waits for a route happened; zero: none does
}

func (w *weighing) run(ctx context.Context) {
	defer close(w.out)
	quiet, ceiling, step := idleTimer(), idleTimer(), idleTimer()
	defer quiet.Stop()
	defer ceiling.Stop()
	defer step.Stop()
	for {
		waiting := !w.woke.IsZero()
		select {
		case <-ctx.Done():
			return
		case h, ok := <-w.behind:
			if !ok {
				w.behind = nil
				continue
			}
			w.emit(h)
		case h, ok := <-w.system:
			if !ok {
				w.system = nil
				continue
			}
			if h.Kind == HintStatus {
				w.emit(h)
				continue
			}
			if w.add(h) {
				ceiling.Reset(SettleCeiling)
			}
			quiet.Reset(SettleQuiet)
		case <-quiet.C:
			w.settled()
		case <-ceiling.C:
			w.settled()
		case <-step.C:
			w.awake()
			waiting = false // for the step after it
		}
		if w.burst == nil {
			quiet.Stop()
			ceiling.Stop()
		}
		switch {
		case w.woke.IsZero():
			step.Stop()
		case !waiting: // else it is under way, and events do not put it off
			step.Reset(WakeStep)
		}
	}
}

// idleTimer is a timer that does not run yet.
func idleTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// maxReasons is how many reasons a burst keeps: enough to see what it is about.
const maxReasons = 4

// add puts an event into the burst, and reports whether it is the first one.
func (w *weighing) add(h Hint) (first bool) {
	if first = w.burst == nil; first {
		w.burst, w.first = &Burst{At: h.At, Kinds: map[HintKind]int{}}, h
	}
	b := w.burst
	b.Kinds[h.Kind]++
	b.Lost = b.Lost || h.Lost
	if r := h.Reason; r != "" && len(b.Reasons) < maxReasons && (len(b.Reasons) == 0 || b.Reasons[len(b.Reasons)-1] != r) {
		b.Reasons = append(b.Reasons, r)
	}
	return first
}

// settled weighs a burst that is over.
func (w *weighing) settled() {
	b, h := w.burst, w.first
	if b == nil {
		return
	}
	w.burst = nil
	diff := w.Compare()
	switch {
	case diff != "":
		w.woke = time.Time{}
		h.Reason = diff
		w.tell(b, Looked, diff)
		w.emit(h)
	case b.Kinds[HintWake] > 0 && !w.routed():
		w.woke = time.Now()
		w.tell(b, Waits, "the computer woke up, and has no network yet")
	case b.Kinds[HintWake] > 0, b.Kinds[HintAsked] > 0:
		if b.Kinds[HintWake] > 0 {
			h.Kind = HintWake
		} else {
			h.Kind = HintAsked
		}
		h.Reason = strings.Join(b.Reasons, "; ")
		w.tell(b, Looked, h.Reason)
		w.emit(h)
	case !b.Lost:
		w.tell(b, Ignored, "no address and no way out has changed")
	case w.Behind != nil:
		w.tell(b, Kicked, "it looks the same as before, and may be another network: asking what is seen from outside")
		w.Behind.Kick(strings.Join(b.Reasons, "; "))
	default:
		h.Reason = strings.Join(b.Reasons, "; ")
		w.tell(b, Looked, "it looks the same as before, and may be another network")
		w.emit(h)
	}
}

// awake looks whether the network has come back after a wake.
func (w *weighing) awake() {
	if w.woke.IsZero() || !w.routed() && time.Since(w.woke) < WakePatience {
		return
	}
	w.woke = time.Time{}
	w.Compare() // the look that follows covers what has changed until now
	w.emit(Hint{Kind: HintWake, Reason: "the computer woke up", At: time.Now(), Lost: true})
}

func (w *weighing) routed() bool { return w.Routed == nil || w.Routed() }

func (w *weighing) tell(b *Burst, o Outcome, why string) {
	b.Outcome, b.Why = o, why
	if w.Told != nil {
		w.Told(*b)
	}
}

// emit hands a hint on. One that does not fit says the same as those that wait: look again. Its time is that of the
// comparison: a look that begins later covers it.
func (w *weighing) emit(h Hint) {
	h.At = time.Now()
	select {
	case w.out <- h:
	default:
	}
}
