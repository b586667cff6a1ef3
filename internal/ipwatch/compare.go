package ipwatch

import "slices"

// Comparing returns a function that takes a snapshot and says in a sentence how it differs from the one of its last
// call, as [Watcher.Compare] does it; "" when it does not, and at the first call. While the interfaces cannot be
// listed it always says so: who cannot see whether something has changed looks. It is for one goroutine.
func (t Snapshotter) Comparing() func() string {
	var last *Snapshot
	var blind bool
	return func() string {
		now, err := t.Take()
		if err != nil {
			blind = true
			return "it is not known whether addresses have changed: " + clean(err.Error(), 120)
		}
		diff := ""
		if last != nil {
			diff = now.sharing(*last).Diff(last.sharing(now))
		}
		if blind && diff == "" {
			diff = "the addresses can be compared again"
		}
		last, blind = &now, false
		return diff
	}
}

// sharing is the snapshot with only those ways that the other one has too: that somebody else is a target now, as
// after the first round, says nothing about the network.
func (s Snapshot) sharing(o Snapshot) Snapshot {
	s.Ways = slices.DeleteFunc(slices.Clone(s.Ways), func(w Way) bool {
		_, ok := o.way(w.To)
		return !ok
	})
	return s
}

// Routed tells whether there is a way out now, to the internet or to a target. It sends nothing.
func (t Snapshotter) Routed() bool {
	for _, to := range t.destinations() {
		if t.from(to).IsValid() {
			return true
		}
	}
	return false
}
