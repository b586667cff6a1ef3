package keeper_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

func TestReaching(t *testing.T) {
	want := func(l *lab, families []ipwatch.Family, nodes ...string) {
		l.Helper()
		for name, store := range map[string]*keeper.Keeper{"this process": l.Keeper, "the next one": l.laptop(l.Store.Dir())} {
			store.Targets = l.Targets
			r := store.Reaching()
			var have []string
			for _, n := range r.Nodes {
				have = append(have, n.String())
			}
			if !slices.Equal(have, nodes) || !slices.Equal(r.Families, families) {
				l.Errorf("%s: nodes %v over %v, want %v over %v", name, have, r.Families, nodes, families)
			}
		}
	}
	four, both := []ipwatch.Family{ipwatch.V4}, []ipwatch.Family{ipwatch.V4, ipwatch.V6}
	inLab(t, func(l *lab) {
		want(l, four) // nothing is known yet: the public address is needed all the same
		l.good(keeper.Request{})
		want(l, four, "203.0.113.10")
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8::10")
		l.good(keeper.Request{})
		want(l, both, "203.0.113.10", "2001:db8::10")
	})
	inLab(t, func(l *lab) { // only behind a VPN: nobody outside is asked
		l.net.local = netip.MustParseAddr("10.8.0.2")
		l.Targets = []keeper.Target{as(target("j-1"), func(t *keeper.Target) { t.Local = true })}
		want(l, nil)
		l.good(keeper.Request{})
		want(l, nil, "10.0.0.5")
	})
}
