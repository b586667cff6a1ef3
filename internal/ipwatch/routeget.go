package ipwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Numbers of macOS's <net/route.h>, beside those of the routing socket's events.
const (
	rsGet       = 0x4
	rsGatewayIs = 0x2             // RTF_GATEWAY
	rsRefuses   = 0x8 | 0x1000    // RTF_REJECT, RTF_BLACKHOLE
	rsGateway   = 1               // bit of the field addrs
	rsESRCH     = 3               // "not in table"
	rsGetAddrs  = 1<<rsDst | 0x10 // what a question has with it: RTA_DST, and RTA_IFP, so that the interface is named
)

// socketGetRequest is the RTM_GET message of macOS that asks for the entry that an address matches (route(4)).
func socketGetRequest(to netip.Addr, pid, seq int32) []byte {
	b := make([]byte, rsRouteSize)
	b[2], b[3] = rsVersion, rsGet
	le := binary.LittleEndian
	le.PutUint32(b[12:], rsGetAddrs)
	le.PutUint32(b[16:], uint32(pid))
	le.PutUint32(b[20:], uint32(seq))
	if to.Is4() {
		b = append(b, append([]byte{16, rsInet, 0, 0}, append(to.AsSlice(), make([]byte, 8)...)...)...)
	} else {
		b = append(b, append([]byte{28, rsInet6, 0, 0, 0, 0, 0, 0}, append(to.AsSlice(), make([]byte, 4)...)...)...)
	}
	b = append(b, 20, 18 /* AF_LINK */, 0, 0)
	b = append(b, make([]byte, 16)...)
	le.PutUint16(b, uint16(len(b)))
	return b
}

// parseSocketGet reads the answer to the question with that pid and seq; answered is false for other messages, which
// everybody with a routing socket gets. The origin stays unknown: macOS marks what DHCP gave as static, too.
func parseSocketGet(b []byte, to netip.Addr, pid, seq int32) (h Hop, index int, answered bool, err error) {
	le := binary.LittleEndian
	if len(b) < rsRouteSize || b[2] != rsVersion || b[3] != rsGet ||
		int32(le.Uint32(b[16:])) != pid || int32(le.Uint32(b[20:])) != seq {
		return Hop{}, 0, false, nil
	}
	fail := func(format string, args ...any) (Hop, int, bool, error) {
		return Hop{}, 0, true, fmt.Errorf("routing table: "+format, args...)
	}
	size := int(le.Uint16(b))
	if size < rsRouteSize || size > len(b) {
		return fail("the answer has an impossible length")
	}
	flags, present := le.Uint32(b[8:]), le.Uint32(b[12:])
	switch errno := le.Uint32(b[24:]); {
	case errno == rsESRCH, errno == 0 && flags&rsRefuses != 0:
		return Hop{}, 0, true, fmt.Errorf("%w to %s", ErrNoRoute, to)
	case errno != 0:
		return fail("error %d", errno)
	case flags&rsNoRoute != 0:
		// A clone says nothing about the entry that it was made of. (An RTM_GET skips most of them, but not neighbours.)
		return fail("the system does not tell the entry: %w", errors.ErrUnsupported)
	}
	found, ok := socketAddrs(b[rsRouteSize:size], present)
	dst, isAddr := socketAddr(found[rsDst])
	if !ok || !isAddr || dst.BitLen() != to.BitLen() {
		return fail("the answer cannot be read")
	}
	bits := 0
	switch {
	case flags&rsHostFlag != 0:
		bits = dst.BitLen()
	case present&(1<<rsMask) != 0:
		bits = socketMask(found[rsMask], dst)
	}
	h.Dst, err = dst.Prefix(bits)
	if err != nil || !h.Dst.Contains(to) {
		return fail("the answer is a route to somewhere else")
	}
	if flags&rsGatewayIs != 0 {
		h.Gateway, _ = socketAddr(found[rsGateway])
	}
	return h, int(le.Uint16(b[4:])), true, nil
}
