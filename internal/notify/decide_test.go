package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// step is a look at what stands, some time after the one before.
type step struct {
	after time.Duration
	stand string // keys with spaces; "?" behind one: unclear, "!": urgent
	want  string // keys that are told
}

func play(mem Memory, now time.Time, stand string, patience time.Duration) (told []string, next Memory) {
	var ms []Matter
	for key := range strings.FieldsSeq(stand) {
		m := Matter{Key: strings.TrimRight(key, "?!"), Unclear: strings.HasSuffix(key, "?"), After: patience}
		m.Urgent = strings.HasSuffix(key, "!")
		ms = append(ms, m)
	}
	tell, next := Decide(mem, ms, now)
	for _, m := range tell {
		told = append(told, m.Key)
		next.Show(m.Key, now)
	}
	return told, next
}

func TestDecide(t *testing.T) {
	for name, tt := range map[string]struct {
		patience time.Duration
		steps    []step
	}{
		"once":                       {0, []step{{0, "a", "a"}, {time.Minute, "a", ""}, {100 * time.Hour, "a", ""}, {time.Minute, "a", ""}}}, // nobody looked for 100 hours: it may have stood
		"again after it was settled": {0, []step{{0, "a", "a"}, {time.Minute, "", ""}, {Settled, "", ""}, {time.Minute, "a", "a"}}},
		"coming and going":           {0, []step{{0, "a", "a"}, {time.Minute, "", ""}, {time.Minute, "a", ""}, {time.Minute, "", ""}, {Settled - time.Minute, "a", ""}}},
		"unclear is not settled":     {0, []step{{0, "a", "a"}, {time.Minute, "a?", ""}, {Settled, "a?", ""}, {20 * Settled, "a?", ""}, {time.Minute, "a", ""}}},
		"unclear is not told":        {0, []step{{0, "a?", ""}, {time.Hour, "a?", ""}, {time.Minute, "a", "a"}}},
		"patience":                   {5 * time.Minute, []step{{0, "a", ""}, {4 * time.Minute, "a", ""}, {time.Minute, "a", "a"}, {time.Minute, "a", ""}}},
		"passes by itself":           {5 * time.Minute, []step{{0, "a", ""}, {4 * time.Minute, "", ""}, {Settled, "", ""}, {time.Minute, "a", ""}}},
		"doubles":                    {0, []step{{0, "a a b", "a b"}}},
		"a flood":                    {0, []step{{0, "a b c d e f!", "f a b c"}, {time.Minute, "a b c d e f!", ""}, {Window, "a b c d e f!", "d e"}}},
		"the rest of a flood": {0, []step{{0, "a b c d e", "a b c d"}, {10 * time.Minute, "a b c d e", ""}, {10 * time.Minute, "a b c d e", ""},
			{10 * time.Minute, "a b c d e", ""}, {10 * time.Minute, "a b c d e", ""}, {10 * time.Minute, "a b c d e", ""}, {10 * time.Minute, "a b c d e", "e"}}},
		"a clock that is put back": {0, []step{{0, "a", "a"}, {-100 * time.Hour, "a", ""}, {time.Minute, "a", ""}, {time.Minute, "b", "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			mem, now := Memory{}, noon
			for i, s := range tt.steps {
				now = now.Add(s.after)
				var told []string
				told, mem = play(mem, now, s.stand, tt.patience)
				if got := strings.Join(told, " "); got != s.want {
					t.Errorf("step %d: told %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

// Each stretch of time in which a matter stands is told at most once, however it comes, goes and is unclear; and once
// it is, when there was room.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, now := Memory{}, noon
		gone := map[string]time.Time{}  // since when it was seen not to stand
		told := map[string]bool{}       // in this stretch
		first := map[string]time.Time{} // since when it stands
		var shown []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
			var ms []Matter
			standing := map[string]bool{}
			for k := range 6 {
				key := fmt.Sprint(k)
				_, known := first[key]
				at, away := gone[key]
				over := away && now.Sub(at) >= Settled
				switch rapid.IntRange(0, 3).Draw(t, "what") {
				case 0:
					ms = append(ms, Matter{Key: key, Unclear: true})
					delete(gone, key)
				case 1, 2:
					ms = append(ms, Matter{Key: key, After: time.Duration(k) * time.Minute})
					if !known || over {
						first[key] = now
						delete(told, key)
					}
					delete(gone, key)
					standing[key] = true
				default:
					if over {
						delete(first, key)
						delete(told, key)
						delete(gone, key)
					} else if known && !away {
						gone[key] = now
					}
				}
			}
			tell, next := Decide(mem, ms, now)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				tell, next = Decide(mem, ms, now) // it depends on nothing else
			}
			for _, m := range tell {
				if told[m.Key] || !standing[m.Key] || now.Sub(first[m.Key]) < m.After {
					t.Fatalf("%q is told, told before %v, stands %v since %v", m.Key, told[m.Key], standing[m.Key], first[m.Key])
				}
				told[m.Key] = true
				shown = append(shown, now)
				next.Show(m.Key, now)
			}
			recent := 0
			for _, at := range shown {
				if now.Sub(at) < Window {
					recent++
				}
			}
			if recent > Most {
				t.Fatalf("%d within %v", recent, Window)
			}
			for _, m := range ms {
				if standing[m.Key] && !told[m.Key] && now.Sub(first[m.Key]) >= m.After && recent < Most {
					t.Fatalf("%q is not told", m.Key)
				}
			}
			mem = next
		}
	})
}

// The memory does not grow for ever.
func TestDecideForgets(t *testing.T) {
	mem, now := Memory{}, noon
	for i := range 2000 {
		now = now.Add(time.Second)
		_, mem = Decide(mem, []Matter{{Key: fmt.Sprint(i)}}, now)
	}
	if len(mem.Matters) > remembered {
		t.Errorf("%d matters", len(mem.Matters))
	}
}
