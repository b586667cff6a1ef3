package main

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// A flag for once makes targets of their own of those of the configuration. Where it makes the same of two, the one that is written
// so keeps its ranges.
func TestAsFlagged(t *testing.T) {
	t.Parallel()
	a := &app{cfg: config.Default()}
	ranges := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("192.0.2.16/28")}
	for i, port := range []int{22, 2222} {
		w := config.DefaultTarget()
		w.Cluster, w.Port, w.Trusted = "j-1EXAMPLE11", port, ranges[i:i+1]
		a.cfg.Targets = append(a.cfg.Targets, w)
	}
	show := func(ts []keeper.Target) (s []string) {
		for _, t := range ts {
			s = append(s, fmt.Sprint(t.Port, t.Trusted, !t.Until.IsZero()))
		}
		return s
	}
	with := func(port int) []keeper.Target {
		ts := a.written()
		for i := range ts {
			ts[i].Port = port
		}
		return ts
	}
	written := show(a.written())
	soon := keeper.Target{Port: 22, Until: time.Now()}
	for _, c := range []struct {
		name          string
		flagged, some []keeper.Target
		want          []string
	}{
		{"no flag", a.written(), nil, nil},
		{"no flag, one is named", a.written(), a.written()[:1], written[:1]},
		{"no flag, a cluster that is not written", a.written(), []keeper.Target{soon}, []string{"22 [] true"}},
		{"another port", with(2223), nil, []string{"2223 [192.0.2.0/28] true"}},
		{"the port of one", with(2222), nil, written[1:]},
		{"the port of one, both are named", with(2222), with(2222), written[1:]},
	} {
		k := &keeper.Keeper{Targets: c.flagged}
		if got := show(a.asFlagged(k, c.some)); !slices.Equal(got, c.want) || !slices.Equal(show(k.Targets), written) {
			t.Errorf("%s: %q, want %q; the configuration's: %q", c.name, got, c.want, show(k.Targets))
		}
	}
}
