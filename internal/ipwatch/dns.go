package ipwatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// DNSWhoami asks a name server for a name that it answers with the asker's address. It is asked directly: through
// this network's resolver the answer would be the resolver's address. It is a trigger: plain DNS is not
// authenticated. The message is read by x/net's dnsmessage, since compressed names are no subject of this program.
type DNSWhoami struct {
	Server string // "host:port" of the name server, which is itself looked up by the system
	Name   string // what it is asked for, without the last dot
	TXT    bool   // the address is in a TXT record; else in an A or AAAA record
	Wire   Wire
	line
}

// DefaultWhoami are the name servers that are asked when no STUN server answers: Google's and Cisco's (OpenDNS). Both
// names have been in use for this for many years (`dig -t txt o-o.myaddr.l.google.com @ns1.google.com`), and neither
// operator promises them; losing one only costs time.
func DefaultWhoami() []*DNSWhoami {
	return []*DNSWhoami{
		{Server: "ns1.google.com:53", Name: "o-o.myaddr.l.google.com", TXT: true},
		{Server: "resolver1.opendns.com:53", Name: "myip.opendns.com"},
	}
}

// Probe asks the name server from a new port, with one retransmission. The error is an [*EchoError].
func (d *DNSWhoami) Probe(ctx context.Context, f Family) (Sighting, error) {
	begin := time.Now()
	q, err := d.question(f)
	if err != nil {
		return Sighting{}, fault(FaultDNS, "the name %s cannot be asked for: %v", d.Name, err)
	}
	var raw [2]byte
	rand.Read(raw[:]) // never fails
	id := binary.BigEndian.Uint16(raw[:])
	// Recursion is desired as dig does it: OpenDNS is a resolver, and may refuse another kind of question.
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true}, Questions: []dnsmessage.Question{q}}
	packed, err := m.Pack()
	if err != nil {
		return Sighting{}, fault(FaultDNS, "the name %s cannot be asked for: %v", d.Name, err)
	}
	addr, err := d.exchange(ctx, d.Wire, f, d.Server, packed, func(b []byte) (netip.Addr, error) {
		return parseWhoami(b, id, q)
	})
	if err != nil {
		return Sighting{}, err
	}
	return Sighting{Addr: addr, By: "dns " + clean(d.Server, 80), Took: time.Since(begin)}, nil
}

func (d *DNSWhoami) question(f Family) (dnsmessage.Question, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(d.Name, ".") + ".")
	q := dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	switch {
	case d.TXT:
		q.Type = dnsmessage.TypeTXT
	case f == V6:
		q.Type = dnsmessage.TypeAAAA
	}
	return q, err
}

// parseWhoami reads the answer to the question with this id: exactly one address, in records of the asked name. An
// error that wraps errStray is about bytes that are not that answer.
func parseWhoami(b []byte, id uint16, q dnsmessage.Question) (netip.Addr, error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%w: not DNS", errStray)
	case h.ID != id || !h.Response || h.OpCode != 0:
		return netip.Addr{}, fmt.Errorf("%w: another message", errStray)
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || !sameName(asked[0].Name, q.Name) || asked[0].Type != q.Type || asked[0].Class != q.Class {
		return netip.Addr{}, fmt.Errorf("%w: another question", errStray)
	}
	switch {
	case h.RCode != dnsmessage.RCodeSuccess:
		return netip.Addr{}, fmt.Errorf("the name server refuses: %s", strings.TrimPrefix(h.RCode.String(), "RCode"))
	case h.Truncated:
		return netip.Addr{}, errors.New("the DNS answer is cut off, which no address is long enough for")
	}
	answers, err := p.AllAnswers()
	if err != nil {
		return netip.Addr{}, errors.New("the DNS answer is malformed")
	}
	var found netip.Addr
	for _, r := range answers {
		if !sameName(r.Header.Name, q.Name) || r.Header.Type != q.Type || r.Header.Class != q.Class {
			return netip.Addr{}, errors.New("the DNS answer has a record that was not asked for")
		}
		a, err := whoami(r.Body)
		switch {
		case err != nil:
			return netip.Addr{}, err
		case !a.IsValid(), a == found:
		case found.IsValid():
			return netip.Addr{}, errors.New("the DNS answer has several addresses")
		default:
			found = a
		}
	}
	if !found.IsValid() {
		return netip.Addr{}, errors.New("the DNS answer has no address")
	}
	return found, nil
}

// whoami is the address in a record; the zero Addr for a record that is about something else.
func whoami(body dnsmessage.ResourceBody) (netip.Addr, error) {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A), nil
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA), nil
	case *dnsmessage.TXTResource:
		text := strings.Join(r.TXT, "")
		if strings.HasPrefix(text, "edns0-client-subnet ") { // Google adds it when a forwarder on the way told the network
			return netip.Addr{}, nil
		}
		a, err := netip.ParseAddr(text)
		if err != nil {
			return a, fmt.Errorf("the DNS answer \"%s\" is no address", clean(text, 60))
		}
		return a, nil
	}
	return netip.Addr{}, errors.New("the DNS answer has a record of another kind")
}

// sameName compares names as DNS does (RFC 4343), for ASCII.
func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }
