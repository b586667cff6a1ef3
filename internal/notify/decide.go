package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Matter is something that the user should know.
type Matter struct {
	Key string // what it is: one key is told once, until it was settled and has come back
	Message
	// After is how long it must have stood before it is told: what passes by itself is nobody's business.
	After time.Duration
	// Unclear says that nobody can tell now whether it still stands: nothing is told, and nothing forgotten.
	Unclear bool
	// Once says that it is an event, and does not stand.
	Once bool
}

// Told is what is remembered of a matter, by the wall clock.
type Told struct {
	First  time.Time `json:"first"`           // when it began to stand
	Gone   time.Time `json:"gone,omitzero"`   // when it was first seen to stand no more; zero: it stands
	Logged time.Time `json:"logged,omitzero"` // when it was written to the log
	Shown  time.Time `json:"shown,omitzero"`  // when it was shown
}

// Memory is what has been told. It outlives the process.
type Memory struct {
	Matters map[string]Told `json:"matters"`
	Recent  []time.Time     `json:"recent"` // when something was shown lately
}

const (
	// Settled is how long a matter must be gone to be told again: one that comes and goes is the same matter.
	Settled = 15 * time.Minute
	// Most is how many messages are shown within [Window], whatever they are about: beyond that nobody reads them.
	Most = 4
	// Window is the time that [Most] is about.
	Window = time.Hour
	// remembered bounds the memory; a configuration has some targets, and each of them a few matters.
	remembered = 500
)

// Decide returns which matters are to be told now, the urgent ones first, and what to remember. It is pure: the caller
// notes in the memory what was really shown, with [Memory.Show] and [Memory.Log].
func Decide(mem Memory, matters []Matter, now time.Time) (tell []Matter, next Memory) {
	next = Memory{Matters: map[string]Told{}}
	for _, t := range mem.Recent {
		if age := now.Sub(t); age >= 0 && age < Window {
			next.Recent = append(next.Recent, t)
		}
	}
	for key, t := range mem.Matters {
		// Only what was seen counts: a computer that sleeps, or a daemon that does not run, settles nothing.
		if t.Gone.IsZero() || t.Gone.After(now) {
			t.Gone = now
		}
		next.Matters[key] = t
	}
	for _, m := range matters {
		t, known := next.Matters[m.Key]
		if m.Unclear && !known {
			continue
		}
		if again := !t.Gone.IsZero() && now.Sub(t.Gone) >= Settled; (!known || again) && !m.Unclear {
			t = Told{First: now}
		}
		if t.First.After(now) { // the clock was put back
			t.First = now
		}
		t.Gone = time.Time{}
		next.Matters[m.Key] = t
		if m.Unclear {
			continue
		}
		twice := slices.ContainsFunc(tell, func(o Matter) bool { return o.Key == m.Key })
		if t.Shown.IsZero() && now.Sub(t.First) >= m.After && !twice {
			tell = append(tell, m)
		}
	}
	slices.SortStableFunc(tell, func(a, b Matter) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Key, b.Key))
	})
	if room := max(0, Most-len(next.Recent)); len(tell) > room {
		tell = tell[:room] // the rest is told when there is room, if it still stands
	}
	maps.DeleteFunc(next.Matters, func(_ string, t Told) bool { return !t.Gone.IsZero() && now.Sub(t.Gone) >= Settled })
	for len(next.Matters) > remembered {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(next.Matters)), func(a, b string) int {
			return cmp.Or(next.Matters[a].First.Compare(next.Matters[b].First), cmp.Compare(a, b))
		})
		delete(next.Matters, oldest)
	}
	return tell, next
}

func rank(m Matter) int {
	if m.Urgent {
		return 0
	}
	return 1
}

// equal reports whether two memories say the same.
func (m Memory) equal(o Memory) bool {
	same := func(a, b time.Time) bool { return a.Equal(b) }
	return slices.EqualFunc(m.Recent, o.Recent, same) && maps.EqualFunc(m.Matters, o.Matters, func(a, b Told) bool {
		return same(a.First, b.First) && same(a.Gone, b.Gone) && same(a.Logged, b.Logged) && same(a.Shown, b.Shown)
	})
}

// Log notes that a matter was written to the log. It reports whether that was for the first time.
func (m *Memory) Log(key string, now time.Time) bool {
	t := m.Matters[key]
	if !t.Logged.IsZero() {
		return false
	}
	t.Logged = now
	m.Matters[key] = t
	return true
}

// Show notes that a matter was shown.
func (m *Memory) Show(key string, now time.Time) {
	t := m.Matters[key]
	t.Shown = now
	m.Matters[key] = t
	m.Recent = append(m.Recent, now)
}
