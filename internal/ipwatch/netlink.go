package ipwatch

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Numbers of rtnetlink(7), <linux/netlink.h> and <linux/rtnetlink.h>. They stand here and not in x/sys alone, so
// that the decisions below are tested on every system.
const (
	nlHeaderSize = 16
	nlOverrun    = 4

	nlNewLink  = 16
	nlDelLink  = 17
	nlNewAddr  = 20
	nlDelAddr  = 21
	nlNewRoute = 24
	nlDelRoute = 25

	nlReplace = 0x100 // NLM_F_REPLACE

	nlInet, nlInet6 = 2, 10

	iflaName, iflaMaster  = 3, 10
	ifaAddress, ifaLocal  = 1, 2
	rtaDst, rtaTable      = 1, 15
	rtTableLocal          = 255
	rtFlagCloned          = 0x200
	rtScopeLink           = 253 // and above: only on a link, or only on this computer
	rtnLocal              = 2   // up to rtnMulticast: local, broadcast, anycast, multicast
	rtnMulticast          = 5
	ifInfoSize            = 16
	ifAddrSize, rtMsgSize = 8, 12
)

// unreadable is the hint of bytes that make no sense: nobody knows what they would have said.
func unreadable(what string) Hint {
	return Hint{Kind: HintOverflow, Reason: "a message of the " + what + " could not be read", Lost: true}
}

// netlinkHints reads what one read of an rtnetlink socket gave: messages of the groups of links, addresses and routes.
func netlinkHints(b []byte, links linkTable) []Hint {
	var hints []Hint
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < nlHeaderSize {
			return append(hints, unreadable("kernel"))
		}
		size := int64(ne.Uint32(b))
		if size < nlHeaderSize || size > int64(len(b)) {
			return append(hints, unreadable("kernel"))
		}
		body, flags := b[nlHeaderSize:size], ne.Uint16(b[6:])
		h, ok := Hint{}, false
		switch kind := ne.Uint16(b[4:]); kind {
		case nlNewLink, nlDelLink:
			h, ok = linkHint(body, kind == nlDelLink, links)
		case nlNewAddr, nlDelAddr:
			h, ok = addrHint(body, kind == nlDelAddr, links)
		case nlNewRoute, nlDelRoute:
			h, ok = routeHint(body, kind == nlDelRoute, flags&nlReplace != 0)
		case nlOverrun:
			h, ok = Hint{Kind: HintOverflow, Reason: "the kernel dropped messages", Lost: true}, true
		}
		if ok {
			hints = append(hints, h)
		}
		b = b[min(int64(len(b)), (size+3)&^3):] // messages are aligned to 4 bytes, but for the last
	}
	return hints
}

// linkHint reads an ifinfomsg. Those of other families tell of ports of bridges.
func linkHint(b []byte, gone bool, links linkTable) (Hint, bool) {
	if len(b) < ifInfoSize {
		return unreadable("kernel"), true
	}
	ne := binary.NativeEndian
	index, flags := int(int32(ne.Uint32(b[4:]))), ne.Uint32(b[8:])
	if b[0] != 0 || flags&ifLoopback != 0 {
		return Hint{}, false
	}
	name, port := "", false
	whole := eachAttr(b[ifInfoSize:], func(kind uint16, v []byte) {
		switch kind {
		case iflaName:
			for n, c := range v {
				if c == 0 {
					v = v[:n]
					break
				}
			}
			name = string(v)
		case iflaMaster:
			port = true
		}
	})
	switch {
	case !whole:
		return unreadable("kernel"), true
	case gone:
		return links.removed(index, name, port), true
	}
	return links.changed(index, name, flags, port), true
}

// addrHint reads an ifaddrmsg. Link-local and host addresses say nothing: no packet with one goes anywhere.
func addrHint(b []byte, gone bool, links linkTable) (Hint, bool) {
	if len(b) < ifAddrSize {
		return unreadable("kernel"), true
	}
	if b[0] != nlInet && b[0] != nlInet6 || b[3] >= rtScopeLink {
		return Hint{}, false
	}
	var addr, own netip.Addr
	whole := eachAttr(b[ifAddrSize:], func(kind uint16, v []byte) {
		switch kind {
		case ifaAddress: // the peer's on a point-to-point link, where ifaLocal is the own
			addr, _ = netip.AddrFromSlice(v)
		case ifaLocal:
			own, _ = netip.AddrFromSlice(v)
		}
	})
	if own.IsValid() {
		addr = own
	}
	if !whole || !addr.IsValid() {
		return unreadable("kernel"), true
	}
	return addressHint(links.label(int(binary.NativeEndian.Uint32(b[4:]))), addr, gone)
}

// addressHint is the hint of an address that came, changed or went.
func addressHint(name string, addr netip.Addr, gone bool) (Hint, bool) {
	switch {
	case onLinkOnly(addr):
		return Hint{}, false
	case gone:
		return Hint{Kind: HintAddress, Reason: fmt.Sprintf("%s lost the address %s", name, addr), Lost: true}, true
	}
	return Hint{Kind: HintAddress, Reason: fmt.Sprintf("%s has the address %s", name, addr)}, true
}

// routeHint reads an rtmsg. A default route that another one replaces is lost as well. When a link goes down the
// kernel removes its IPv4 routes without a word: the link's message has to do.
func routeHint(b []byte, gone, replaces bool) (Hint, bool) {
	if len(b) < rtMsgSize {
		return unreadable("kernel"), true
	}
	ne := binary.NativeEndian
	family, bits, table, kind := b[0], int(b[1]), uint32(b[4]), b[7]
	if family != nlInet && family != nlInet6 || kind >= rtnLocal && kind <= rtnMulticast || ne.Uint32(b[8:])&rtFlagCloned != 0 {
		return Hint{}, false
	}
	dst := netip.IPv4Unspecified()
	if family == nlInet6 {
		dst = netip.IPv6Unspecified()
	}
	whole := eachAttr(b[rtMsgSize:], func(kind uint16, v []byte) {
		switch {
		case kind == rtaDst:
			dst, _ = netip.AddrFromSlice(v)
		case kind == rtaTable && len(v) >= 4:
			table = ne.Uint32(v)
		}
	})
	to, err := dst.Prefix(bits)
	if !whole || err != nil || dst.Is4() != (family == nlInet) {
		return unreadable("kernel"), true
	}
	if table == rtTableLocal {
		return Hint{}, false
	}
	return destinationHint(to, gone, replaces)
}

// destinationHint is the hint of a route that came, went or was replaced.
func destinationHint(to netip.Prefix, gone, replaces bool) (Hint, bool) {
	if a := to.Addr(); a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsLoopback() {
		return Hint{}, false // it never leaves the link
	}
	what, all := "a route to "+to.String(), isDefault(to)
	if all {
		what = "the default route " + to.String()
	}
	verb := " came or changed"
	switch {
	case gone:
		verb = " was removed"
	case replaces:
		verb = " was replaced"
	}
	return Hint{Kind: HintRoute, Reason: what + verb, Lost: all && (gone || replaces)}, true
}

// eachAttr calls f for the attributes behind a message's fixed part (rtnetlink(7)); false means that they are broken.
func eachAttr(b []byte, f func(kind uint16, v []byte)) bool {
	const header, kindMask = 4, 0x3fff // the two upper bits are flags
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < header {
			return false
		}
		size := int(ne.Uint16(b))
		if size < header || size > len(b) {
			return false
		}
		f(ne.Uint16(b[2:])&kindMask, b[header:size])
		b = b[min(len(b), (size+3)&^3):]
	}
	return true
}
