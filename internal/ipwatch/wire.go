package ipwatch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// The times of one exchange with an unauthenticated server.
const (
	// ProbeTimeout is the time for one look, from the name look-up to the answer.
	ProbeTimeout = 3 * time.Second
	// Retransmit is when the question is sent once more: the first RTO of RFC 8489, section 6.2.1. Servers answer
	// within 200 ms; a second loss is left to the next look.
	Retransmit = 500 * time.Millisecond
	// nameLife is how long a server's resolved address is used: asking for it at each look would cost more than the
	// look. A look that fails and a change of the network forget it earlier.
	nameLife = time.Hour
	// maxStray is how many packets that are no answer end a look, so that a flood cannot keep it busy.
	maxStray = 32
	// maxDatagram is more than any answer over UDP without EDNS (512) or STUN (548 on a path of unknown MTU) has.
	maxDatagram = 2048
)

// Wire is how a question leaves this computer. A nil field is the system's own way.
type Wire struct {
	// Bind gives the local address that questions of a family are sent from; the zero Addr leaves it to the system.
	Bind func(Family) netip.Addr
	// Dial connects a new socket; network is "udp4" or "udp6", addr an address with its port.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Resolve returns a host's addresses of a family.
	Resolve func(ctx context.Context, f Family, host string) ([]netip.Addr, error)
}

// line is what a prober keeps between looks. It is safe for use at the same time.
type line struct {
	mu    sync.Mutex
	names map[Family]resolved
	meter meter
}

type resolved struct {
	addr  netip.Addr
	until time.Time
}

// errStray marks what is not the answer to the question: it is not counted as one, and waited on.
var errStray = errors.New("not the answer to this question")

// exchange sends a question from a new port and waits for what read accepts. The socket is connected, so that the
// system drops what does not come from the server. Its error is an [*EchoError].
func (l *line) exchange(ctx context.Context, w Wire, f Family, server string, question []byte, read func([]byte) (netip.Addr, error)) (netip.Addr, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return netip.Addr{}, fault(FaultDNS, "%q is not host:port", server)
	}
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	addr, err := l.talk(ctx, w, f, host, port, question, read)
	if err != nil {
		l.Forget()
		return netip.Addr{}, classify(ctx, clean(host, 80), err, false)
	}
	return addr, nil
}

func (l *line) talk(ctx context.Context, w Wire, f Family, host, port string, question []byte, read func([]byte) (netip.Addr, error)) (netip.Addr, error) {
	to, err := l.resolve(ctx, w, f, host)
	if err != nil {
		return netip.Addr{}, err
	}
	conn, err := w.dial(ctx, f, net.JoinHostPort(to.String(), port))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	again := time.Now().Add(Retransmit)
	if err := l.send(conn, f, question); err != nil {
		return netip.Addr{}, err
	}
	buf := make([]byte, maxDatagram)
	var stray error
	for strays := 0; ; {
		if err := conn.SetReadDeadline(again); err != nil { // zero: the context ends the waiting
			return netip.Addr{}, err
		}
		if ctx.Err() != nil { // may have ended before the deadline was set anew
			return netip.Addr{}, late(ctx, stray)
		}
		n, err := conn.Read(buf)
		switch {
		case err != nil && ctx.Err() != nil:
			return netip.Addr{}, late(ctx, stray)
		case errors.Is(err, os.ErrDeadlineExceeded) && !again.IsZero():
			again = time.Time{}
			if err := l.send(conn, f, question); err != nil {
				return netip.Addr{}, err
			}
			continue
		case err != nil:
			return netip.Addr{}, err
		}
		l.meter.received(f, n)
		addr, err := read(buf[:n])
		if !errors.Is(err, errStray) {
			return addr, seen(f, addr, err)
		}
		stray = err
		if strays++; strays == maxStray {
			return netip.Addr{}, fault(FaultBody, "%d packets came and none was the answer (%v)", strays, stray)
		}
	}
}

// late is the error of a look whose time is over.
func late(ctx context.Context, stray error) error {
	if stray != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault(FaultBody, "what came was not the answer: %v", stray)
	}
	return ctx.Err()
}

// seen tells why an answer is of no use. Any address that can send is good enough: it is only compared.
func seen(f Family, a netip.Addr, err error) error {
	if err == nil {
		err = sendable(a)
	}
	switch {
	case err != nil:
		return fault(FaultBody, "%v", err)
	case !f.Has(a):
		return fault(FaultFamily, "the answer %s is not an %s address", a, f.label())
	}
	return nil
}

func (l *line) send(conn net.Conn, f Family, question []byte) error {
	n, err := conn.Write(question)
	if err == nil {
		l.meter.sent(f, n)
	}
	return err
}

// dial connects a new socket of a forced family: a new port, so that no router uses an old mapping for it.
func (w Wire) dial(ctx context.Context, f Family, to string) (net.Conn, error) {
	dial := w.Dial
	if dial == nil {
		var d net.Dialer
		if w.Bind != nil {
			if from := w.Bind(f); from.IsValid() {
				d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
			}
		}
		dial = d.DialContext
	}
	return dial(ctx, f.udp(), to)
}

// resolve finds an address of the server, and remembers it for a while.
func (l *line) resolve(ctx context.Context, w Wire, f Family, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if !f.Has(a) {
			return a, fault(FaultFamily, "the server %s has no %s address", host, f.label())
		}
		return a, nil
	}
	l.mu.Lock()
	known := l.names[f]
	l.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.addr, nil
	}
	look := w.Resolve
	if look == nil {
		look = func(ctx context.Context, f Family, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip"+f.udp()[len("udp"):], host)
		}
	}
	addrs, err := look(ctx, f, host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a = a.Unmap().WithZone(""); f.Has(a) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.names == nil {
				l.names = make(map[Family]resolved)
			}
			l.names[f] = resolved{a, time.Now().Add(nameLife)}
			return a, nil
		}
	}
	return netip.Addr{}, fault(FaultDNS, "the name %s has no %s address", host, f.label())
}

// Forget drops the resolved addresses of the server: another network's resolver may have given them.
func (l *line) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.names)
}

// Traffic returns what was sent and received until now, name look-ups apart: the system's resolver makes them.
func (l *line) Traffic() Traffic { return l.meter.read() }
