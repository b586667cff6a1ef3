package ipwatch

import (
	"fmt"
	"net/netip"
)

// Family is an address family. The zero value is neither of them.
type Family uint8

// The two families. An answer or a verdict belongs to exactly one of them.
const (
	V4 Family = 4
	V6 Family = 6
)

// String returns "ipv4" or "ipv6", as in the configuration and in JSON.
func (f Family) String() string {
	switch f {
	case V4:
		return "ipv4"
	case V6:
		return "ipv6"
	}
	return fmt.Sprintf("family(%d)", uint8(f))
}

// MarshalText returns what String returns, so that a map keyed by Family becomes a JSON object with the keys
// "ipv4" and "ipv6". It fails on a value that is no family.
func (f Family) MarshalText() ([]byte, error) {
	if f != V4 && f != V6 {
		return nil, fmt.Errorf("%d is no address family", uint8(f))
	}
	return []byte(f.String()), nil
}

// Has tells whether a is an address of this family. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is of none.
func (f Family) Has(a netip.Addr) bool {
	switch f {
	case V4:
		return a.Is4()
	case V6:
		return a.Is6() && !a.Is4In6()
	}
	return false
}

// FamilyOf returns the family of a, or 0 for the zero Addr and for IPv4-mapped addresses.
func FamilyOf(a netip.Addr) Family {
	switch {
	case V4.Has(a):
		return V4
	case V6.Has(a):
		return V6
	}
	return 0
}

// label is the family in a sentence.
func (f Family) label() string {
	if f == V6 {
		return "IPv6"
	}
	return "IPv4"
}

// tcp and udp are the networks of package net that force this family.
func (f Family) tcp() string { return "tcp" + string('0'+rune(f)) }
func (f Family) udp() string { return "udp" + string('0'+rune(f)) }

// anchor is a public address of the family that stands for "the internet" in a look at the routes: a root name
// server (A, https://www.iana.org/domains/root/servers), since those do not move. Nothing is ever sent to it.
func (f Family) anchor() netip.Addr {
	if f == V6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, 13: 0x02, 15: 0x30}) // 2001:503:ba3e::2:30
	}
	return netip.AddrFrom4([4]byte{198, 41, 0, 4})
}

// loopback is what the name localhost stands for.
func (f Family) loopback() netip.Addr {
	if f == V6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
