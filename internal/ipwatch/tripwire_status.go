package ipwatch

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TripwireStatus is how changes behind the NAT are noticed now. The names in JSON are stable.
type TripwireStatus struct {
	Families map[Family]FamilyWatch `json:"families"`
	Hints    int                    `json:"hints"`   // that were given since the start
	Traffic  Traffic                `json:"traffic"` // over UDP since the start, name look-ups and HTTPS apart
}

// FamilyWatch is the same for one family. What is not known is null in JSON.
type FamilyWatch struct {
	Method   Method     `json:"method"`
	Why      string     `json:"why"`     // a sentence for people, safe to print
	By       string     `json:"by"`      // who answered last; safe to print
	Address  *string    `json:"address"` // what it saw; a trigger and no evidence: anybody on the way can forge it
	At       *time.Time `json:"at"`      // when it was asked
	Looks    int        `json:"looks"`
	Failures int        `json:"failures"`
	Error    *string    `json:"error"` // of the last look, if it failed; safe to print
	Next     *time.Time `json:"next"`  // when it is looked again
}

// Status tells how changes are noticed now, for the families that are looked at.
func (t *Tripwire) Status() TripwireStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := TripwireStatus{Families: make(map[Family]FamilyWatch), Hints: t.hints}
	for _, f := range t.looking {
		v := t.vigil(f)
		w := FamilyWatch{Method: v.method, Why: v.why(t.pace(f)), By: v.newest.by, Looks: v.looks, Failures: v.failures}
		if w.Method == "" {
			w.Method = MethodNone
		}
		if v.newest.addr.IsValid() {
			addr, at := v.newest.addr.String(), v.newest.at.UTC()
			w.Address, w.At = &addr, &at
		}
		if v.fault != "" {
			text := v.fault
			w.Error = &text
		}
		if !v.busy && !v.due.IsZero() {
			at := v.due.UTC()
			w.Next = &at
		}
		st.Families[f] = w
	}
	for _, list := range [][]Prober{t.STUN, t.DNS} {
		for _, p := range list {
			if c, ok := p.(interface{ Traffic() Traffic }); ok {
				st.Traffic = st.Traffic.plus(c.Traffic())
			}
		}
	}
	return st
}

// Sentences say the same to people: one for each family that is looked at.
func (t *Tripwire) Sentences() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentences()
}

func (t *Tripwire) sentences() []string {
	var lines []string
	for _, f := range t.looking {
		lines = append(lines, t.vigil(f).why(t.pace(f)))
	}
	return lines
}

// why is the sentence for one family. It names no count and no time of day, so it only changes with its meaning.
func (v *vigil) why(pace time.Duration) string {
	const change = "a change behind the router"
	family, every := v.family.label(), plain(max(pace, v.ladder.rare(v.method)))
	var b strings.Builder
	switch {
	case !v.routed:
		fmt.Fprintf(&b, "There is no route over %s, so nobody is asked about changes behind the router.", family)
	case v.outage:
		fmt.Fprintf(&b, "Nobody outside answers over %s: %s is noticed once the network works.", family, change)
	case v.method == MethodSTUN:
		fmt.Fprintf(&b, "%s over %s is noticed within about %s (STUN).", upper(change), family, every)
	case v.method == MethodDNS:
		fmt.Fprintf(&b, "No STUN server answers over %s, so name servers are asked: %s is noticed within about %s.", family, change, every)
	case v.method == MethodHTTPS && v.ladder.best() == MethodHTTPS:
		fmt.Fprintf(&b, "STUN is turned off, so an HTTPS source is asked: %s over %s is noticed within about %s.", change, family, every)
	case v.method == MethodHTTPS && v.ladder.noise() == "":
		fmt.Fprintf(&b, "UDP is blocked here: %s over %s is noticed within %d minutes.", change, family, int(SlowEvery.Minutes()))
	case v.method == MethodHTTPS:
		fmt.Fprintf(&b, "An HTTPS source is asked now and then: %s over %s is noticed within %d minutes.", change, family, int(SlowEvery.Minutes()))
	default:
		fmt.Fprintf(&b, "Nobody has been asked over %s yet.", family)
	}
	b.WriteString(v.ladder.noise())
	return b.String()
}

// rare is RareEvery when all servers of a method are asked rarely, else 0.
func (l ladder) rare(m Method) time.Duration {
	for _, r := range l {
		if r.method == m && m != MethodHTTPS && !slices.ContainsFunc(r.servers, func(s *server) bool { return !s.noisy() }) {
			return RareEvery
		}
	}
	return 0
}

// noise names the servers that are asked rarely for their strikes.
func (l ladder) noise() string {
	var who []string
	for _, r := range l {
		for _, s := range r.servers {
			if s.noisy() {
				who = append(who, s.by)
			}
		}
	}
	switch len(who) {
	case 0:
		return ""
	case 1:
		return " " + upper(who[0]) + " keeps seeing other addresses than the sources: it is asked rarely."
	}
	last := len(who) - 1
	return " " + upper(strings.Join(who[:last], ", ")) + " and " + who[last] + " keep seeing other addresses than the sources: they are asked rarely."
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// plain is a duration without its empty parts: 30s, 2m, 1h.
func plain(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
