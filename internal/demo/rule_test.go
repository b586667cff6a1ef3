package demo_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/emr-accessd/emr-accessd/internal/demo"
)

func TestAdmits(t *testing.T) {
	tcp := func(from, to int, cidr string) demo.Rule {
		return demo.Rule{Protocol: "tcp", FromPort: from, ToPort: to, CIDR: netip.MustParsePrefix(cidr)}
	}
	with := func(r demo.Rule, edit func(*demo.Rule)) demo.Rule {
		edit(&r)
		return r
	}
	const me, port = "203.0.113.7", 2222
	mine := tcp(port, port, me+"/32")
	tests := []struct {
		name   string
		rule   demo.Rule
		source string
		want   bool
	}{
		{"exactly me", mine, me, true},
		{"the next address", mine, "203.0.113.8", false},
		{"me in IPv6 clothes", mine, "::ffff:" + me, true},
		{"another port", tcp(22, 22, me+"/32"), me, false},
		{"public, another port", tcp(22, 22, "0.0.0.0/0"), me, false},
		{"public", tcp(port, port, "0.0.0.0/0"), me, true},
		{"public IPv4 and an IPv6 source", tcp(port, port, "0.0.0.0/0"), "2001:db8::1", false},
		{"public IPv6 and an IPv4 source", tcp(port, port, "::/0"), me, false},
		{"public IPv6 and a mapped source", tcp(port, port, "::/0"), "::ffff:" + me, false},
		{"IPv6 host", tcp(port, port, "2001:db8::1/128"), "2001:db8::1", true},
		{"another IPv6 host", tcp(port, port, "2001:db8::1/128"), "2001:db8::2", false},
		{"IPv6 network", tcp(port, port, "2001:db8::/64"), "2001:db8::ffff", true},
		{"IPv6 with a zone", tcp(port, port, "fe80::/10"), "fe80::1%lo", false},
		{"last of a range", tcp(port, port, "203.0.112.0/23"), "203.0.113.255", true},
		{"after a range", tcp(port, port, "203.0.112.0/23"), "203.0.114.0", false},
		{"first port", tcp(port, port+10, me+"/32"), me, true},
		{"last port", tcp(port-10, port, me+"/32"), me, true},
		{"before the ports", tcp(port+1, port+10, me+"/32"), me, false},
		{"after the ports", tcp(0, port-1, me+"/32"), me, false},
		{"all ports", tcp(0, 65535, me+"/32"), me, true},
		{"tcp without ports", tcp(-1, -1, me+"/32"), me, false},
		{"all traffic", with(mine, func(r *demo.Rule) { r.Protocol, r.FromPort, r.ToPort = "-1", -1, -1 }), me, true},
		{"all traffic, another source", with(mine, func(r *demo.Rule) { r.Protocol, r.FromPort, r.ToPort = "-1", -1, -1 }), "203.0.113.8", false},
		{"tcp by number", with(mine, func(r *demo.Rule) { r.Protocol = "6" }), me, true},
		{"udp", with(mine, func(r *demo.Rule) { r.Protocol = "udp" }), me, false},
		{"icmp", with(mine, func(r *demo.Rule) { r.Protocol = "icmp" }), me, false},
		{"another number", with(mine, func(r *demo.Rule) { r.Protocol = "47" }), me, false},
		{"no protocol", with(mine, func(r *demo.Rule) { r.Protocol = "" }), me, false},
		{"egress", with(mine, func(r *demo.Rule) { r.Egress = true }), me, false},
		{"all egress", demo.Rule{Egress: true, Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")}, me, false},
		{"a group", demo.Rule{Protocol: "tcp", FromPort: 0, ToPort: 65535, SourceGroup: "sg-1"}, me, false},
		{"a group, all traffic", demo.Rule{Protocol: "-1", FromPort: -1, ToPort: -1, SourceGroup: "sg-1"}, me, false},
		{"a prefix list", demo.Rule{Protocol: "tcp", FromPort: 0, ToPort: 65535, PrefixList: "pl-1"}, me, false},
		{"nothing", demo.Rule{}, me, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rule.Admits(netip.MustParseAddr(tt.source), port); got != tt.want {
				t.Errorf("%+v admits %s to %d: %t, want %t", tt.rule, tt.source, port, got, tt.want)
			}
		})
	}
	if mine.Admits(netip.Addr{}, port) || tcp(port, port, "0.0.0.0/0").Admits(netip.Addr{}, port) {
		t.Error("no address is admitted")
	}
}

// The matcher against arithmetic: an IPv4 address is in a range when both have the same leading bits.
func TestAdmitsByArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, bits := rapid.Uint32().Draw(t, "base"), rapid.IntRange(0, 32).Draw(t, "bits")
		source := rapid.OneOf(rapid.Uint32(), rapid.Map(rapid.IntRange(0, 31), func(i int) uint32 { return base ^ 1<<i })).Draw(t, "source")
		from, to := rapid.IntRange(0, 65535).Draw(t, "from"), rapid.IntRange(0, 65535).Draw(t, "to")
		port := rapid.OneOf(rapid.IntRange(1, 65535), rapid.SampledFrom([]int{from, to, from - 1, to + 1})).Draw(t, "port")
		r := demo.Rule{Protocol: "tcp", FromPort: from, ToPort: to, CIDR: netip.PrefixFrom(ipv4(base), bits).Masked()}
		want := uint64(base)>>(32-bits) == uint64(source)>>(32-bits) && from <= port && port <= to
		if got := r.Admits(ipv4(source), port); got != want {
			t.Fatalf("%s %d-%d admits %s to %d: %t, want %t", r.CIDR, from, to, ipv4(source), port, got, want)
		}
	})
}

func ipv4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
