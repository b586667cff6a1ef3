package config

import (
	"fmt"
	"net/netip"
)

// Mode says where the address of one family comes from.
type Mode struct {
	Kind  Kind
	Fixed netip.Addr // only with [Fixed]
}

// Kind is the way to an address.
type Kind string

// The kinds of [Mode].
const (
	Auto  Kind = "auto"  // ask the sources
	Off   Kind = "off"   // leave the family alone
	Local Kind = "local" // the address that the system would send from
	Fixed Kind = "fixed" // the user says it
)

// ParseMode reads auto, off, local or an address.
func ParseMode(text string) (Mode, error) {
	switch k := Kind(text); k {
	case Auto, Off, Local:
		return Mode{Kind: k}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return Mode{}, fmt.Errorf("%q is none of auto, off, local or an address", text)
	}
	return Mode{Kind: Fixed, Fixed: addr}, nil
}

// String is what [ParseMode] reads.
func (m Mode) String() string {
	if m.Kind == Fixed {
		return m.Fixed.String()
	}
	return string(m.Kind)
}

// MarshalText is [Mode.String].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is [ParseMode]. With MarshalText it makes a Mode usable as a flag.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}
