package ipwatch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Equal tells whether nothing differs that can change the address this computer is seen with.
func (s Snapshot) Equal(o Snapshot) bool {
	return slices.Equal(s.Ways, o.Ways) && slices.EqualFunc(s.Interfaces, o.Interfaces, func(a, b Interface) bool {
		return a.Name == b.Name && a.Up == b.Up && slices.Equal(a.Addrs, b.Addrs)
	})
}

// Diff is a sentence without its full stop about what differs from an older snapshot, safe to print; "" when they
// are equal.
func (s Snapshot) Diff(old Snapshot) string {
	var parts []string
	for _, i := range s.Interfaces {
		o, _ := old.named(i.Name)
		parts = append(parts, i.diff(o)...)
	}
	for _, o := range old.Interfaces {
		if _, ok := s.named(o.Name); !ok {
			parts = append(parts, clean(o.Name, 32)+" is gone or no longer used")
		}
	}
	for _, w := range s.Ways {
		if o, ok := old.way(w.To); !ok {
			parts = append(parts, fmt.Sprintf("%s is a target now", w.To))
		} else if o != w {
			parts = append(parts, w.diff(o))
		}
	}
	for _, o := range old.Ways {
		if _, ok := s.way(o.To); !ok {
			parts = append(parts, fmt.Sprintf("%s is no target any more", o.To))
		}
	}
	if len(parts) == 0 && !s.Equal(old) {
		return "the same in another order" // not from Take, which sorts
	}
	return strings.Join(parts, "; ")
}

// lost tells whether something of an older snapshot is gone.
func (s Snapshot) lost(old Snapshot) bool {
	for _, o := range old.Interfaces {
		i, ok := s.named(o.Name)
		if !ok || o.Up && !i.Up || len(addrsWithout(o.Addrs, i.Addrs)) > 0 {
			return true
		}
	}
	for _, o := range old.Ways {
		if w, ok := s.way(o.To); ok && o.From.IsValid() && w.From != o.From {
			return true
		}
	}
	return false
}

func (s Snapshot) named(name string) (Interface, bool) {
	for _, i := range s.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return Interface{}, false
}

func (s Snapshot) way(to netip.Addr) (Way, bool) {
	for _, w := range s.Ways {
		if w.To == to {
			return w, true
		}
	}
	return Way{}, false
}

// diff says what differs from an older state of the interface; the zero Interface is one that was not there.
func (i Interface) diff(old Interface) []string {
	var parts []string
	name, gained, gone := clean(i.Name, 32), addrsWithout(i.Addrs, old.Addrs), addrsWithout(old.Addrs, i.Addrs)
	switch {
	case len(gained) > 0 && len(gone) > 0:
		parts = append(parts, fmt.Sprintf("%s has %s now, and lost %s", name, joinAddrs(gained), joinAddrs(gone)))
	case len(gained) > 0:
		parts = append(parts, fmt.Sprintf("%s has %s now", name, joinAddrs(gained)))
	case len(gone) > 0:
		parts = append(parts, fmt.Sprintf("%s lost %s", name, joinAddrs(gone)))
	}
	switch {
	case i.Up && !old.Up && old.Name != "":
		parts = append(parts, name+" is up")
	case !i.Up && (old.Up || old.Name == ""):
		parts = append(parts, name+" is down")
	}
	return parts
}

// diff says what differs from an older way to the same address.
func (w Way) diff(old Way) string {
	to := w.To.String()
	if f := FamilyOf(w.To); w.To == f.anchor() {
		to = "the internet over " + f.label()
	}
	switch {
	case !w.From.IsValid():
		return fmt.Sprintf("there is no way to %s any more", to)
	case !old.From.IsValid():
		return fmt.Sprintf("there is a way to %s now, from %s", to, w.From)
	}
	return fmt.Sprintf("the way to %s is from %s now, and was from %s", to, w.From, old.From)
}

// addrsWithout returns what of a is not in b.
func addrsWithout(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(x netip.Addr) bool { return slices.Contains(b, x) })
}

// joinAddrs writes addresses for a sentence; an interface may have very many.
func joinAddrs(as []netip.Addr) string {
	const most = 4
	var b strings.Builder
	for n, a := range as {
		switch {
		case n == most:
			fmt.Fprintf(&b, " and %d more", len(as)-most)
			return b.String()
		case n > 0:
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	return b.String()
}
