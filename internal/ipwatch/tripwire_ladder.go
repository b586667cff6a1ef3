package ipwatch

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Method is how a family's changes behind the NAT are noticed.
type Method string

// The methods. A [Tripwire] uses the first one that works.
const (
	MethodSTUN  Method = "stun"
	MethodDNS   Method = "dns"
	MethodHTTPS Method = "https"
	MethodNone  Method = "none" // nobody answers, or there is no route
)

// limits are the looks in a row that fail until the next method is tried: packets get lost, and one operator may be
// down, but three looks at two operators are no accident.
var limits = map[Method]int{MethodSTUN: 3, MethodDNS: 2, MethodHTTPS: 1}

// restFor are the pauses before what did not answer is tried again; RareEvery follows. A router that starts takes a
// minute or two, and then STUN is worth to come back to; a firewall stays.
var restFor = [...]time.Duration{time.Minute, 3 * time.Minute}

// server is one that is asked over one family. Its baseline and its strikes outlive a kick.
type server struct {
	prober Prober
	by     string // what it calls itself; known after its first sighting

	verified bool // over HTTPS

	failed, rests int       // looks in a row that failed; the rests that followed
	rest          time.Time // not asked until then, because it does not answer

	last      glimpse
	strikes   int       // hints of it that changed nothing; each is forgiven after an hour
	struck    time.Time // the last strike, or the last one forgiven
	quiet     time.Time // not asked until then, because of its strikes
	accused   bool      // it has given a hint that nothing has been concluded of yet
	accusedAt time.Time
}

// glimpse is a sighting in memory; at is when the question went out.
type glimpse struct {
	addr   netip.Addr
	by     string
	at     time.Time
	agreed bool // the sources said the same, at that time or since
}

func (s *server) ask(ctx context.Context, f Family) (Sighting, error) {
	begin := time.Now()
	seen, err := s.prober.Probe(ctx, f)
	if err == nil && !f.Has(seen.Addr) {
		err = fault(FaultFamily, "the answer %s is not an %s address", seen.Addr, f.label())
	}
	seen.By = clean(seen.By, 120)
	if seen.Took == 0 {
		seen.Took = time.Since(begin)
	}
	return seen, err
}

// rung is a method with its servers, which are asked in turn.
type rung struct {
	method  Method
	servers []*server
	next    int
	failed  int       // looks in a row that failed, whichever server it was
	tries   int       // how often it was blocked in a row
	blocked time.Time // not tried until then
}

// ladder is the methods of a family, the best one first. It has at least one.
type ladder []*rung

type slowProber func(ctx context.Context, f Family) (Sighting, error)

func (p slowProber) Probe(ctx context.Context, f Family) (Sighting, error) { return p(ctx, f) }

func (t *Tripwire) newLadder() ladder {
	var l ladder
	add := func(m Method, probers ...Prober) {
		r := &rung{method: m}
		for _, p := range probers {
			r.servers = append(r.servers, &server{prober: p, verified: m == MethodHTTPS})
		}
		if len(probers) > 0 {
			l = append(l, r)
		}
	}
	if len(t.STUN) > 0 {
		add(MethodSTUN, t.STUN...)
		add(MethodDNS, t.DNS...)
	}
	if t.Slow != nil {
		add(MethodHTTPS, slowProber(t.Slow))
	}
	return l
}

// pick takes the next server of the best method that may be tried now. When none may, everything has failed: then
// the best method is tried all the same, since one packet is the cheapest way to notice that the network is back.
// A server rests for its strikes even then, unless force is set.
func (l ladder) pick(now time.Time, force bool) (*rung, *server) {
	for _, r := range l {
		if s := r.pick(func(s *server) bool { return r.open(s, now) }); s != nil {
			return r, s
		}
	}
	if len(l) == 0 {
		return nil, nil
	}
	s := l[0].pick(func(s *server) bool { return force || !now.Before(s.quiet) })
	return l[0], s
}

func (r *rung) pick(open func(*server) bool) *server {
	for i := range r.servers {
		at := (r.next + i) % len(r.servers)
		if s := r.servers[at]; open(s) {
			r.next = at + 1
			return s
		}
	}
	return nil
}

func (r *rung) open(s *server, now time.Time) bool {
	return !now.Before(r.blocked) && !now.Before(s.rest) && !now.Before(s.quiet)
}

// opens is when a method may be tried, by the times that are set now.
func (r *rung) opens() (first time.Time) {
	for _, s := range r.servers {
		at := latest(r.blocked, s.rest, s.quiet)
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func latest(ts ...time.Time) (last time.Time) {
	for _, t := range ts {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// stuck tells that nothing may be tried now.
func (l ladder) stuck(now time.Time) bool {
	for _, r := range l {
		for _, s := range r.servers {
			if r.open(s, now) {
				return false
			}
		}
	}
	return true
}

// answered notes a success. What had been given up below it is worth trying again when it fails one day, and so are
// the other servers of a method that was given up as a whole.
func (l ladder) answered(r *rung, s *server) {
	below := false
	for _, other := range l {
		if below || other == r && r.failed >= limits[r.method] {
			other.reset()
		}
		below = below || other == r
	}
	r.failed, r.tries, r.blocked = 0, 0, time.Time{}
	s.failed, s.rests, s.rest = 0, 0, time.Time{}
}

// failed notes a failure.
func (l ladder) failed(r *rung, s *server, now time.Time) {
	s.failed++
	r.failed++
	if s.failed >= limits[MethodSTUN] && len(r.servers) > 1 { // else its method rests
		s.rest = now.Add(pause(s.rests))
		s.rests++
	}
	if r.failed < limits[r.method] {
		return
	}
	wait := pause(r.tries)
	if r.method == MethodHTTPS {
		wait = spread(SlowEvery)
	}
	r.blocked = now.Add(wait)
	r.tries++
}

func pause(rests int) time.Duration {
	if rests < len(restFor) {
		return spread(restFor[rests])
	}
	return spread(RareEvery)
}

// spread makes a wait longer or shorter by up to DefaultJitter.
func spread(d time.Duration) time.Duration { return time.Duration(float64(d) * spreadFactor()) }

func spreadFactor() float64 { return 1 + DefaultJitter*(2*rand.Float64()-1) }

// reset forgets all failures, and the addresses that another network's resolver gave.
func (l ladder) reset() {
	for _, r := range l {
		r.reset()
	}
}

func (r *rung) reset() {
	r.failed, r.tries, r.blocked = 0, 0, time.Time{}
	for _, s := range r.servers {
		s.failed, s.rests, s.rest = 0, 0, time.Time{}
		if p, ok := s.prober.(interface{ Forget() }); ok {
			p.Forget()
		}
	}
}
