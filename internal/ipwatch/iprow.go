package ipwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// windowsRow is what is used of a MIB_IPFORWARD_ROW2 (netioapi.h). It stands here, so that the decision is tested on
// every system.
type windowsRow struct {
	Dst    netip.Prefix
	Next   netip.Addr // unspecified when the destination is on the link
	Origin uint32     // NL_ROUTE_ORIGIN
}

// windowsHop reads a row. Well-known, DHCP, router advertisement and 6to4 (1 to 4) come from the network or from the
// system's own addresses. NlroManual (0) is what route.exe and VPN clients write, and what netsh shows for default
// routes that DHCP gave, too: so it says nothing.
func windowsHop(row windowsRow, to netip.Addr) (Hop, error) {
	if !row.Dst.Contains(to) { // nor does the zero Prefix
		return Hop{}, errors.New("routing table: the answer is a route to somewhere else")
	}
	h := Hop{Dst: row.Dst}
	if !row.Next.IsUnspecified() {
		h.Gateway = row.Next
	}
	if row.Origin >= 1 && row.Origin <= 4 {
		h.Origin = OriginNetwork
	}
	return h, nil
}

// windowsRouteError makes an error of what GetBestRoute2 returned (winerror.h).
func windowsRouteError(code uint32, to netip.Addr) error {
	const notFound, netUnreachable, hostUnreachable = 1168, 1231, 1232
	switch code {
	case notFound, netUnreachable, hostUnreachable:
		return fmt.Errorf("%w to %s", ErrNoRoute, to)
	}
	return fmt.Errorf("routing table: error %d", code)
}

// windowsSockaddr is a SOCKADDR_INET (ws2ipdef.h) of an address: a family of two bytes in the computer's order, the
// port, then the address, in IPv6 behind a flow label.
func windowsSockaddr(a netip.Addr) []byte {
	b := make([]byte, 28)
	if a.Is4() {
		binary.LittleEndian.PutUint16(b, winInet)
		copy(b[4:], a.AsSlice())
		return b
	}
	binary.LittleEndian.PutUint16(b, winInet6)
	copy(b[8:], a.AsSlice())
	return b
}
