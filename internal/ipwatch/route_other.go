//go:build !linux && !darwin && !windows

package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
)

// routeTo cannot read the routing table here.
func routeTo(to netip.Addr) (Hop, error) {
	return Hop{}, fmt.Errorf("route to %s: %w", to, errors.ErrUnsupported)
}
