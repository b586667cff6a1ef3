package ipwatch_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var _ ipwatch.Prober = (*ipwatch.STUN)(nil)

// The sample responses of RFC 5769, sections 2.2 and 2.3.
const (
	rfcID  = "b7e7a701 bc34d686 fa87dfae"
	rfcV4  = "0101003c 2112a442" + rfcID + "8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96"
	rfcV6  = "01010048 2112a442" + rfcID + "8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c"
	rfcIP4 = "192.0.2.1"
	rfcIP6 = "2001:db8:1234:5678:11:2233:4455:6677"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rfcTransaction(t testing.TB) [12]byte { return [12]byte(unhex(t, rfcID)) }

func TestSTUNVectors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{rfcV4: rfcIP4, rfcV6: rfcIP6} {
		b := unhex(t, text)
		// The vectors carry a checksum over themselves (RFC 8489, section 14.7), so a slip of the pen shows.
		if sum := crc32.ChecksumIEEE(b[:len(b)-8]) ^ 0x5354554e; sum != binary.BigEndian.Uint32(b[len(b)-4:]) {
			t.Errorf("the vector for %s is not the one of the RFC", want)
		}
		a, err := ipwatch.ParseSTUN(b, rfcTransaction(t))
		if err != nil || a.String() != want {
			t.Errorf("%v, %v; want %s", a, err, want)
		}
		for i := range b { // no byte of the header may differ
			if i >= 20 {
				break
			}
			bad := append([]byte(nil), b...)
			bad[i] ^= 0x40
			if a, err := ipwatch.ParseSTUN(bad, rfcTransaction(t)); err == nil {
				t.Errorf("byte %d of the header may be anything: %s", i, a)
			}
		}
		for n := range b {
			if a, err := ipwatch.ParseSTUN(b[:n], rfcTransaction(t)); err == nil {
				t.Errorf("%d of %d bytes are enough for %s", n, len(b), a)
			}
		}
	}
}

// attribute is a STUN attribute with its padding.
func attribute(kind uint16, value []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, (4-len(value)%4)%4)...)
}

// message is a STUN message of these attributes.
func message(kind uint16, id [12]byte, attributes ...[]byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, kind)
	binary.BigEndian.PutUint32(b[4:], 0x2112a442)
	copy(b[8:], id[:])
	for _, a := range attributes {
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}

// mapped is the value of an address attribute, masked or not.
func mapped(a netip.Addr, masked bool, id [12]byte) []byte {
	mask := append([]byte{0x21, 0x12, 0xa4, 0x42}, id[:]...)
	v := []byte{0, 1, 0x12, 0x34}
	if a.Is6() {
		v[1] = 2
	}
	for i, x := range a.AsSlice() {
		if masked {
			x ^= mask[i]
		}
		v = append(v, x)
	}
	return v
}

func TestParseSTUN(t *testing.T) {
	t.Parallel()
	id := rfcTransaction(t)
	four, six := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	xored := func(a netip.Addr) []byte { return attribute(0x0020, mapped(a, true, id)) }
	plain := func(a netip.Addr) []byte { return attribute(0x0001, mapped(a, false, id)) }
	refusal := attribute(0x0009, append([]byte{0, 0, 4, 20}, "Wait\x1b[31m"...))
	short := message(0x0101, id, xored(four))
	binary.BigEndian.PutUint16(short[2:], 8)
	odd := append(message(0x0101, id, xored(four)), 0)
	binary.BigEndian.PutUint16(odd[2:], uint16(len(odd)-20))
	for _, c := range []struct {
		name, want string // an address, or a part of the error
		msg        []byte
	}{
		{"masked", "198.51.100.7", message(0x0101, id, xored(four))},
		{"masked, IPv6", "2001:db8::7", message(0x0101, id, xored(six))},
		{"plain", "198.51.100.7", message(0x0101, id, plain(four))},
		{"masked before plain", "198.51.100.7", message(0x0101, id, plain(netip.MustParseAddr("10.0.0.1")), xored(four))},
		{"the first one", "198.51.100.7", message(0x0101, id, xored(four), xored(six))},
		{"old server", "198.51.100.7", message(0x0101, id, plain(four), attribute(0x0004, mapped(six, false, id)), attribute(0x0005, nil))},
		{"optional attributes", "198.51.100.7", message(0x0101, id, attribute(0x8022, []byte("x")), xored(four), attribute(0x802b, nil))},
		{"after the signature", "198.51.100.7", message(0x0101, id, plain(four), attribute(0x0008, make([]byte, 20)), xored(six))},
		{"after the other signature", "198.51.100.7", message(0x0101, id, plain(four), attribute(0x001c, make([]byte, 32)), xored(six))},
		{"nothing", "has no address", message(0x0101, id)},
		{"must be understood", "0x7fff", message(0x0101, id, xored(four), attribute(0x7fff, nil))},
		{"wrong family", "malformed address", message(0x0101, id, attribute(0x0020, []byte{0, 3, 0, 0, 1, 2, 3, 4}))},
		{"too long", "malformed address", message(0x0101, id, attribute(0x0020, append(mapped(four, true, id), 0)))},
		{"too short", "malformed address", message(0x0101, id, attribute(0x0001, []byte{0, 1}))},
		{"IPv6 in four bytes", "malformed address", message(0x0101, id, attribute(0x0020, []byte{0, 2, 0, 0, 1, 2, 3, 4}))},
		{"attribute too long", "longer than the message", message(0x0101, id, []byte{0, 0x20, 0xff, 0xff})},
		{"attribute cut off", "longer than the message", message(0x0101, id, attribute(0x0020, mapped(four, true, id))[:8])},
		{"length", "another length", short},
		{"not a multiple of four", "another length", odd},
		{"refusal", `420 Wait\x1b[31m`, message(0x0111, id, refusal)},
		{"refusal with an address", "refuses, without", message(0x0111, id, xored(four))},
		{"refusal without sense", "malformed reason", message(0x0111, id, attribute(0x0009, []byte{1}))},
		{"request", "not a Binding", message(0x0001, id, xored(four))},
		{"other method", "not a Binding", message(0x0103, id, xored(four))},
	} {
		a, err := ipwatch.ParseSTUN(c.msg, id)
		if _, bad := netip.ParseAddr(c.want); bad == nil {
			if err != nil || a.String() != c.want {
				t.Errorf("%s: %v, %v; want %s", c.name, a, err, c.want)
			}
		} else if err == nil || a.IsValid() || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, a, err, c.want)
		}
	}
}

// What is no answer to this very request is waited on, and ends nothing.
func TestSTUNStray(t *testing.T) {
	t.Parallel()
	id := rfcTransaction(t)
	other := id
	other[11]++
	four := attribute(0x0020, mapped(netip.MustParseAddr("198.51.100.7"), true, id))
	for name, msg := range map[string][]byte{
		"empty": {}, "short": make([]byte, 19), "no STUN": make([]byte, 64), "HTML": []byte("<html>please sign in to this network</html>"),
		"other transaction": message(0x0101, other, four), "the request itself": ipwatch.STUNRequest(id),
	} {
		if _, err := ipwatch.ParseSTUN(msg, id); !errors.Is(err, ipwatch.ErrStray) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseSTUN(f *testing.F) {
	id := rfcTransaction(f)
	f.Add(unhex(f, rfcV4))
	f.Add(unhex(f, rfcV6))
	f.Add(message(0x0101, id, attribute(0x0001, mapped(netip.MustParseAddr("198.51.100.7"), false, id))))
	f.Add(message(0x0111, id, attribute(0x0009, []byte{0, 0, 4, 0, 'n', 'o'})))
	f.Add(message(0x0101, id, []byte{0, 0x20, 0, 12}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ipwatch.ParseSTUN(b, id)
		if (err == nil) != a.IsValid() {
			t.Fatalf("%v, %v", a, err)
		}
		if err != nil {
			return
		}
		if len(b) < 32 || b[0] != 1 || b[1] != 1 || [12]byte(b[8:20]) != id {
			t.Errorf("%x is believed to say %s", b, a)
		}
	})
}
