package ipwatch

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of macOS's <net/route.h>, <net/if.h> and <sys/socket.h>. They stand here and not in x/sys alone, so that the
// decisions below are tested on every system.
const (
	rsVersion = 5

	rsAdd      = 0x1
	rsDelete   = 0x2
	rsChange   = 0x3
	rsNewAddr  = 0xc
	rsDelAddr  = 0xd
	rsIfInfo   = 0xe
	rsIfInfo2  = 0x12
	rsHostFlag = 0x4

	// Entries of the table that are no routes to anywhere else: neighbours, clones for one connection, own addresses.
	rsNoRoute = 0x400 /* LLINFO */ | 0x20000 /* WASCLONED */ | 0x200000 /* LOCAL */ | 0x400000 /* BROADCAST */ | 0x800000 /* MULTICAST */

	rsDst, rsMask, rsIfa = 0, 2, 5 // bits of the field addrs
	rsAddrs              = 8       // how many there are
	rsInet, rsInet6      = 2, 30

	rsRouteSize, rsAddrSize, rsIfSize = 92, 20, 14 // sizes of rt_msghdr and ifa_msghdr; of if_msghdr what is needed
)

// routeSocketHints reads what one read of a macOS routing socket gave. A message that says nothing about addresses
// gives no hint: look-ups (RTM_GET) and failed ones (RTM_MISS), which this program's own looking causes, neighbours
// and multicast groups. It reads a few fields and no library does it for it: the parser of x/net/route has
// panicked on what the system sends, and for the answer "look again" no more is needed.
func routeSocketHints(b []byte, links linkTable) []Hint {
	var hints []Hint
	le := binary.LittleEndian // of every computer that runs macOS
	for len(b) > 0 {
		if len(b) < 4 {
			return append(hints, unreadable("routing socket"))
		}
		size := int(le.Uint16(b))
		if size < 4 || size > len(b) || b[2] != rsVersion {
			return append(hints, unreadable("routing socket"))
		}
		h, ok := Hint{}, false
		switch m := b[:size]; m[3] {
		case rsAdd, rsDelete, rsChange:
			h, ok = socketRouteHint(m)
		case rsNewAddr, rsDelAddr:
			h, ok = socketAddrHint(m, links)
		case rsIfInfo, rsIfInfo2:
			if len(m) < rsIfSize {
				h, ok = unreadable("routing socket"), true
			} else if flags := le.Uint32(m[8:]); flags&ifLoopback == 0 {
				h, ok = links.changed(int(le.Uint16(m[12:])), "", flags, false), true
			}
		}
		if ok {
			hints = append(hints, h)
		}
		b = b[size:]
	}
	return hints
}

// socketRouteHint reads an rt_msghdr and the addresses behind it.
func socketRouteHint(m []byte) (Hint, bool) {
	le := binary.LittleEndian
	if len(m) < rsRouteSize {
		return unreadable("routing socket"), true
	}
	flags, addrs, failed := le.Uint32(m[8:]), le.Uint32(m[12:]), le.Uint32(m[24:]) != 0
	if failed || flags&rsNoRoute != 0 {
		return Hint{}, false
	}
	found, ok := socketAddrs(m[rsRouteSize:], addrs)
	dst, isAddr := socketAddr(found[rsDst])
	if !ok || !isAddr {
		return unreadable("routing socket"), true
	}
	bits := 0
	switch {
	case flags&rsHostFlag != 0:
		bits = dst.BitLen()
	case addrs&(1<<rsMask) != 0:
		bits = socketMask(found[rsMask], dst)
	case !dst.IsUnspecified():
		bits = dst.BitLen()
	}
	to, err := dst.Prefix(bits)
	if err != nil {
		return unreadable("routing socket"), true
	}
	return destinationHint(to, m[3] == rsDelete, m[3] == rsChange)
}

// socketAddrHint reads an ifa_msghdr and the addresses behind it.
func socketAddrHint(m []byte, links linkTable) (Hint, bool) {
	le := binary.LittleEndian
	if len(m) < rsAddrSize {
		return unreadable("routing socket"), true
	}
	found, ok := socketAddrs(m[rsAddrSize:], le.Uint32(m[4:]))
	if !ok {
		return unreadable("routing socket"), true
	}
	if f := found[rsIfa]; len(f) > 1 && f[1] != rsInet && f[1] != rsInet6 {
		return Hint{}, false // a hardware address
	}
	addr, isAddr := socketAddr(found[rsIfa])
	if !isAddr {
		return unreadable("routing socket"), true
	}
	return addressHint(links.label(int(le.Uint16(m[12:]))), addr, m[3] == rsDelAddr)
}

// socketAddrs takes apart the socket addresses behind a message: one for each bit that is set, in the order of the
// bits, each as long as its first byte says, rounded up to 4 bytes. An empty one takes 4.
func socketAddrs(b []byte, present uint32) (found [rsAddrs][]byte, ok bool) {
	for bit := range rsAddrs {
		if present&(1<<bit) == 0 {
			continue
		}
		if len(b) == 0 {
			return found, false
		}
		size := int(b[0])
		if size > len(b) {
			return found, false
		}
		found[bit] = b[:size]
		b = b[min(len(b), max(4, (size+3)&^3)):]
	}
	return found, true
}

// socketAddr reads a sockaddr_in or sockaddr_in6.
func socketAddr(b []byte) (netip.Addr, bool) {
	switch {
	case len(b) >= 8 && b[1] == rsInet:
		return netip.AddrFrom4([4]byte(b[4:8])), true
	case len(b) >= 24 && b[1] == rsInet6:
		return netip.AddrFrom16([16]byte(b[8:24])), true // a link-local one has its interface in bytes 2 and 3
	}
	return netip.Addr{}, false
}

// socketMask is the length of a prefix from its mask: a socket address of the same layout, cut behind its last byte
// that is not zero, its family not always filled in.
func socketMask(b []byte, dst netip.Addr) int {
	from := 4
	if dst.Is6() {
		from = 8
	}
	bits := 0
	for _, c := range b[min(from, len(b)):] {
		for ; c&0x80 != 0 && bits < dst.BitLen(); c <<= 1 {
			bits++
		}
	}
	return bits
}
