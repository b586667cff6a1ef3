package ipwatch_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestPrivateNodeInNamespace asks a real kernel about a café, a VPN, and routes that were given out or configured.
func TestPrivateNodeInNamespace(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	n.ip("addr", "add", "192.168.50.2/24", "dev", "eth0")
	n.ip("route", "add", "default", "via", "192.168.50.1")
	n.ip("tuntap", "add", "tun0", "mode", "tun")
	n.ip("link", "set", "tun0", "up")
	n.ip("addr", "add", "10.8.0.2/24", "dev", "tun0")
	for _, r := range []string{
		"10.1.0.0/16 via 192.168.50.1 proto dhcp", "10.2.0.0/16 via 192.168.50.1 proto static", "10.3.0.0/16 via 192.168.50.1",
		"10.4.0.0/16 dev tun0", "10.5.0.0/16 dev eth0 proto static", "10.6.0.0/16 nexthop via 192.168.50.1 nexthop via 192.168.50.9",
	} {
		n.ip(append([]string{"route", "add"}, strings.Fields(r)...)...)
	}
	n.ip("route", "add", "unreachable", "10.7.0.0/16")
	// A policy rule, as strongSwan makes it: a table of its own.
	n.ip("route", "add", "10.9.0.0/16", "via", "192.168.50.1", "table", "220", "proto", "static", "src", "10.8.0.2")
	n.ip("rule", "add", "table", "220")
	for node, want := range map[string]string{
		"10.1.3.4":     "unsure: the network itself gave out the route 10.1.0.0/16 to the node 10.1.3.4 (eth0)",
		"10.2.3.4":     "confirmed 192.168.50.2",
		"10.3.3.4":     "unsure: goes over a shared network (eth0), and it cannot be told who made it",
		"10.4.3.4":     "confirmed 10.8.0.2",
		"10.5.3.4":     "unsure: on the network that this computer is on itself (eth0)",
		"10.6.3.4":     "unsure: on the network that this computer is on itself",
		"10.7.3.4":     "offline: is the VPN connected?",
		"10.8.0.77":    "confirmed 10.8.0.2",
		"10.8.0.2":     "unsure: this computer has it, too",
		"10.9.3.4":     "confirmed 10.8.0.2",
		"10.50.3.4":    "unsure: only reached by the default route (eth0)",
		"192.168.50.9": "unsure: the route 192.168.50.0/24 puts the node 192.168.50.9 on the network that this computer is on itself (eth0)",
	} {
		var v ipwatch.Verdict
		n.do(func() {
			v = detectorFor(t, ipwatch.DefaultPolicy(), nil).LocalVerdict(ipwatch.V4, []netip.Addr{netip.MustParseAddr(node)})
		})
		state, why, refused := strings.Cut(want, ": ")
		got := string(v.State)
		if !refused {
			got = fmt.Sprintf("%s %s", v.State, v.Addr)
		}
		if got != state || !strings.Contains(v.Why, why) {
			t.Errorf("%s: %s %s: %s\nwant %s", node, v.State, v.Addr, v.Why, want)
		}
	}
}
