package ipwatch

import (
	"fmt"
	"net/netip"
)

// reserved is a range that no sender on the public internet has.
type reserved struct {
	prefix netip.Prefix
	what   string
}

// The ranges come from the IANA special-purpose registries,
// https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry.
var (
	reserved4 = []reserved{
		{netip.MustParsePrefix("0.0.0.0/8"), "this network, RFC 791"},
		{netip.MustParsePrefix("10.0.0.0/8"), "private, RFC 1918"},
		{netip.MustParsePrefix("100.64.0.0/10"), "shared by a provider's customers, RFC 6598"},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local, RFC 3927"},
		{netip.MustParsePrefix("172.16.0.0/12"), "private, RFC 1918"},
		{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments, RFC 6890"},
		{netip.MustParsePrefix("192.0.2.0/24"), "documentation, RFC 5737"},
		{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays, RFC 7526"},
		{netip.MustParsePrefix("192.168.0.0/16"), "private, RFC 1918"},
		{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking, RFC 2544"},
		{netip.MustParsePrefix("198.51.100.0/24"), "documentation, RFC 5737"},
		{netip.MustParsePrefix("203.0.113.0/24"), "documentation, RFC 5737"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved, RFC 1112"},
	}
	// global6 is the only IPv6 range that is given out (RFC 4291, section 2.4); reserved6 are the holes in it.
	global6   = netip.MustParsePrefix("2000::/3")
	reserved6 = []reserved{
		{netip.MustParsePrefix("2001::/23"), "protocol assignments and Teredo, RFC 2928"},
		{netip.MustParsePrefix("2001:db8::/32"), "documentation, RFC 3849"},
		{netip.MustParsePrefix("2002::/16"), "6to4, RFC 7526"},
		{netip.MustParsePrefix("3fff::/20"), "documentation, RFC 9637"},
	}
)

// Public tells why a cannot be somebody's address on the public internet; nil means that it can. Addresses in
// accept count as public although they are not, for labs; but never the zero Addr, one with a zone, an
// IPv4-mapped one, the unspecified address or a multicast or broadcast one.
func Public(a netip.Addr, accept []netip.Prefix) error {
	if err := sendable(a); err != nil {
		return err
	}
	if within(a, accept) {
		return nil
	}
	ranges := reserved4
	if a.Is6() {
		if !global6.Contains(a) {
			return fmt.Errorf("%s is not a public address (outside of 2000::/3)", a)
		}
		ranges = reserved6
	}
	for _, r := range ranges {
		if r.prefix.Contains(a) {
			return fmt.Errorf("%s is not a public address (%s)", a, r.what)
		}
	}
	return nil
}
