//go:build linux

package netlab

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is a name server. Names of its table have the addresses there; every TXT question is answered with the asker's
// address, as o-o.myaddr.l.google.com is, and so is the name myip.opendns.com.
type DNS struct {
	mu    sync.Mutex
	names map[string][]netip.Addr
	asked []string
}

// DNS serves a name server on a UDP address of the host.
func (h *Host) DNS(addr string) (*DNS, error) {
	c, err := h.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	d := &DNS{names: map[string][]netip.Addr{}}
	go d.serve(c)
	return d, nil
}

// Set gives a name its addresses.
func (d *DNS) Set(name string, addrs ...netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name] = addrs
}

// Asked returns the names that were asked for, each with its type: "TXT o-o.myaddr.l.google.com".
func (d *DNS) Asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

func (d *DNS) serve(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, peer, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		u, ok := peer.(*net.UDPAddr)
		if !ok {
			continue
		}
		if answer := d.answer(buf[:n], u.AddrPort().Addr().Unmap()); answer != nil {
			_, _ = c.WriteTo(answer, peer) // one that gets lost is asked for again
		}
	}
}

// answer is the answer to a question; nil to what is none.
func (d *DNS) answer(question []byte, from netip.Addr) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(question)
	if err != nil || head.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	d.mu.Lock()
	d.asked = append(d.asked, strings.TrimPrefix(q.Type.String(), "Type")+" "+name)
	addrs, known := d.names[name]
	d.mu.Unlock()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, Response: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	if name == "myip.opendns.com" {
		addrs, known = []netip.Addr{from}, true
	}
	switch {
	case q.Type == dnsmessage.TypeTXT:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{from.String()}}})
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
