package ipwatch_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"golang.org/x/net/dns/dnsmessage"
)

var _ ipwatch.Prober = (*ipwatch.DNSWhoami)(nil)

const whoamiName = "o-o.myaddr.l.google.com."

func ask(t testing.TB, kind dnsmessage.Type) dnsmessage.Question {
	t.Helper()
	return dnsmessage.Question{Name: dnsmessage.MustNewName(whoamiName), Type: kind, Class: dnsmessage.ClassINET}
}

// reply answers a question with records; change may spoil it.
func whoamiReply(t testing.TB, q dnsmessage.Question, change func(*dnsmessage.Message), bodies ...dnsmessage.ResourceBody) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true, Authoritative: true}, Questions: []dnsmessage.Question{q}}
	for _, b := range bodies {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: b})
	}
	if change != nil {
		change(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func txt(s ...string) *dnsmessage.TXTResource { return &dnsmessage.TXTResource{TXT: s} }

func TestParseWhoami(t *testing.T) {
	t.Parallel()
	four := &dnsmessage.AResource{A: netip.MustParseAddr("198.51.100.7").As4()}
	six := &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::7").As16()}
	const T, A, A6 = dnsmessage.TypeTXT, dnsmessage.TypeA, dnsmessage.TypeAAAA
	type m = dnsmessage.Message
	type list = []dnsmessage.ResourceBody
	for _, c := range []struct {
		name   string
		kind   dnsmessage.Type
		bodies list
		change func(*m)
		want   string // an address, or a part of the error
	}{
		{"TXT", T, list{txt("198.51.100.7")}, nil, "198.51.100.7"},
		{"TXT, IPv6", T, list{txt("2001:db8::7")}, nil, "2001:db8::7"},
		{"with a client subnet", T, list{txt("198.51.100.7"), txt("edns0-client-subnet 203.0.113.0/24")}, nil, "198.51.100.7"},
		{"the same twice", T, list{txt("198.51.100.7"), txt("198.51.100.7")}, nil, "198.51.100.7"},
		{"A", A, list{four}, nil, "198.51.100.7"},
		{"AAAA", A6, list{six}, nil, "2001:db8::7"},
		{"any case", T, list{txt("198.51.100.7")}, func(m *m) { m.Questions[0].Name = dnsmessage.MustNewName(strings.ToUpper(whoamiName)) }, "198.51.100.7"},
		{"two addresses", T, list{txt("198.51.100.7"), txt("198.51.100.8")}, nil, "several addresses"},
		{"text", T, list{txt("hello\x1b[31m")}, nil, `hello\x1b[31m`},
		{"address in a text", T, list{txt("your address is 198.51.100.7")}, nil, "is no address"},
		{"subnet alone", T, list{txt("edns0-client-subnet 203.0.113.0/24")}, nil, "has no address"},
		{"nothing", T, nil, nil, "has no address"},
		{"NXDOMAIN", T, nil, func(m *m) { m.RCode = dnsmessage.RCodeNameError }, "refuses: NameError"},
		{"REFUSED with an answer", T, list{txt("198.51.100.7")}, func(m *m) { m.RCode = dnsmessage.RCodeRefused }, "refuses: Refused"},
		{"cut off", T, list{txt("198.51.100.7")}, func(m *m) { m.Truncated = true }, "cut off"},
		{"other name", T, list{txt("198.51.100.7")}, func(m *m) { m.Answers[0].Header.Name = dnsmessage.MustNewName("x.example.") }, "not asked for"},
		{"other type", T, list{four}, func(m *m) { m.Answers[0].Header.Type = A }, "not asked for"},
		{"other class", T, list{txt("198.51.100.7")}, func(m *m) { m.Answers[0].Header.Class = dnsmessage.ClassCHAOS }, "not asked for"},
	} {
		q := ask(t, c.kind)
		a, err := ipwatch.ParseWhoami(whoamiReply(t, q, c.change, c.bodies...), 7, q)
		if _, bad := netip.ParseAddr(c.want); bad == nil {
			if err != nil || a.String() != c.want {
				t.Errorf("%s: %v, %v; want %s", c.name, a, err, c.want)
			}
		} else if err == nil || a.IsValid() || !strings.Contains(err.Error(), c.want) || errors.Is(err, ipwatch.ErrStray) {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, a, err, c.want)
		}
	}
	for name, change := range map[string]func(*m){
		"other id":       func(m *m) { m.ID = 8 },
		"a question":     func(m *m) { m.Response = false },
		"other opcode":   func(m *m) { m.OpCode = 4 },
		"no question":    func(m *m) { m.Questions = nil },
		"two questions":  func(m *m) { m.Questions = append(m.Questions, m.Questions[0]) },
		"another name":   func(m *m) { m.Questions[0].Name = dnsmessage.MustNewName("x.example.") },
		"another type":   func(m *m) { m.Questions[0].Type = A },
		"another class":  func(m *m) { m.Questions[0].Class = dnsmessage.ClassCHAOS },
		"NXDOMAIN of it": func(m *m) { m.RCode, m.Questions = dnsmessage.RCodeNameError, nil },
	} {
		q := ask(t, T)
		if a, err := ipwatch.ParseWhoami(whoamiReply(t, q, change, txt("198.51.100.7")), 7, q); !errors.Is(err, ipwatch.ErrStray) {
			t.Errorf("%s: %v, %v; it answers another question", name, a, err)
		}
	}
}

func FuzzParseWhoami(f *testing.F) {
	q := ask(f, dnsmessage.TypeTXT)
	f.Add(whoamiReply(f, q, nil, txt("198.51.100.7")))
	f.Add(whoamiReply(f, q, nil, txt("198.51.100.7"), txt("edns0-client-subnet 203.0.113.0/24")))
	f.Add(whoamiReply(f, q, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }))
	f.Add([]byte("\x00\x07"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ipwatch.ParseWhoami(b, 7, q)
		if (err == nil) != a.IsValid() {
			t.Fatalf("%v, %v", a, err)
		}
		if err == nil && (binary.BigEndian.Uint16(b) != 7 || b[2]&0x80 == 0 || b[3]&0xf != 0) {
			t.Errorf("%x is believed to say %s", b, a)
		}
	})
}
