package keeper

import (
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// Reaching is what the targets of the last round are reached by.
type Reaching struct {
	Nodes    []netip.Addr     // addresses of their nodes, sorted
	Families []ipwatch.Family // that an own address is needed for
	Public   bool             // some target is reached over the internet
}

// reachingOf is what one version of the state file says.
type reachingOf struct {
	Reaching
	file fs.FileInfo
}

// Reaching tells what the targets are reached by, as of the last round of this process or another one: a session may
// have begun that only its own process knows of. It is asked for often, and the file is only read when it is another
// one. Safe for use at any time.
func (k *Keeper) Reaching() Reaching {
	file, err := os.Stat(k.Store.Path(stateFile))
	if r := k.Store.reaching.Load(); r != nil && err == nil && os.SameFile(r.file, file) && r.file.ModTime().Equal(file.ModTime()) {
		return r.Reaching
	}
	st, _ := k.Store.Load()
	r := k.reached(st)
	if err == nil { // what was read is not older than that
		k.Store.reaching.Store(&reachingOf{r, file})
	}
	return r
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
