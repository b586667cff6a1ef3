package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// LocalVerdict is the verdict for a private cluster behind a VPN or Direct Connect (address = "local" in a target):
// the address that the system would send from towards the nodes. No source is asked. It is only confirmed when
// the way to every node is one that no network of strangers could have made ([Hop] has the reasons): without the VPN
// the same look-up gives the private address of some café's network, which in the cluster's network may be anybody.
//
// Where the routing table does not tell, the address counts when it belongs to a tunnel and is another one than
// towards the internet, and a warning says so.
//
// A private address that the configuration gives for the family (ipv4 = "10.8.0.2") is taken as it is; a family that is
// turned off there is absent.
func (d *Detector) LocalVerdict(f Family, nodes []netip.Addr) Verdict {
	v := Verdict{Family: f, State: Unsure, At: time.Now()}
	switch set := d.Setting(f); {
	case set.Mode == ModeOff:
		return v.off()
	case set.Mode == ModeFixed && Public(set.Fixed, nil) != nil:
		return d.fixed(v, set.Fixed)
	}
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
			v.Why = fmt.Sprintf("It cannot be found out how this computer reaches the node %s (%s): %s.", n, clean(err.Error(), 120), nothing)
			return v
		case addr.IsValid() && local != addr:
			v.State = Conflict
			v.Why = fmt.Sprintf("This computer sends from %s to the node %s, but from %s to %s: %s. Make targets of their own for what lies behind different VPNs.",
				addr, towards, local, n, nothing)
			return v
		}
		if why := d.localFault(f, local, n); why != "" {
			v.Why = why
			return v
		}
		warning, why, vanished := d.doubtful(f, local, n)
		switch {
		case vanished:
			v.Why = fmt.Sprintf("The routing table has no route to the node %s any more: is the VPN connected?", n)
			return v
		case why != "":
			v.Remedy = fmt.Sprintf("%s = %q", f, local)
			v.Why = fmt.Sprintf("This computer would send from %s, but %s: %s. Is the VPN connected? Only where that address is yours for good, as in an office with a line of its own to AWS, write %s under [address].",
				local, why, nothing, v.Remedy)
			return v
		case warning != "" && len(v.Warnings) == 0:
			v.Warnings = append(v.Warnings, warning)
		}
		addr, towards = local, n
	}
	if !addr.IsValid() {
		v.Why = fmt.Sprintf("No node with an %s address is known, so the local address towards it is not known either: wait until the cluster has started.", f.label())
		return v
	}
	v.State, v.Addr = Confirmed, addr
	v.Why = fmt.Sprintf(`This computer sends from %s to the node %s (address = "local").`, addr, towards)
	v.Warnings = append(v.Warnings, "A VPN that translates addresses, as AWS Client VPN does, shows another address to the cluster: then allow the VPN's security group there.")
	d.widened(&v)
	return v
}

// localFault tells why a local address can not be authorized.
func (d *Detector) localFault(f Family, local, node netip.Addr) string {
	err := sendable(local)
	switch {
	case err != nil:
	case !f.Has(local):
		err = fmt.Errorf("%s is not an %s address", local, f.label())
	case within(local, d.Policy.Accept):
	case local == node:
		err = fmt.Errorf("%s is the node's own address, and this computer has it, too", local)
	default:
		err = unrouted(local)
	}
	if err != nil {
		return fmt.Sprintf("The local address towards the node %s is of no use (%v): %s.", node, err, nothing)
	}
	if err := d.Policy.forbids(local); err != nil {
		return fmt.Sprintf("This computer sends from %s to the node %s, but %v: %s.", local, node, err, nothing)
	}
	return ""
}

// doubtful tells why the way to a node proves nothing; a warning says that the routing table could not be read.
// A route that was there a moment ago can have vanished.
func (d *Detector) doubtful(f Family, local, node netip.Addr) (warning, why string, vanished bool) {
	route := d.Route
	if route == nil {
		route = routeTo
	}
	h, err := route(node)
	switch {
	case err == nil:
		return "", h.doubt(node), false
	case errors.Is(err, ErrNoRoute):
		return "", "", true
	}
	if !d.tunnelOf(local) {
		return "", fmt.Sprintf("the route to the node %s could not be read (%s), and the address is not one of a tunnel", node, clean(err.Error(), 120)), false
	}
	out, err := d.localAddr(f, f.anchor())
	if errors.Is(err, ErrNoRoute) || err == nil && out != local {
		return fmt.Sprintf("The route to the node %s could not be read; the local address is one of a tunnel, and another one than towards the internet.", node), "", false
	}
	return "", fmt.Sprintf("the route to the node %s could not be read, and the address is the same as towards the internet", node), false
}
