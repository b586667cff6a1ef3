package ipwatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// STUN asks one server by a Binding request over UDP (RFC 8489, formerly 5389) which address it sees. It is a
// trigger: the answer is not authenticated.
//
// The message is our own code, not pion/stun's, which is a client for ICE: it would add ten modules and 155 KB for
// what is one header and one attribute here, and what we need of a parser of hostile bytes is that it knows nothing
// else.
type STUN struct {
	Server string // "host:port"; the usual port is 3478
	Wire   Wire
	line
}

// Probe asks the server from a new port, with one retransmission. The error is an [*EchoError].
func (s *STUN) Probe(ctx context.Context, f Family) (Sighting, error) {
	begin := time.Now()
	var id [stunIDSize]byte
	rand.Read(id[:]) // never fails
	addr, err := s.exchange(ctx, s.Wire, f, s.Server, stunRequest(id), func(b []byte) (netip.Addr, error) {
		return parseSTUN(b, id)
	})
	if err != nil {
		return Sighting{}, err
	}
	return Sighting{Addr: addr, By: "stun " + clean(s.Server, 80), Took: time.Since(begin)}, nil
}

// The parts of RFC 8489 that a Binding needs: the header (section 5), the methods (18.2) and attributes (18.3).
const (
	stunHeader  = 20
	stunIDSize  = 12
	stunMagic   = 0x2112a442
	stunBinding = 0x0001
	stunSuccess = 0x0101
	stunFailure = 0x0111

	stunMapped       = 0x0001 // MAPPED-ADDRESS
	stunIntegrity    = 0x0008 // MESSAGE-INTEGRITY
	stunErrorCode    = 0x0009
	stunIntegrity256 = 0x001c // MESSAGE-INTEGRITY-SHA256
	stunXORMapped    = 0x0020 // XOR-MAPPED-ADDRESS
	stunOptional     = 0x8000 // attributes from here on may be ignored by who does not know them
)

// stunRequest is a Binding request without attributes.
func stunRequest(id [stunIDSize]byte) []byte {
	b := make([]byte, stunHeader)
	binary.BigEndian.PutUint16(b, stunBinding)
	binary.BigEndian.PutUint32(b[4:], stunMagic)
	copy(b[8:], id[:])
	return b
}

// parseSTUN reads the answer to the request with this id. An error that wraps errStray is about bytes that are not
// that answer. Signatures are not looked at, there is no key. XOR-MAPPED-ADDRESS counts before MAPPED-ADDRESS, which
// some routers rewrite (section 14.2); of several only the first.
func parseSTUN(b []byte, id [stunIDSize]byte) (netip.Addr, error) {
	be := binary.BigEndian
	switch {
	case len(b) < stunHeader:
		return netip.Addr{}, fmt.Errorf("%w: too short for STUN", errStray)
	case be.Uint32(b[4:]) != stunMagic:
		return netip.Addr{}, fmt.Errorf("%w: not STUN", errStray)
	case [stunIDSize]byte(b[8:stunHeader]) != id:
		return netip.Addr{}, fmt.Errorf("%w: another transaction", errStray)
	case int(be.Uint16(b[2:])) != len(b)-stunHeader || len(b)%4 != 0:
		return netip.Addr{}, errors.New("the STUN message has another length than it says")
	}
	kind := be.Uint16(b)
	if kind != stunSuccess && kind != stunFailure {
		return netip.Addr{}, fmt.Errorf("%w: not a Binding response", errStray)
	}
	var plain, xored netip.Addr
	for rest := b[stunHeader:]; len(rest) > 0; {
		attr, size := be.Uint16(rest), int(be.Uint16(rest[2:]))
		padded := 4 + (size+3)/4*4
		if padded > len(rest) {
			return netip.Addr{}, errors.New("a STUN attribute is longer than the message")
		}
		value := rest[4 : 4+size]
		rest = rest[padded:]
		var err error
		switch {
		case attr == stunIntegrity || attr == stunIntegrity256:
			rest = nil // section 14.5: what follows is ignored
		case kind == stunFailure && attr == stunErrorCode:
			return netip.Addr{}, stunError(value)
		case kind == stunFailure:
		case attr == stunMapped && !plain.IsValid():
			plain, err = stunAddr(value, nil)
		case attr == stunXORMapped && !xored.IsValid():
			xored, err = stunAddr(value, b[4:stunHeader])
		case attr < stunOptional && !stunKnown(attr):
			return netip.Addr{}, fmt.Errorf("the STUN answer has the attribute 0x%04x, which has to be understood and is not", attr)
		}
		if err != nil {
			return netip.Addr{}, err
		}
	}
	switch {
	case kind == stunFailure:
		return netip.Addr{}, errors.New("the STUN server refuses, without a reason")
	case xored.IsValid():
		return xored, nil
	case plain.IsValid():
		return plain, nil
	}
	return netip.Addr{}, errors.New("the STUN answer has no address")
}

// stunKnown tells the attributes that are known and mean nothing here. 0x0002 to 0x000b are those of RFC 3489, which
// old servers still send (SOURCE-ADDRESS, CHANGED-ADDRESS); 0x0014 and 0x0015 are REALM and NONCE.
func stunKnown(attr uint16) bool {
	return attr >= stunMapped && attr <= 0x000b || attr == 0x0014 || attr == 0x0015 || attr == stunXORMapped
}

// stunAddr reads an address attribute (sections 14.1 and 14.2); mask is the magic cookie with the transaction id, or
// nil for one that is not masked. The port is of no interest.
func stunAddr(v, mask []byte) (netip.Addr, error) {
	size := 0
	if len(v) >= 4 {
		switch v[1] { // the byte before it is to be ignored
		case 1:
			size = 4
		case 2:
			size = 16
		}
	}
	if size == 0 || len(v) != 4+size {
		return netip.Addr{}, errors.New("the STUN answer has a malformed address")
	}
	raw := make([]byte, size)
	copy(raw, v[4:])
	if mask != nil {
		for i := range raw {
			raw[i] ^= mask[i]
		}
	}
	a, _ := netip.AddrFromSlice(raw)
	return a, nil
}

// stunError reads an ERROR-CODE (section 14.8). Its text is foreign.
func stunError(v []byte) error {
	if len(v) < 4 {
		return errors.New("the STUN server refuses, with a malformed reason")
	}
	return fmt.Errorf("the STUN server refuses: %d %s", int(v[2]&7)*100+int(v[3]), clean(string(v[4:]), 60))
}
