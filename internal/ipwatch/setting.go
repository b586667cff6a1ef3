package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Mode says where the address of a family comes from.
type Mode string

// The modes. The zero value means ModeAuto.
const (
	ModeAuto  Mode = "auto"  // ask the sources
	ModeOff   Mode = "off"   // the family is not used
	ModeFixed Mode = "fixed" // the configuration gives the address
	ModeLocal Mode = "local" // the address that the system would send from towards the node
)

// Setting is the configuration of one family. The zero value is automatic.
type Setting struct {
	Mode  Mode
	Fixed netip.Addr // with ModeFixed
}

// ParseSetting reads the value of ipv4 or ipv6 under [address]: "auto", "off", "local", an address, or an
// address with /32 (IPv6: /128). A wider range is an error, since nothing wider than a host is authorized as
// one's own address. [NewDetector] checks the address further.
func ParseSetting(f Family, s string) (Setting, error) {
	switch Mode(s) {
	case ModeAuto, "":
		return Setting{Mode: ModeAuto}, nil
	case ModeOff, ModeLocal:
		return Setting{Mode: Mode(s)}, nil
	}
	host, _, _ := strings.Cut(s, "/")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return Setting{}, fmt.Errorf(`%s = "%s": want "auto", "off", "local" or an address`, f, clean(s, 60))
	}
	if host != s {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return Setting{}, fmt.Errorf(`%s = "%s" is not an address`, f, clean(s, 60))
		}
		if !p.IsSingleIP() {
			return Setting{}, fmt.Errorf(`%s = "%s" is a range; want one address (a range to keep open goes to "trusted" in a target)`, f, clean(s, 60))
		}
	}
	if !f.Has(a) {
		return Setting{}, fmt.Errorf(`%s = "%s" is not an %s address`, f, clean(s, 60), f.label())
	}
	return Setting{Mode: ModeFixed, Fixed: a}, nil
}

// check tells what is wrong with a setting of this family. A fixed address may be private, for clusters behind
// a VPN, but it must be able to be a sender's address; loopback is for labs and needs accept.
func (s Setting) check(f Family, accept []netip.Prefix) error {
	switch s.Mode {
	case "", ModeAuto, ModeOff, ModeLocal:
		return nil
	case ModeFixed:
	default:
		return fmt.Errorf("%s: unknown mode %q", f, string(s.Mode))
	}
	if !f.Has(s.Fixed) {
		return fmt.Errorf("%s is set to %s, which is not an %s address", f, s.Fixed, f.label())
	}
	if err := sendable(s.Fixed); err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	if err := unrouted(s.Fixed); err != nil && !within(s.Fixed, accept) {
		return fmt.Errorf("%s: %w", f, err)
	}
	return nil
}

var (
	errUnspecified = errors.New("the unspecified address is nobody's address")
	errZone        = errors.New("an address with a zone is only valid on one link")
)

// sendable tells why a can never be the source address of a packet, in no network at all.
func sendable(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("no address")
	case a.Zone() != "":
		return errZone
	case a.Is4In6():
		return fmt.Errorf("%s is an IPv4-mapped address", a)
	case a.IsUnspecified():
		return errUnspecified
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is a multicast or broadcast address", a)
	}
	return nil
}

// unrouted tells why no router forwards packets from a. Labs accept such addresses.
func unrouted(a netip.Addr) error {
	switch {
	case a.IsLoopback():
		return fmt.Errorf("%s is a loopback address", a)
	case a.IsLinkLocalUnicast():
		return fmt.Errorf("%s is a link-local address", a)
	}
	return nil
}

// within tells whether a lies in one of the ranges.
func within(a netip.Addr, ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// overlapping returns the first of the ranges that has an address in common with p.
func overlapping(p netip.Prefix, ranges []netip.Prefix) (netip.Prefix, bool) {
	for _, r := range ranges {
		if r.Overlaps(p) {
			return r, true
		}
	}
	return netip.Prefix{}, false
}
