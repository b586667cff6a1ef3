package netpath_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/netpath"
	"pgregory.net/rapid"
)

var (
	me   = netip.MustParseAddr("198.51.100.7")
	all4 = netip.MustParsePrefix("0.0.0.0/0")
)

func in(n int, allow bool, cidr string, first, last int) netpath.ACLEntry {
	return netpath.ACLEntry{Number: n, Allow: allow, Protocol: "6", CIDR: netip.MustParsePrefix(cidr), Ports: netpath.Ports{First: first, Last: last}}
}

func out(n int, allow bool, cidr string, first, last int) netpath.ACLEntry {
	e := in(n, allow, cidr, first, last)
	e.Egress = true
	return e
}

func TestACL(t *testing.T) {
	open := in(100, true, "0.0.0.0/0", 0, 65535)
	openOut := out(100, true, "0.0.0.0/0", 0, 65535)
	for _, tt := range []struct {
		name    string
		entries []netpath.ACLEntry
		want    netpath.State
		say     string
	}{
		{"all", []netpath.ACLEntry{open, openOut}, netpath.Open, "lets port 22 in and the answers out"},
		{"every protocol", []netpath.ACLEntry{{Number: 1, Allow: true, Protocol: "-1", CIDR: all4}, {Number: 1, Egress: true, Allow: true, Protocol: "-1", CIDR: all4}}, netpath.Open, ""},
		{"nothing", nil, netpath.Closed, "no entry allows it"},
		{"an earlier deny", []netpath.ACLEntry{open, openOut, in(90, false, "198.51.100.0/24", 22, 22)}, netpath.Closed, "denies port 22 from 198.51.100.7 (entry 90)"},
		{"a later deny", []netpath.ACLEntry{open, openOut, in(110, false, "198.51.100.0/24", 22, 22)}, netpath.Open, ""},
		{"a deny of somebody else", []netpath.ACLEntry{open, openOut, in(90, false, "203.0.113.0/24", 22, 22)}, netpath.Open, ""},
		{"udp only", []netpath.ACLEntry{{Number: 1, Allow: true, Protocol: "17", CIDR: all4}, openOut}, netpath.Closed, ""},
		{"no answers", []netpath.ACLEntry{open, out(100, true, "0.0.0.0/0", 443, 443)}, netpath.Closed, "denies the answers"},
		{"answers to port 22 only", []netpath.ACLEntry{open, out(100, true, "0.0.0.0/0", 22, 22)}, netpath.Closed, "denies the answers"},
		{"answers to the ports of Linux", []netpath.ACLEntry{open, out(100, true, "0.0.0.0/0", 32768, 60999)}, netpath.Open, "ports 32768-60999 only"},
		{"answers to half of them", []netpath.ACLEntry{open, out(100, true, "0.0.0.0/0", 49152, 65535)}, netpath.Closed, "at ports 32768-49151"},
		{"two ranges that touch", []netpath.ACLEntry{open, out(100, true, "0.0.0.0/0", 1024, 40000), out(101, true, "0.0.0.0/0", 40001, 65535)}, netpath.Open, "answers out."},
		{"a hole", []netpath.ACLEntry{open, openOut, out(90, false, "0.0.0.0/0", 50000, 50000)}, netpath.Closed, "at ports 50000,"},
		{"IPv6 does not help", []netpath.ACLEntry{in(1, true, "::/0", 0, 65535), out(1, true, "::/0", 0, 65535)}, netpath.Closed, ""},
		{"an entry that cannot be read", []netpath.ACLEntry{open, openOut, {Number: 1, Protocol: "-1"}}, netpath.Unknown, ""},
		{"the last entry", []netpath.ACLEntry{{Number: 32767, Protocol: "-1", CIDR: all4}}, netpath.Closed, "no entry allows it"},
	} {
		v := netpath.ACL{ID: "acl-1", Entries: tt.entries}.Judge(me, 22, "linux")
		if v.State != tt.want || !strings.Contains(v.Why, tt.say) || (v.State == netpath.Closed) != (v.Remedy != "") {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}

// Every port's own packet, looked at one entry after the other, must agree with what is computed in ranges.
func TestACLLikePackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		port := rapid.IntRange(0, 65535)
		var a netpath.ACL
		for n := range rapid.IntRange(0, 6).Draw(t, "entries") {
			first, last := port.Draw(t, "port"), port.Draw(t, "port")
			e := in(n+1, rapid.Bool().Draw(t, "allow"), rapid.SampledFrom([]string{"0.0.0.0/0", "198.51.100.7/32", "203.0.113.0/24"}).Draw(t, "cidr"), min(first, last), max(first, last))
			e.Egress = rapid.Bool().Draw(t, "egress")
			a.Entries = append(a.Entries, e)
		}
		allows := func(egress bool, p int) bool {
			for _, e := range a.Entries {
				if e.Egress == egress && e.CIDR.Contains(me) && (e.Ports == (netpath.Ports{}) || e.Ports.First <= p && p <= e.Ports.Last) {
					return e.Allow
				}
			}
			return false
		}
		want := netpath.Closed
		if allows(false, 22) {
			want = netpath.Open
			for p := 49152; p <= 65535; p++ {
				if !allows(true, p) {
					want = netpath.Closed
				}
			}
		}
		rand.Shuffle(len(a.Entries), func(i, j int) { a.Entries[i], a.Entries[j] = a.Entries[j], a.Entries[i] })
		if v := a.Judge(me, 22, "darwin"); v.State != want {
			t.Fatalf("%+v, want %v, of %+v", v, want, a)
		}
	})
}

func TestRoutes(t *testing.T) {
	route := func(to, via string) netpath.Route {
		return netpath.Route{To: netip.MustParsePrefix(to), Via: via, Active: true}
	}
	local := route("10.0.0.0/16", "local")
	for _, tt := range []struct {
		name    string
		routes  []netpath.Route
		private bool
		want    netpath.State
		say     string
	}{
		{"internet", []netpath.Route{local, route("0.0.0.0/0", "igw-1")}, false, netpath.Open, "igw-1"},
		{"NAT", []netpath.Route{local, route("0.0.0.0/0", "nat-1")}, false, netpath.Closed, "NAT gateway"},
		{"nothing", []netpath.Route{local}, false, netpath.Closed, "no route to"},
		{"a longer route", []netpath.Route{route("0.0.0.0/0", "igw-1"), route("198.51.100.0/24", "nat-1")}, false, netpath.Closed, "NAT"},
		{"gone", []netpath.Route{{To: all4, Via: "igw-1"}}, false, netpath.Closed, "blackhole"},
		{"a list", []netpath.Route{local, {PrefixList: "pl-1", Via: "igw-1", Active: true}}, false, netpath.Unknown, "prefix list"},
		{"the list of S3", []netpath.Route{local, {PrefixList: "pl-1", Via: "vpce-1", Active: true}}, false, netpath.Closed, "no route to"},
		{"a firewall", []netpath.Route{route("0.0.0.0/0", "vpce-1")}, false, netpath.Unknown, "vpce-1"},
		{"a transit gateway", []netpath.Route{route("0.0.0.0/0", "tgw-1")}, false, netpath.Unknown, ""},
		{"VPN", []netpath.Route{route("198.51.100.0/24", "vgw-1")}, true, netpath.Open, "vgw-1"},
		{"VPN without a route", []netpath.Route{route("0.0.0.0/0", "igw-1")}, true, netpath.Closed, "nobody has this address"},
		{"egress only", []netpath.Route{route("0.0.0.0/0", "eigw-1")}, false, netpath.Closed, "egress-only"},
		{"not known", []netpath.Route{route("0.0.0.0/0", "")}, false, netpath.Unknown, "not known"},
	} {
		v := netpath.Table{ID: "rtb-1", Routes: tt.routes}.Judge(me, tt.private)
		if v.State != tt.want || !strings.Contains(v.Why, tt.say) || (v.State == netpath.Closed) != (v.Remedy != "") {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}
