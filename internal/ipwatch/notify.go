package ipwatch

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Numbers of Windows: MIB_NOTIFICATION_TYPE of netioapi.h, AF_INET and AF_INET6 of ws2def.h, and the power events of
// winuser.h. They stand here and not in x/sys alone, so that the decisions below are tested on every system.
const (
	winChanged = 0
	winAdded   = 1
	winDeleted = 2

	winInet, winInet6 = 2, 23

	winResumeSuspend   = 0x7  // PBT_APMRESUMESUSPEND: a person woke it up
	winResumeAutomatic = 0x12 // PBT_APMRESUMEAUTOMATIC: it woke up
)

// windowsAddrHint is the hint of a NotifyUnicastIpAddressChange callback.
func windowsAddrHint(notification, index uint32, addr netip.Addr) (Hint, bool) {
	if notification > winDeleted { // the first call, which says that the registration works
		return Hint{}, false
	}
	if !addr.IsValid() {
		return Hint{Kind: HintAddress, Reason: "an address changed", Lost: notification == winDeleted}, true
	}
	return addressHint(fmt.Sprintf("interface %d", index), addr, notification == winDeleted)
}

// windowsRouteHint is the hint of a NotifyRouteChange2 callback. Windows keeps routes to its own addresses and to
// groups in the same table; the zero Prefix is one that could not be read.
func windowsRouteHint(notification uint32, to netip.Prefix) (Hint, bool) {
	if notification > winDeleted {
		return Hint{}, false
	}
	if !to.IsValid() {
		return Hint{Kind: HintRoute, Reason: "a route changed", Lost: notification == winDeleted}, true
	}
	if to.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return Hint{}, false
	}
	return destinationHint(to, notification == winDeleted, false)
}

// windowsLinkHint is the hint of a NotifyIpInterfaceChange callback. It does not say whether the interface went down;
// its addresses and routes go then, and the other callbacks say so.
func windowsLinkHint(notification, index uint32) (Hint, bool) {
	switch notification {
	case winChanged:
		return Hint{Kind: HintLink, Reason: fmt.Sprintf("interface %d changed", index)}, true
	case winAdded:
		return Hint{Kind: HintLink, Reason: fmt.Sprintf("interface %d is new", index)}, true
	case winDeleted:
		return Hint{Kind: HintLink, Reason: fmt.Sprintf("interface %d was removed", index), Lost: true}, true
	}
	return Hint{}, false
}

// windowsPowerHint is the hint of a power event. After a person's touch there are two; the second one costs a look.
func windowsPowerHint(event uint32) (Hint, bool) {
	if event != winResumeAutomatic && event != winResumeSuspend {
		return Hint{}, false
	}
	return Hint{Kind: HintWake, Reason: "the computer slept", Lost: true}, true
}

// windowsAddr reads a SOCKADDR_INET: the family, a port, and the address at byte 4 (IPv4) or 8 (IPv6). It gives the
// zero Addr for anything else.
func windowsAddr(b []byte) netip.Addr {
	if len(b) < 28 {
		return netip.Addr{}
	}
	switch binary.LittleEndian.Uint16(b) {
	case winInet:
		return netip.AddrFrom4([4]byte(b[4:8]))
	case winInet6:
		return netip.AddrFrom16([16]byte(b[8:24]))
	}
	return netip.Addr{}
}

// windowsPrefix is an IP_ADDRESS_PREFIX; the zero Prefix when it makes no sense.
func windowsPrefix(sockaddr []byte, bits uint8) netip.Prefix {
	p, err := windowsAddr(sockaddr).Prefix(int(bits))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
