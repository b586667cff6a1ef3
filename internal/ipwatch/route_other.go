//go:build !linux

package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
)

// routeTo cannot read the routing table here.
func routeTo(to netip.Addr) (netip.Prefix, error) {
	return netip.Prefix{}, fmt.Errorf("route to %s: %w", to, errors.ErrUnsupported)
}
