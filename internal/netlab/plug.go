//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"net/netip"
)

// Socket is a place where a laptop has a network interface, which can be plugged into one router after the other: what
// a Wi-Fi interface does.
type Socket struct {
	Host *Host
	Name string // of the interface
	at   *Router
}

// Plug connects the socket to a router, as Wi-Fi associates: the interface loses its addresses and routes, is down
// for a moment, and comes up in the other network. Both other ends are called "lan". The laptop has no address there
// before [Socket.Configure].
func (s *Socket) Plug(r *Router) error {
	switch {
	case s.at == nil:
		if err := r.lab.Cable(s.Host, s.Name, r.Host, "lan"); err != nil {
			return err
		}
	case s.at != r:
		if err := s.Unplug(); err != nil {
			return err
		}
		if err := s.at.IP("link", "set", "lan", "netns", r.ns); err != nil {
			return err
		}
	}
	s.at = r
	return errors.Join(
		r.IP("addr", "replace", r.Inner.String(), "dev", "lan"),
		r.IP("link", "set", "lan", "up"),
		s.Host.IP("link", "set", s.Name, "up"),
	)
}

// Unplug takes the interface down; addresses and routes go with it.
func (s *Socket) Unplug() error {
	return s.Host.Batch("addr flush dev "+s.Name, fmt.Sprintf("link set %s down", s.Name))
}

// Configure gives the interface an address in the router's network and a default route, as DHCP does.
func (s *Socket) Configure(host netip.Addr) error {
	return s.Host.Batch(
		fmt.Sprintf("addr add %s/%d dev %s", host, s.at.Inner.Bits(), s.Name),
		fmt.Sprintf("route add default via %s dev %s", s.at.Inner.Addr(), s.Name),
	)
}
