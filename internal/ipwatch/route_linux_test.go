package ipwatch_test

import (
	"context"
	"encoding/binary"
	"errors"
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
	if p.Bits() < 8 || !p.Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("the route to 127.0.0.1 is %s", p)
	}
	p, err = ipwatch.RouteTo(netip.MustParseAddr("127.200.200.200"))
	if err != nil || p != netip.MustParsePrefix("127.0.0.0/8") {
		t.Errorf("the route to 127.200.200.200 is %s, %v; want 127.0.0.0/8", p, err)
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
	case hasDefault && (err != nil || !ipwatch.IsDefault(p)):
		t.Errorf("the route to the internet is %s, %v; /proc/net/route has a default route", p, err)
	case !hasDefault && !errors.Is(err, ipwatch.ErrNoRoute):
		t.Logf("no default route in the main table; the kernel says %s, %v", p, err)
	}
}

// TestInterfaceAddrs reads this computer's own addresses; loopback is always among them.
func TestInterfaceAddrs(t *testing.T) {
	t.Parallel()
	got, err := ipwatch.InterfaceAddrs(detectorFor(t, ipwatch.DefaultPolicy(), nil))
	if err != nil || !slices.Contains(got, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("addresses %v, %v; want 127.0.0.1 among them", got, err)
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

// reply is a netlink message with a route of this prefix length.
func reply(kind uint16, bits byte, flags uint32) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	b[unix.SizeofNlMsghdr] = unix.AF_INET
	b[unix.SizeofNlMsghdr+1] = bits
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+8:], flags)
	return b
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
	for _, c := range []struct {
		name string
		msg  []byte
		want string
		err  error
	}{
		{"specific", reply(unix.RTM_NEWROUTE, 16, 0), "10.0.0.0/16", nil},
		{"default", reply(unix.RTM_NEWROUTE, 0, 0), "0.0.0.0/0", nil},
		{"old kernel", reply(unix.RTM_NEWROUTE, 32, unix.RTM_F_CLONED), "", errors.ErrUnsupported},
		{"unreachable", failure(unix.ENETUNREACH), "", ipwatch.ErrNoRoute},
		{"blackhole", failure(unix.EINVAL), "", ipwatch.ErrNoRoute},
		{"not permitted", failure(unix.EPERM), "", unix.EPERM},
	} {
		p, err := ipwatch.ParseRouteReply(c.msg, to)
		if c.err != nil && !errors.Is(err, c.err) || c.err == nil && (err != nil || p.String() != c.want) {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, p, err, c.want, c.err)
		}
	}
}

func FuzzParseRouteReply(f *testing.F) {
	f.Add(reply(unix.RTM_NEWROUTE, 16, 0))
	f.Add(failure(unix.EPERM))
	f.Add([]byte{1, 2, 3})
	to := netip.MustParseAddr("10.0.3.4")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ipwatch.ParseRouteReply(b, to)
		if err == nil && (!p.IsValid() || !p.Contains(to) || p != p.Masked()) {
			t.Errorf("route %s", p)
		}
	})
}
