//go:build linux

package netlab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// STUN is a server that tells the asker's address (RFC 8489), or another one.
type STUN struct {
	mu    sync.Mutex
	say   func(from netip.AddrPort) netip.AddrPort
	noise []byte
	asked []time.Time
	ports map[uint16]bool
}

// STUN serves a STUN server on UDP addresses of the host.
func (h *Host) STUN(addrs ...string) (*STUN, error) {
	s := &STUN{say: Seen, ports: map[uint16]bool{}}
	for _, addr := range addrs {
		c, err := h.ListenPacket("udp", addr)
		if err != nil {
			return nil, err
		}
		go s.serve(c)
	}
	return s, nil
}

// Seen is what an honest STUN server says.
func Seen(from netip.AddrPort) netip.AddrPort { return from }

// Silent is what one says that does not answer.
func Silent(netip.AddrPort) netip.AddrPort { return netip.AddrPort{} }

// Say changes what the server says; the zero AddrPort is no answer.
func (s *STUN) Say(say func(from netip.AddrPort) netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say = say
}

// Asked returns when the questions came, and from how many different ports.
func (s *STUN) Asked() (times []time.Time, ports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked), len(s.ports)
}

// Noise makes the server answer everything with these bytes; nil ends it.
func (s *STUN) Noise(answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noise = answer
}

func (s *STUN) serve(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, peer, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		u, ok := peer.(*net.UDPAddr)
		if !ok || n < 20 || binary.BigEndian.Uint16(buf) != 0x0001 { // a binding request
			continue
		}
		from := netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port())
		s.mu.Lock()
		s.asked = append(s.asked, time.Now())
		s.ports[from.Port()] = true
		say, noise := s.say, s.noise
		s.mu.Unlock()
		if noise != nil {
			_, _ = c.WriteTo(noise, peer)
			continue
		}
		if a := say(from); a.IsValid() {
			_, _ = c.WriteTo(stunAnswer(buf[4:20], a), peer) // one that gets lost is asked for again
		}
	}
}

// stunAnswer is a binding success response with XOR-MAPPED-ADDRESS (RFC 8489, section 14.2). key is the magic cookie and
// the transaction id.
func stunAnswer(key []byte, a netip.AddrPort) []byte {
	ip, family := a.Addr().AsSlice(), byte(1)
	if a.Addr().Is6() {
		family = 2
	}
	for i := range ip {
		ip[i] ^= key[i]
	}
	value := append([]byte{0, family}, binary.BigEndian.AppendUint16(nil, a.Port()^binary.BigEndian.Uint16(key))...)
	value = append(value, ip...)
	msg := binary.BigEndian.AppendUint16([]byte{0x01, 0x01}, uint16(4+len(value)))
	msg = append(msg, key...)
	msg = append(msg, 0x00, 0x20)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(value)))
	return append(msg, value...)
}
