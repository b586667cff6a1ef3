package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// LocalVerdict is the verdict for a private cluster behind a VPN or Direct Connect (address = "local" in a target):
// the address that the system would send from towards the nodes. No source is asked. It is only confirmed when
// the route to every node is more specific than the default route: without the VPN the same look-up gives the
// private address of some café's network, which in the cluster's network may be anybody.
//
// The routing table is read on Linux. Elsewhere the verdict says that it could not be checked, and the route counts
// as another one than the default when the local address towards the node differs from the one towards the
// internet.
func (d *Detector) LocalVerdict(f Family, nodes []netip.Addr) Verdict {
	v := Verdict{Family: f, State: Unsure, At: time.Now()}
	var addr, towards netip.Addr
	for _, n := range nodes {
		n = n.Unmap().WithZone("")
		if !f.Has(n) {
			continue
		}
		local, err := d.localAddr(f, n)
		switch {
		case errors.Is(err, ErrNoRoute):
			v.State = Offline
			v.Why = fmt.Sprintf("There is no route to the node %s: is the VPN connected?", n)
			return v
		case err != nil:
			v.Why = fmt.Sprintf("It cannot be found out how this computer reaches the node %s: %s.", n, clean(err.Error(), 120))
			return v
		case addr.IsValid() && local != addr:
			v.State = Conflict
			v.Why = fmt.Sprintf("This computer sends from %s to the node %s, but from %s to %s: %s.", addr, towards, local, n, nothing)
			return v
		}
		if why := d.localFault(f, local, n); why != "" {
			v.Why = why
			return v
		}
		if warning, why := d.defaultRoute(f, local, n); why != "" {
			v.Why = why
			return v
		} else if warning != "" && len(v.Warnings) == 0 {
			v.Warnings = append(v.Warnings, warning)
		}
		addr, towards = local, n
	}
	if !addr.IsValid() {
		v.Why = fmt.Sprintf("No node with an %s address is known, so the local address towards it is not known either.", f.label())
		return v
	}
	v.State, v.Addr = Confirmed, addr
	v.Why = fmt.Sprintf(`This computer sends from %s to the node %s (address = "local").`, addr, towards)
	v.Warnings = append(v.Warnings, "A VPN that translates addresses, as AWS Client VPN does, shows another address to the cluster: then allow the VPN's security group there.")
	return v
}

// localFault tells why a local address can not be authorized.
func (d *Detector) localFault(f Family, local, node netip.Addr) string {
	err := sendable(local)
	if err == nil && !f.Has(local) {
		err = fmt.Errorf("%s is not an %s address", local, f.label())
	}
	if err == nil && !within(local, d.Policy.Accept) {
		err = unrouted(local)
	}
	if err != nil {
		return fmt.Sprintf("The local address towards the node %s is of no use: %v.", node, err)
	}
	if err := d.Policy.forbids(local); err != nil {
		return fmt.Sprintf("This computer sends from %s to the node %s, but %v: %s.", local, node, err, nothing)
	}
	return ""
}

// defaultRoute tells why the route to a node is, or may be, the default one; a warning says that the routing table
// could not be read.
func (d *Detector) defaultRoute(f Family, local, node netip.Addr) (warning, why string) {
	route := d.Route
	if route == nil {
		route = routeTo
	}
	p, err := route(node)
	switch {
	case err == nil && isDefault(p):
		return "", fmt.Sprintf("The node %s is only reached by the default route, so the local address %s means nothing there (is the VPN connected?): %s.",
			node, local, nothing)
	case err == nil:
		return "", ""
	case errors.Is(err, ErrNoRoute):
		return "", fmt.Sprintf("There is no route to the node %s: is the VPN connected?", node)
	}
	out, err := d.localAddr(f, f.anchor())
	if errors.Is(err, ErrNoRoute) || err == nil && out != local {
		return fmt.Sprintf("It could not be checked in the routing table that the route to the node %s is not the default one; the local address is another one than towards the internet.", node), ""
	}
	return "", fmt.Sprintf(`It could not be checked that the route to the node %s is not the default one, and the local address %s is the same as towards the internet: %s. If it is right, write %s = "%s" under [address].`,
		node, local, nothing, f, local)
}

// isDefault tells whether a route stands for everything. VPNs that take all traffic write it as two halves, and
// 2000::/3 is all that is given out in IPv6.
func isDefault(p netip.Prefix) bool {
	if !p.IsValid() || p.Bits() <= 1 {
		return true
	}
	return p.Addr().Is6() && p.Bits() <= global6.Bits()
}
