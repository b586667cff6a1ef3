package ipwatch

import (
	"context"
	"errors"
	"fmt"
)

// Glance asks one source alone, the first one of the required operator (of all, when none is required): a trigger
// where UDP is blocked, and no evidence, whatever it says. Its error is an [*EchoError] when the source gave no public
// address, wraps [ErrNoRoute] when there is no route, and is another one when the family is not automatic or has no
// source.
func (d *Detector) Glance(ctx context.Context, f Family) (Sighting, error) {
	if mode := d.Setting(f).Mode; mode != ModeAuto {
		return Sighting{}, fmt.Errorf("the configuration sets %s to %s, so nobody is asked", f, mode)
	}
	sources := d.sourcesOf(f)
	if len(sources) == 0 {
		return Sighting{}, fmt.Errorf("no source can be asked over %s", f.label())
	}
	s, found := sources[0], d.Policy.Require == ""
	for _, o := range sources {
		if !found && operatorKey(o.Operator) == operatorKey(d.Policy.Require) {
			s, found = o, true
		}
	}
	if !found {
		return Sighting{}, errors.New("no source of the required operator can be asked over " + f.label())
	}
	if !d.routed(f, s) {
		return Sighting{}, fmt.Errorf("%w over %s", ErrNoRoute, f.label())
	}
	a := d.ask(ctx, s, f)
	if a.Err != nil {
		return Sighting{}, a.Err
	}
	return Sighting{Addr: a.Addr, By: "https " + s.Name, Took: a.Took}, nil
}
