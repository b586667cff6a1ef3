package ipwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// routeTo asks the kernel for the entry of the routing tables that an address matches, as `ip route get fibmatch`
// does, policy rules included (rtnetlink(7), RTM_GETROUTE with RTM_F_FIB_MATCH, Linux 4.13). It needs no privilege.
func routeTo(to netip.Addr) (Hop, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers within the send; the limit only guards against a filter that swallows it.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	if err := unix.Sendto(fd, routeRequest(to), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	buf := make([]byte, 8<<10)
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Hop{}, fmt.Errorf("routing table: %w", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not the kernel
		}
		h, index, err := parseRouteReply(buf[:n], to)
		if err != nil {
			return Hop{}, err
		}
		return h.viaInterface(index), nil
	}
}

// Sizes of the netlink headers, in bytes.
const (
	nlHeader = unix.SizeofNlMsghdr
	rtHeader = unix.SizeofRtMsg
)

// routeRequest is the netlink message that asks for the route to an address.
func routeRequest(to netip.Addr) []byte {
	family, raw := byte(unix.AF_INET), to.AsSlice()
	if to.Is6() {
		family = unix.AF_INET6
	}
	size := nlHeader + rtHeader + unix.SizeofRtAttr + len(raw)
	b := make([]byte, size)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], uint32(size))
	ne.PutUint16(b[4:], unix.RTM_GETROUTE)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)
	rt := b[nlHeader:]
	rt[0] = family
	rt[1] = byte(to.BitLen())
	ne.PutUint32(rt[8:], unix.RTM_F_FIB_MATCH)
	attr := rt[rtHeader:]
	ne.PutUint16(attr[0:], uint16(unix.SizeofRtAttr+len(raw)))
	ne.PutUint16(attr[2:], unix.RTA_DST)
	copy(attr[unix.SizeofRtAttr:], raw)
	return b
}

// parseRouteReply reads the matched entry and the index of its interface, 0 when there are several or none. A kernel
// before 4.13 ignores the flag and gives the looked-up host route, marked as cloned: that says nothing about the entry.
func parseRouteReply(b []byte, to netip.Addr) (h Hop, index int, err error) {
	if len(b) < nlHeader {
		return Hop{}, 0, errors.New("routing table: the answer is too short")
	}
	ne := binary.NativeEndian
	if size := ne.Uint32(b); size >= nlHeader && int64(size) <= int64(len(b)) {
		b = b[:size]
	} else {
		return Hop{}, 0, errors.New("routing table: the answer has an impossible length")
	}
	kind, rest := ne.Uint16(b[4:]), b[nlHeader:]
	switch {
	case kind == unix.NLMSG_ERROR && len(rest) >= 4:
		errno := unix.Errno(-int32(ne.Uint32(rest)))
		if noRouteErrno(errno) || errno == unix.EACCES || errno == unix.EINVAL { // unreachable, prohibit, blackhole
			return Hop{}, 0, fmt.Errorf("%w to %s", ErrNoRoute, to)
		}
		return Hop{}, 0, fmt.Errorf("routing table: %w", errno)
	case kind != unix.RTM_NEWROUTE || len(rest) < rtHeader:
		return Hop{}, 0, errors.New("routing table: the answer is not a route")
	case ne.Uint32(rest[8:])&unix.RTM_F_CLONED != 0:
		return Hop{}, 0, fmt.Errorf("routing table: this kernel does not tell the entry: %w", errors.ErrUnsupported)
	}
	if h.Dst, err = to.Prefix(int(rest[1])); err != nil {
		return Hop{}, 0, errors.New("routing table: the answer has an impossible prefix length")
	}
	h.Origin = linuxOrigin(rest[5])
	ok := eachAttr(rest[rtHeader:], func(kind uint16, v []byte) {
		switch kind {
		case unix.RTA_OIF:
			if len(v) >= 4 {
				index = int(int32(ne.Uint32(v)))
			}
		case unix.RTA_GATEWAY:
			h.Gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA: // a gateway of the other family: two bytes of family before it
			h.Gateway, _ = netip.AddrFromSlice(v[min(2, len(v)):])
		}
	})
	if !ok {
		return Hop{}, 0, errors.New("routing table: the answer cannot be read")
	}
	return h, index, nil
}

// linuxOrigin reads rtm_protocol (rtnetlink(7)). RTPROT_BOOT, which ip(8) writes unless told otherwise, is unknown: the
// scripts of DHCP clients leave it, too. strongSwan, NetworkManager and systemd-networkd write RTPROT_STATIC for
// what is configured, and their own numbers for what DHCP or a router said.
func linuxOrigin(protocol byte) Origin {
	switch protocol {
	case unix.RTPROT_STATIC:
		return OriginConfigured
	case unix.RTPROT_DHCP, unix.RTPROT_RA, unix.RTPROT_KERNEL, unix.RTPROT_REDIRECT:
		return OriginNetwork
	}
	return OriginUnknown
}
