package ipwatch_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recordEnv makes TestRecordNetlink write testdata/netlink anew.
const recordEnv = "EMR_ACCESSD_RECORD_NETLINK"

// netlinkScenes are what is done in a namespace while the kernel's messages are recorded; the names are those of the files.
// Each begins with eth0 and peer0 up; what begins with "=" is done before the recording.
var netlinkScenes = map[string][]string{
	"address-add":      {"addr add 192.168.1.5/24 dev eth0"},
	"address-del":      {"=addr add 192.168.1.5/24 dev eth0", "addr del 192.168.1.5/24 dev eth0"},
	"address-renew":    {"=addr add 192.168.1.5/24 dev eth0 valid_lft 600 preferred_lft 600", "addr change 192.168.1.5/24 dev eth0 valid_lft 3600 preferred_lft 3600"},
	"address6":         {"addr add 2001:db8:1::5/64 dev eth0", "addr del 2001:db8:1::5/64 dev eth0"},
	"peer-address":     {"addr add 10.8.0.2 peer 10.8.0.1 dev eth0"},
	"link-local":       {"addr add fe80::5/64 dev eth0", "addr add 169.254.7.7/16 dev eth0 scope link"},
	"carrier-lost":     {"link set peer0 down", "link set peer0 up"},
	"link-down":        {"=addr add 192.168.1.5/24 dev eth0", "=route add default via 192.168.1.1", "link set eth0 down"},
	"link-deleted":     {"link del eth0"},
	"default-route":    {"=addr add 192.168.1.5/24 dev eth0", "route add default via 192.168.1.1", "route del default"},
	"default-replaced": {"=addr add 192.168.1.5/24 dev eth0", "=route add default via 192.168.1.1", "route replace default via 192.168.1.2"},
	"default-route6":   {"=addr add 2001:db8:1::5/64 dev eth0", "-6 route add default via 2001:db8:1::1", "-6 route del default"},
	"halves":           {"=addr add 10.8.0.2/24 dev eth0", "route add 0.0.0.0/1 via 10.8.0.1", "route del 0.0.0.0/1"},
	"other-table":      {"=addr add 10.8.0.2/24 dev eth0", "route add 10.20.0.0/16 via 10.8.0.1 table 1000", "route del 10.20.0.0/16 table 1000"},
	"unreachable":      {"route add unreachable default", "route del unreachable default"},
	"container":        {"=link add br0 type bridge", "=link set br0 up", "link add veth1 type veth peer name veth2", "link set veth1 master br0", "link set veth1 up", "link set veth2 up", "link del veth1"},
}

// TestRecordNetlink writes the kernel's messages of each scene, one read a line, for TestNetlinkRecorded.
func TestRecordNetlink(t *testing.T) {
	if os.Getenv(recordEnv) == "" {
		t.Skip(recordEnv + " is not set")
	}
	for name, lines := range netlinkScenes {
		n := newNetns(t)
		time.Sleep(500 * time.Millisecond) // what the interfaces' coming up entails
		first := slices.IndexFunc(lines, func(l string) bool { return l[0] != '=' })
		for _, l := range lines[:first] {
			n.ip(strings.Fields(l[1:])...)
		}
		time.Sleep(300 * time.Millisecond)
		var fd int
		n.do(func() {
			var err error
			if fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE); err != nil {
				t.Error(err)
			}
			const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
			if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
				t.Error(err)
			}
		})
		var uname unix.Utsname
		_ = unix.Uname(&uname)
		out := fmt.Sprintf("# Linux %s, recorded by TestRecordNetlink while ip(8) did:\n", unix.ByteSliceToString(uname.Release[:]))
		for _, l := range lines[first:] {
			out += "# " + l + "\n"
			n.ip(strings.Fields(l)...)
		}
		time.Sleep(500 * time.Millisecond)
		for buf := make([]byte, 64<<10); ; {
			size, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				break
			}
			out += hex.EncodeToString(buf[:size]) + "\n"
		}
		unix.Close(fd)
		if err := os.WriteFile(filepath.Join("testdata", "netlink", name+".hex"), []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
