package ipwatch

import (
	"context"
	"fmt"
)

// Glance asks one source, of the required operator where there is one, which address it sees. It is a trigger and
// no evidence, for networks where nothing cheaper gets through: a look costs about 5 KB. The error is an
// [*EchoError] where the question failed.
func (d *Detector) Glance(ctx context.Context, f Family) (Sighting, error) {
	sources := d.sourcesOf(f)
	if len(sources) == 0 || d.Setting(f).Mode != ModeAuto {
		return Sighting{}, fmt.Errorf("no source is asked over %s", f.label())
	}
	s := sources[0]
	for _, o := range sources {
		if operatorKey(o.Operator) == operatorKey(d.Policy.Require) {
			s = o
			break
		}
	}
	a := d.ask(ctx, s, f)
	if a.Err != nil {
		return Sighting{}, a.Err
	}
	return Sighting{Addr: a.Addr, By: "https " + s.Name, Took: a.Took}, nil
}
