package ipwatch_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"golang.org/x/sys/unix"
)

// TestRouteTo asks the running kernel. Loopback's route is the same everywhere; the default route is compared with
// /proc/net/route where there is one.
func TestRouteTo(t *testing.T) {
	t.Parallel()
	p, err := ipwatch.RouteTo(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Dst.Bits() < 8 || !p.Dst.Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("the route to 127.0.0.1 is %+v", p)
	}
	p, err = ipwatch.RouteTo(netip.MustParseAddr("127.200.200.200"))
	if err != nil || p.Dst != netip.MustParsePrefix("127.0.0.0/8") || p.Interface != "lo" || !p.Tunnel {
		t.Errorf("the route to 127.200.200.200 is %+v, %v; want 127.0.0.0/8 on lo", p, err)
	}
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		t.Skip(err)
	}
	hasDefault := false
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		hasDefault = hasDefault || len(f) > 7 && f[1] == "00000000" && f[7] == "00000000"
	}
	p, err = ipwatch.RouteTo(netip.MustParseAddr("198.41.0.4"))
	switch {
	case hasDefault && (err != nil || !ipwatch.IsDefault(p.Dst)):
		t.Errorf("the route to the internet is %+v, %v; /proc/net/route has a default route", p, err)
	case !hasDefault && !errors.Is(err, ipwatch.ErrNoRoute):
		t.Logf("no default route in the main table; the kernel says %+v, %v", p, err)
	}
}

// TestInterfaceAddrs reads this computer's own addresses; loopback is always among them.
func TestInterfaceAddrs(t *testing.T) {
	t.Parallel()
	got, err := ipwatch.InterfaceAddrs(detectorFor(t, ipwatch.DefaultPolicy(), nil))
	if err != nil || !slices.Contains(got, netip.MustParsePrefix("127.0.0.1/8")) {
		t.Errorf("addresses %v, %v; want 127.0.0.1/8 among them", got, err)
	}
}

// TestNoRouteErrno: what the kernel says to a dial without a route is told as such.
func TestNoRouteErrno(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT} {
		d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
		d.Dial = func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", errno)}
		}
		v := d.Conclude(d.Observe(t.Context(), ipwatch.V6), nil)
		if v.State != ipwatch.Offline || !strings.Contains(v.Why, "no route to the internet over IPv6") {
			t.Errorf("%v: %s (%s)", errno, v.State, v.Why)
		}
	}
}

// reply is a netlink message with a route of this prefix length, and attributes.
func reply(kind uint16, bits byte, flags uint32, attrs ...[]byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	b = append(b, bytes.Join(attrs, nil)...)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	b[unix.SizeofNlMsghdr] = unix.AF_INET
	b[unix.SizeofNlMsghdr+1] = bits
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+8:], flags)
	return b
}

// attr is an attribute, padded; from makes a reply one of a protocol.
func attr(kind uint16, v ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), v...)
	return append(b, make([]byte, -len(v)&3)...)
}

func from(protocol byte, msg []byte) []byte {
	msg[unix.SizeofNlMsghdr+5] = protocol
	return msg
}

// failure is a netlink error message.
func failure(errno unix.Errno) []byte {
	b := reply(unix.NLMSG_ERROR, 0, 0)
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr:], uint32(-int32(errno)))
	return b
}

func TestParseRouteReply(t *testing.T) {
	t.Parallel()
	to := netip.MustParseAddr("10.0.3.4")
	gateway, oif := attr(unix.RTA_GATEWAY, 192, 168, 1, 2), attr(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, 7)...)
	dst := attr(unix.RTA_DST, 10, 0, 0, 0)
	via := attr(unix.RTA_VIA, append([]byte{unix.AF_INET6, 0}, netip.MustParseAddr("fe80::1").AsSlice()...)...)
	for _, c := range []struct {
		name string
		msg  []byte
		want string // destination, gateway, origin, interface
		err  error
	}{
		{"specific", reply(unix.RTM_NEWROUTE, 16, 0), "10.0.0.0/16 invalid IP 0 0", nil},
		{"default", reply(unix.RTM_NEWROUTE, 0, 0, oif), "0.0.0.0/0 invalid IP 0 7", nil},
		{"static", from(unix.RTPROT_STATIC, reply(unix.RTM_NEWROUTE, 16, 0, dst, oif, gateway)), "10.0.0.0/16 192.168.1.2 1 7", nil},
		{"DHCP", from(unix.RTPROT_DHCP, reply(unix.RTM_NEWROUTE, 16, 0, gateway, oif)), "10.0.0.0/16 192.168.1.2 2 7", nil},
		{"router advertisement", from(unix.RTPROT_RA, reply(unix.RTM_NEWROUTE, 16, 0, oif)), "10.0.0.0/16 invalid IP 2 7", nil},
		{"of the link", from(unix.RTPROT_KERNEL, reply(unix.RTM_NEWROUTE, 24, 0, oif)), "10.0.3.0/24 invalid IP 2 7", nil},
		{"redirect", from(unix.RTPROT_REDIRECT, reply(unix.RTM_NEWROUTE, 32, 0, oif)), "10.0.3.4/32 invalid IP 2 7", nil},
		{"by ip(8) or a script", from(unix.RTPROT_BOOT, reply(unix.RTM_NEWROUTE, 16, 0, gateway)), "10.0.0.0/16 192.168.1.2 0 0", nil},
		{"gateway of IPv6", reply(unix.RTM_NEWROUTE, 16, 0, via), "10.0.0.0/16 fe80::1 0 0", nil},
		{"old kernel", reply(unix.RTM_NEWROUTE, 32, unix.RTM_F_CLONED), "", errors.ErrUnsupported},
		{"unreachable", failure(unix.ENETUNREACH), "", ipwatch.ErrNoRoute},
		{"blackhole", failure(unix.EINVAL), "", ipwatch.ErrNoRoute},
		{"not permitted", failure(unix.EPERM), "", unix.EPERM},
	} {
		h, index, err := ipwatch.ParseRouteReply(c.msg, to)
		got := fmt.Sprintf("%s %s %d %d", h.Dst, h.Gateway, h.Origin, index)
		if c.err != nil && !errors.Is(err, c.err) || c.err == nil && (err != nil || got != c.want) {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, got, err, c.want, c.err)
		}
	}
	for name, msg := range map[string][]byte{
		"short": {1, 2}, "another message": reply(unix.RTM_NEWLINK, 16, 0), "too long a prefix": reply(unix.RTM_NEWROUTE, 33, 0),
		"broken attribute": reply(unix.RTM_NEWROUTE, 16, 0, []byte{9, 0, 1, 0}), "longer than it is": reply(unix.RTM_NEWROUTE, 16, 0)[:20],
	} {
		if h, _, err := ipwatch.ParseRouteReply(msg, to); err == nil {
			t.Errorf("%s: %+v without an error", name, h)
		}
	}
}

func FuzzParseRouteReply(f *testing.F) {
	f.Add(reply(unix.RTM_NEWROUTE, 16, 0))
	f.Add(failure(unix.EPERM))
	f.Add(from(unix.RTPROT_STATIC, reply(unix.RTM_NEWROUTE, 16, 0, attr(unix.RTA_GATEWAY, 192, 168, 1, 2), attr(unix.RTA_VIA, 2))))
	f.Add([]byte{1, 2, 3})
	to := netip.MustParseAddr("10.0.3.4")
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, err := ipwatch.ParseRouteReply(b, to)
		if p := h.Dst; err == nil && (!p.IsValid() || !p.Contains(to) || p != p.Masked()) {
			t.Errorf("route %s", p)
		}
	})
}
