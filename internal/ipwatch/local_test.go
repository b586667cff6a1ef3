package ipwatch_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

func TestLocalVerdict(t *testing.T) {
	t.Parallel()
	const anchor, node, other = "198.41.0.4", "10.0.3.4", "10.0.3.5"
	never := ipwatch.DefaultPolicy()
	never.Never = addrPrefixes("10.8.0.0/16")
	for _, c := range []struct {
		name     string
		policy   ipwatch.Policy
		nodes    []netip.Addr
		locals   map[string]string
		route    string // a prefix, "" is an unreadable table, "-" is no route
		state    ipwatch.State
		why      string
		warnings int
	}{
		{"VPN", ipwatch.DefaultPolicy(), addrs(node, other), map[string]string{node: "10.8.0.2", other: "10.8.0.2"}, "10.0.0.0/16", ipwatch.Confirmed, "sends from 10.8.0.2", 1},
		{"default route", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "192.168.1.5"}, "0.0.0.0/0", ipwatch.Unsure, "only reached by the default route", 0},
		{"half of everything", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2"}, "0.0.0.0/1", ipwatch.Unsure, "only reached by the default route", 0},
		{"no route", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: ""}, "10.0.0.0/16", ipwatch.Offline, "is the VPN connected?", 0},
		{"route vanished between", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2"}, "-", ipwatch.Unsure, "is the VPN connected?", 0},
		{"look-up fails", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "?"}, "10.0.0.0/16", ipwatch.Unsure, "cannot be found out", 0},
		{"two ways", ipwatch.DefaultPolicy(), addrs(node, other), map[string]string{node: "10.8.0.2", other: "10.9.0.2"}, "10.0.0.0/16", ipwatch.Conflict, "10.9.0.2", 0},
		{"unreadable, another address than to the internet", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2", anchor: "192.168.1.5"}, "",
			ipwatch.Confirmed, "sends from 10.8.0.2", 2},
		{"unreadable, no internet", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2", anchor: ""}, "", ipwatch.Confirmed, "sends from 10.8.0.2", 2},
		{"unreadable, same address as to the internet", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2", anchor: "10.8.0.2"}, "",
			ipwatch.Unsure, "the same as towards the internet", 0},
		{"unreadable, nothing known", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.8.0.2", anchor: "?"}, "", ipwatch.Unsure, "the same as towards the internet", 0},
		{"unreadable, no tunnel", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "10.9.0.2", anchor: "192.168.1.5"}, "", ipwatch.Unsure, "not one of a tunnel", 0},
		{"the node's own address", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: node}, "10.0.0.0/16", ipwatch.Unsure, "this computer has it, too", 0},
		{"forbidden", never, addrs(node), map[string]string{node: "10.8.0.2"}, "10.0.0.0/16", ipwatch.Unsure, "never in [address] forbids", 0},
		{"mapped node", ipwatch.DefaultPolicy(), addrs("::ffff:" + node), map[string]string{node: "10.8.0.2"}, "10.0.0.0/16", ipwatch.Confirmed, "to the node " + node, 1},
		{"unreadable, two nodes", ipwatch.DefaultPolicy(), addrs(node, other), map[string]string{node: "10.8.0.2", other: "10.8.0.2", anchor: ""}, "", ipwatch.Confirmed, "sends from 10.8.0.2", 2},
		{"nobody's address", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "0.0.0.0"}, "10.0.0.0/16", ipwatch.Unsure, "unspecified", 0},
		{"loopback", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "127.0.0.1"}, "10.0.0.0/16", ipwatch.Unsure, "loopback", 0},
		{"link-local", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "169.254.3.3"}, "10.0.0.0/16", ipwatch.Unsure, "link-local", 0},
		{"wrong family", ipwatch.DefaultPolicy(), addrs(node), map[string]string{node: "fd00::2"}, "10.0.0.0/16", ipwatch.Unsure, "not an IPv4 address", 0},
		{"no node", ipwatch.DefaultPolicy(), nil, nil, "", ipwatch.Unsure, "No node", 0},
		{"node of the other family", ipwatch.DefaultPolicy(), addrs("fd00::3"), nil, "", ipwatch.Unsure, "No node with an IPv4 address", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detectorFor(t, c.policy, nil)
			d.LocalAddr = routes(c.locals)
			d.Route = func(netip.Addr) (ipwatch.Hop, error) {
				switch c.route {
				case "":
					return ipwatch.Hop{}, errors.ErrUnsupported
				case "-":
					return ipwatch.Hop{}, ipwatch.ErrNoRoute
				}
				return tunnel(c.route), nil
			}
			d.Tunnel = func(local netip.Addr) bool { return local == netip.MustParseAddr("10.8.0.2") }
			v := d.LocalVerdict(ipwatch.V4, c.nodes)
			checkVerdict(t, v)
			if v.State != c.state || !strings.Contains(v.Why, c.why) || v.State == ipwatch.Confirmed && len(v.Warnings) != c.warnings {
				t.Errorf("%s: %s %q\nwant %s: …%s… and %d warnings", v.State, v.Why, v.Warnings, c.state, c.why, c.warnings)
			}
		})
	}
}

func TestLocalVerdictLab(t *testing.T) {
	t.Parallel()
	p := ipwatch.DefaultPolicy()
	p.Accept = addrPrefixes("127.0.0.0/8")
	d := detectorFor(t, p, nil)
	d.Route = func(netip.Addr) (ipwatch.Hop, error) { return tunnel("127.0.0.0/8"), nil }
	// The system's own look-up, on loopback.
	if v := d.LocalVerdict(ipwatch.V4, addrs("127.0.0.1")); v.State != ipwatch.Confirmed || v.Addr.String() != "127.0.0.1" {
		t.Errorf("%s %v (%s), want confirmed 127.0.0.1", v.State, v.Addr, v.Why)
	}
	// And the system's own routing table: what it says of loopback differs.
	d.Route = nil
	checkVerdict(t, d.LocalVerdict(ipwatch.V4, addrs("127.0.0.1")))
}

// tunnel is a route through a VPN.
func tunnel(dst string) ipwatch.Hop {
	return ipwatch.Hop{Dst: netip.MustParsePrefix(dst), Interface: "tun0", Tunnel: true}
}

func TestIsDefault(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"0.0.0.0/0": true, "0.0.0.0/1": true, "128.0.0.0/1": true, "10.0.0.0/8": false, "64.0.0.0/2": false,
		"::/0": true, "8000::/1": true, "2000::/3": true, "2600::/12": false, "fd00::/8": false,
	} {
		if got := ipwatch.IsDefault(netip.MustParsePrefix(s)); got != want {
			t.Errorf("isDefault(%s) = %v, want %v", s, got, want)
		}
	}
	if !ipwatch.IsDefault(netip.Prefix{}) {
		t.Error("no prefix at all counts as a specific route")
	}
}
