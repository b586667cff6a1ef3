package ipwatch

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Snapshot is what decides which address this computer is seen with, as far as it can know that by itself. Two
// snapshots are compared to tell events that mean something from the many that do not: it holds no lifetimes, which a
// renewed lease and each router advertisement change, and no link-local addresses, which are never seen outside.
type Snapshot struct {
	Interfaces []Interface // by name; only those that matter
	Ways       []Way       // the internet over IPv4 and over IPv6, then the targets by address
}

// Interface is one network interface.
type Interface struct {
	Name  string
	Up    bool         // up and with a carrier
	Addrs []netip.Addr // sorted, without loopback and link-local ones
}

// Way is the address that the system would send from towards another; From is the zero Addr where there is no way.
type Way struct{ To, From netip.Addr }

// Snapshotter takes snapshots. The zero value is ready to use.
//
// Of the interfaces only those are kept that an address of a way belongs to, and those that have a public address.
// The others cannot matter: what leaves this computer for the internet or for a target does not leave there, and
// when it does the ways say so. So bridges and pairs of containers, virtual machines and idle VPNs come and go
// without a trace. A public address is kept in any case, since the system may choose it for another destination.
type Snapshotter struct {
	// Targets returns further addresses to look towards, such as those of nodes. Nil means none.
	Targets func() []netip.Addr
	// LocalAddr is [Detector.LocalAddr]; nil is the system's own look-up, which sends nothing.
	LocalAddr func(f Family, to netip.Addr) (netip.Addr, error)
	// Interfaces returns all interfaces of this computer in any order; nil is the system's own.
	Interfaces func() ([]Interface, error)
}

// Take takes a snapshot. It fails when the system does not list its interfaces.
func (t Snapshotter) Take() (Snapshot, error) {
	list := t.Interfaces
	if list == nil {
		list = systemInterfaces
	}
	all, err := list()
	if err != nil {
		return Snapshot{}, fmt.Errorf("network interfaces: %w", err)
	}
	var s Snapshot
	for _, to := range t.destinations() {
		s.Ways = append(s.Ways, Way{to, t.from(to)})
	}
	for _, i := range all {
		i.Addrs = slices.DeleteFunc(slices.Clone(i.Addrs), onLinkOnly)
		slices.SortFunc(i.Addrs, netip.Addr.Compare)
		i.Addrs = slices.Compact(i.Addrs)
		if slices.ContainsFunc(i.Addrs, s.matters) {
			s.Interfaces = append(s.Interfaces, i)
		}
	}
	slices.SortFunc(s.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// destinations are the anchors and the targets, each once.
func (t Snapshotter) destinations() []netip.Addr {
	to := []netip.Addr{V4.anchor(), V6.anchor()}
	if t.Targets == nil {
		return to
	}
	var more []netip.Addr
	for _, a := range t.Targets() {
		if a = a.Unmap().WithZone(""); a.IsValid() && !slices.Contains(to, a) {
			more = append(more, a)
		}
	}
	slices.SortFunc(more, netip.Addr.Compare)
	return append(to, slices.Compact(more)...)
}

// from is the local address towards another, or the zero Addr where none is of use. Why there is none does not
// matter here: whoever looks for the address finds out.
func (t Snapshotter) from(to netip.Addr) netip.Addr {
	look := t.LocalAddr
	if look == nil {
		look = (&Detector{}).localAddr
	}
	a, err := look(FamilyOf(to), to)
	if a = a.Unmap().WithZone(""); err != nil || a.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	return a
}

// matters tells whether the interface with this address is kept.
func (s Snapshot) matters(a netip.Addr) bool {
	return slices.ContainsFunc(s.Ways, func(w Way) bool { return w.From == a }) || Public(a, nil) == nil
}

// onLinkOnly tells whether an address is never seen outside of this computer's own link.
func onLinkOnly(a netip.Addr) bool { return !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() }

// systemInterfaces lists the interfaces of this computer but the loopback one.
func systemInterfaces() ([]Interface, error) {
	list, err := net.Interfaces()
	return interfacesOf(list), err
}

// interfacesOf looks up the addresses of interfaces.
func interfacesOf(list []net.Interface) []Interface {
	var all []Interface
	for _, n := range list {
		if n.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, _ := n.Addrs() // one that went away since it was listed has none
		i := Interface{Name: n.Name, Up: n.Flags&(net.FlagUp|net.FlagRunning) == net.FlagUp|net.FlagRunning}
		for _, a := range addrs {
			i.Addrs = append(i.Addrs, ipOf(a)) // the zero Addr is none: Take leaves it out
		}
		all = append(all, i)
	}
	return all
}
