package ipwatch

import (
	"math/rand/v2"
	"slices"
	"time"
)

// How often the sources are asked. They belong to others: a network that never rests, or a liar on the way, must
// not make this computer a nuisance to them.
const (
	LookSpacing    = 2 * time.Second
	LooksPerMinute = 6
	// LookAgain is how often an address that stays unknown is looked at; LookAgain6 the same while only IPv6
	// is not known, and the cluster is reached over IPv4.
	LookAgain  = 5 * time.Minute
	LookAgain6 = 30 * time.Minute
)

// lookAgain are the pauses before an unknown address is looked at again; LookAgain follows. Portals are signed
// in to and routers come up within a minute or so; any event starts the table anew.
var lookAgain = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
	32 * time.Second, time.Minute}

// Pace says when the sources may be asked, and when they are asked again because the address is not known. The
// zero Pace is ready. Times are monotonic: a sleep of the computer is no time in which it asked.
type Pace struct {
	asked   []time.Time // the latest, at most LooksPerMinute of them
	unknown int         // looks in a row that left the address unknown, since the last event
}

// Wait is how long the next look has to wait; 0 is not at all.
func (p *Pace) Wait(now time.Time) (d time.Duration) {
	if n := len(p.asked); n > 0 {
		d = LookSpacing - now.Sub(p.asked[n-1])
		if n == LooksPerMinute {
			d = max(d, time.Minute-now.Sub(p.asked[0]))
		}
	}
	return max(d, 0)
}

// Room tells whether another look may begin within this minute, whenever the last one was.
func (p *Pace) Room(now time.Time) bool {
	return len(p.asked) < LooksPerMinute || now.Sub(p.asked[0]) >= time.Minute
}

// Asked notes a look that has asked somebody.
func (p *Pace) Asked(now time.Time) {
	p.asked = append(p.asked, now)
	p.asked = slices.Clone(p.asked[max(0, len(p.asked)-LooksPerMinute):])
}

// Event notes that something happened: what is not known is looked at again soon.
func (p *Pace) Event() { p.unknown = 0 }

// Known notes that the address is known.
func (p *Pace) Known() { p.unknown = 0 }

// Unknown notes that the address is not known, and returns the pause until the next look, longer or shorter by up
// to 20 %: many laptops wake behind the same broken network. only6 tells that IPv4 is known.
func (p *Pace) Unknown(only6 bool) time.Duration {
	pause := LookAgain
	switch {
	case p.unknown < len(lookAgain):
		pause = lookAgain[p.unknown]
	case only6:
		pause = LookAgain6
	}
	p.unknown++
	return pause + time.Duration((2*rand.Float64()-1)*0.2*float64(pause))
}
