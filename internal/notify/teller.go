package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// showTime is how long a desktop may take to accept a message.
	showTime = 5 * time.Second
	// lastWord is how long it may still take when the daemon ends.
	lastWord = 500 * time.Millisecond
	// stale is when an event is no news any more. There is room for it within [Window], at the round after that.
	stale = 2 * Window
)

// Teller tells matters in the background: a desktop that hangs holds up nobody. Its fields are set before [Teller.Run].
type Teller struct {
	Desktop Desktop // nil: the log alone
	Log     *slog.Logger
	Load    func() Memory
	Save    func(Memory) error
	Wall    func() time.Time

	matters chan []Matter
	mute    bool // it was said that there is no desktop
}

// NewTeller makes a teller that has told nothing.
func NewTeller(d Desktop, log *slog.Logger, load func() Memory, save func(Memory) error) *Teller {
	return &Teller{Desktop: d, Log: log, Load: load, Save: save, Wall: func() time.Time { return time.Now().Round(0) }, matters: make(chan []Matter, 1)}
}

// Stand says which matters stand now. It never waits; of several before they could be told the last counts, with what
// the others have of [Matter.Once].
func (t *Teller) Stand(ms []Matter) {
	for {
		select {
		case t.matters <- ms:
			return
		default:
		}
		select {
		case old := <-t.matters:
			for _, m := range old {
				if m.Once {
					ms = append(slices.Clone(ms), m)
				}
			}
		default:
		}
	}
}

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) {
	mem := t.Load()
	var late []Matter
	for {
		select {
		case <-ctx.Done():
			return
		case ms := <-t.matters:
			if !slices.ContainsFunc(ms, func(m Matter) bool { return m.Once }) {
				ms = slices.Concat(ms, untold(mem, late, t.Wall())) // nobody may have looked for long
			}
			mem = t.tell(ctx, mem, ms)
			late = untold(mem, ms, t.Wall())
		}
	}
}

// untold is the event that was not shown, for want of room or of somebody to see it, and is told later. Of several it is the last
// one, which comes first and has overtaken the others.
func untold(mem Memory, ms []Matter, now time.Time) []Matter {
	i := slices.IndexFunc(ms, func(m Matter) bool { return m.Once })
	if i < 0 {
		return nil
	}
	if told := mem.Matters[ms[i].Key]; !told.Shown.IsZero() || now.Sub(told.First) >= stale {
		return nil
	}
	return ms[i : i+1 : i+1]
}

// tell tells what is to be told now.
func (t *Teller) tell(ctx context.Context, mem Memory, ms []Matter) Memory {
	now := t.Wall()
	tell, next := Decide(mem, ms, now)
	for _, m := range tell {
		if next.Log(m.Key, now) {
			p := m.plain()
			level := slog.LevelWarn
			if m.Once {
				level = slog.LevelInfo
			}
			t.Log.Log(ctx, level, "the user is told", slog.String("title", p.Title), slog.String("text", p.Text))
		}
		if t.show(ctx, m.Message) {
			next.Show(m.Key, now)
		}
	}
	if next.equal(mem) {
		return mem
	}
	if err := t.Save(next); err != nil {
		t.Log.Warn("what was told could not be saved", slog.Any("error", err))
	}
	return next
}

// show reports whether the message needs not be shown again.
func (t *Teller) show(ctx context.Context, m Message) bool {
	if t.Desktop == nil {
		return true
	}
	// A desktop that is about to answer is not cut off: else nobody knows that it was shown, and it is shown again.
	showing, cancel := context.WithTimeout(context.WithoutCancel(ctx), showTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWord, cancel) })()
	err := t.Desktop.Show(showing, m)
	switch {
	case err == nil:
		t.mute = false
	case errors.Is(err, ErrNoDesktop) && t.mute:
	default:
		t.mute = true
		t.Log.Info("no notification was shown; it is tried again while the matter stands", slog.Any("error", err))
	}
	return err == nil
}
