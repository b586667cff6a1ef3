package keeper

import (
	"net/netip"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// Reaching is what the targets of the last round are reached by.
type Reaching struct {
	Nodes    []netip.Addr     // addresses of their nodes, sorted
	Families []ipwatch.Family // that an own address is needed for
	Public   bool             // some target is reached over the internet
}

// Reaching tells what the targets are reached by, as of the last round of this process; before its first one, as
// of the state. Safe for use at any time.
func (k *Keeper) Reaching() Reaching {
	if r := k.Store.reaching.Load(); r != nil {
		return *r
	}
	st, _ := k.Store.Load()
	return k.reached(st)
}

// reached derives it from the places where the targets were last seen.
func (k *Keeper) reached(st *State) Reaching {
	var r Reaching
	six := false
	for _, rem := range st.Places {
		t := rem.Target
		r.Nodes = append(r.Nodes, addrs(rem.Place, ipwatch.V4, t.Local)...)
		r.Nodes = append(r.Nodes, addrs(rem.Place, ipwatch.V6, t.Local)...)
		r.Public = r.Public || !t.Local
		six = six || !t.Local && len(addrs(rem.Place, ipwatch.V6, false)) > 0
	}
	for _, t := range k.Targets { // before they have been found for the first time
		_, found := st.Places[t.key()]
		r.Public = r.Public || !found && !t.Local
	}
	slices.SortFunc(r.Nodes, netip.Addr.Compare)
	r.Nodes = slices.Compact(r.Nodes)
	if r.Public {
		r.Families = append(r.Families, ipwatch.V4)
	}
	if six {
		r.Families = append(r.Families, ipwatch.V6)
	}
	return r
}
