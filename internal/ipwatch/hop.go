package ipwatch

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Hop is what the system's routing table says about the way to an address.
type Hop struct {
	Dst     netip.Prefix // the destination of the entry that matched; 0.0.0.0/0 is the default route
	Gateway netip.Addr   // the next router; the zero Addr when the entry says that the destination is on the link itself
	// Interface is the way out, for people; "" when it is not known.
	Interface string
	// Tunnel: the way out is a link that nobody else shares, such as a VPN's: point-to-point, or without broadcasts.
	Tunnel bool
	Origin Origin
}

// Origin is who put an entry into the routing table.
type Origin uint8

// The origins. Only Linux tells what is configured.
const (
	OriginUnknown    Origin = iota
	OriginConfigured        // an administrator, or a program that acts for one
	OriginNetwork           // the network: DHCP (RFC 3442), a router advertisement (RFC 4191), or the prefix of the link
)

// viaInterface fills in what the system says about the interface with an index. One that is not known counts as
// shared: that is the case in which less is believed.
func (h Hop) viaInterface(index int) Hop {
	if i, err := net.InterfaceByIndex(index); err == nil {
		h.Interface, h.Tunnel = clean(i.Name, 40), unshared(i.Flags)
	}
	return h
}

// unshared tells a tunnel from a link where strangers may be.
func unshared(flags net.Flags) bool {
	return flags&net.FlagPointToPoint != 0 || flags&net.FlagBroadcast == 0
}

// tunnelOf tells whether the interface that has a local address is a tunnel, where the routing table cannot be read.
func (d *Detector) tunnelOf(local netip.Addr) bool {
	if d.Tunnel != nil {
		return d.Tunnel(local)
	}
	list, _ := net.Interfaces() // what cannot be listed is no tunnel
	for _, i := range list {
		addrs, _ := i.Addrs()
		if slices.ContainsFunc(addrs, func(a net.Addr) bool { return ipOf(a) == local }) {
			return unshared(i.Flags)
		}
	}
	return false
}

// doubt tells why the way to a node of a private cluster could as well be the one into a network of strangers that
// uses the same private range; "" means that it cannot.
//
// A network can give every laptop on it an address, a default route, the prefix of its own link and, by DHCP option
// 121 or router advertisements, any more specific route: so none of these says anything, whatever interface the
// default route takes (a hostile network can push a route past a VPN that takes everything else). What it cannot do
// is make a tunnel, or an entry that this computer's administrator has configured. An entry of unknown origin on a
// shared link is not believed.
func (h Hop) doubt(node netip.Addr) string {
	way := ""
	if h.Interface != "" {
		way = " (" + h.Interface + ")"
	}
	switch {
	case isDefault(h.Dst):
		return fmt.Sprintf("the node %s is only reached by the default route%s, as everything is without the VPN", node, way)
	case h.Tunnel:
		return ""
	case !h.Gateway.IsValid():
		return fmt.Sprintf("the route %s puts the node %s on the network that this computer is on itself%s, as any network with the same private range would",
			h.Dst, node, way)
	case h.Origin == OriginConfigured:
		return ""
	case h.Origin == OriginNetwork:
		return fmt.Sprintf("the network itself gave out the route %s to the node %s%s, which any network can", h.Dst, node, way)
	}
	return fmt.Sprintf("the route %s to the node %s goes over a shared network%s, and it cannot be told who made it", h.Dst, node, way)
}

// isDefault tells whether a route stands for everything. VPNs that take all traffic write it as two halves, and
// 2000::/3 is all that is given out in IPv6.
func isDefault(p netip.Prefix) bool {
	if p.Bits() <= 1 { // -1 is no prefix at all
		return true
	}
	return p.Addr().Is6() && p.Bits() <= global6.Bits()
}
