package ipwatch

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// ObserveTimeout is the time for all questions of one observation together.
const ObserveTimeout = 5 * time.Second

// HedgeDelay is how long the first sources have before a further one is asked. Most answers take 20 to 200 ms;
// asking everybody always would cost half as much traffic again.
const HedgeDelay = 250 * time.Millisecond

// Observe asks the sources about one family: the required operator and as many others as must agree at once, a
// further one after [HedgeDelay] or at the first failure or disagreement. It ends as soon as an address is
// confirmed, after [ObserveTimeout] at the latest, and asks nobody when the family is not automatic or has no
// route. Failures are in the answers.
func (d *Detector) Observe(ctx context.Context, f Family) Observation {
	o, sources := d.begin(f)
	ctx, cancel := context.WithTimeout(ctx, ObserveTimeout)
	defer cancel()
	o.Answers = d.hedge(ctx, f, sources)
	return o
}

// ObserveAll asks every source at once and waits for all of them, to show what each one says.
func (d *Detector) ObserveAll(ctx context.Context, f Family) Observation {
	o, sources := d.begin(f)
	ctx, cancel := context.WithTimeout(ctx, ObserveTimeout)
	defer cancel()
	type result struct {
		i int
		a Answer
	}
	results := make(chan result, len(sources))
	for i, s := range sources {
		go func() { results <- result{i, d.ask(ctx, s, f)} }()
	}
	o.Answers = make([]Answer, len(sources))
	for range sources {
		r := <-results
		o.Answers[r.i] = r.a
	}
	return o
}

// begin makes the observation and returns the sources that are worth asking.
func (d *Detector) begin(f Family) (Observation, []Source) {
	o := Observation{Family: f, Setting: d.Setting(f), At: time.Now()}
	if o.Setting.Mode != ModeAuto {
		return o, nil
	}
	sources := d.sourcesOf(f)
	if len(sources) > 0 && !d.Routed(f) {
		o.NoRoute = true
		o.Absent = f == V6 && d.absent6()
		return o, nil
	}
	return o, sources
}

// Routed tells whether there may be a way out over a family, without sending anything; only a positive "no route"
// is false.
func (d *Detector) Routed(f Family) bool {
	return slices.ContainsFunc(d.sourcesOf(f), func(s Source) bool { return d.routed(f, s) })
}

// routed tells whether the system may have a route to a source; only a positive "no route" is false. A name is
// not resolved for that, it stands for the internet.
func (d *Detector) routed(f Family, s Source) bool {
	if d.LocalAddr == nil && (d.Ask != nil || d.Dial != nil) {
		return true // the seams need not depend on this computer's routes
	}
	to := f.anchor()
	if u, err := url.Parse(s.URL); err == nil {
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			to = a
		} else if u.Hostname() == "localhost" {
			to = f.loopback()
		}
	}
	local, err := d.localAddr(f, to)
	// A router may advertise itself and no IPv6 network: then all that the system could send from is link-local.
	return !errors.Is(err, ErrNoRoute) && (f != V6 || !local.IsLinkLocalUnicast())
}

// absent6 tells whether this computer positively does not have IPv6: no interface has a usable address of it, and IPv4
// has a route (a computer without any network is offline, it lacks nothing for good).
func (d *Detector) absent6() bool {
	addrs, err := d.interfaceAddrs()
	if err != nil {
		return false
	}
	for _, p := range addrs {
		if a := p.Addr(); V6.Has(a) && a.IsGlobalUnicast() { // private ones too: there may be a NAT whose route comes later
			return false
		}
	}
	_, err = d.localAddr(V4, V4.anchor())
	return err == nil
}
