package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// peer is where a connection really comes from.
func peer(conn net.Conn) netip.Addr {
	if conn == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// echoSource is what an echo answers: where the connection comes from, or, where laptops have no addresses of their
// own, where the laptop that asks is.
func (w *World) echoSource(conn net.Conn, asker string) netip.Addr {
	if w.real {
		return peer(conn)
	}
	for _, l := range []*Laptop{w.alice, w.bob} {
		if l != nil && l.Name == asker {
			return l.Address()
		}
	}
	return netip.Addr{}
}

// gateSource is what the gate takes for the source of a connection.
func (w *World) gateSource(conn net.Conn) netip.Addr {
	if w.real {
		return peer(conn)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pretend.IsValid() {
		return w.pretend
	}
	return w.alice.Address()
}

// ErrDropped says that the gate dropped a connection.
var ErrDropped = errors.New("the gate dropped the connection")

// dialTimeout bounds one try to reach the node.
const dialTimeout = 5 * time.Second

// Knock makes a TCP connection to the node from an address, and reports what comes of it: nil when the SSH server greets, which it
// only does behind the gate; ErrDropped when the connection is closed without a byte; another error when neither was
// seen. Calls must not overlap.
func (w *World) Knock(ctx context.Context, from netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := &net.Dialer{KeepAlive: -1}
	if w.real {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	} else {
		w.imagine(from)
		defer w.imagine(netip.Addr{})
	}
	conn, err := d.DialContext(ctx, "tcp4", w.node.listen.String())
	if err != nil {
		// The reset may come before the connection is reported as made.
		if isReset(err) {
			return ErrDropped
		}
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	greeting := make([]byte, len("SSH-2.0-"))
	n, err := io.ReadFull(conn, greeting)
	switch {
	case err == nil && strings.HasPrefix(string(greeting), "SSH-2.0-"):
		return nil
	case n == 0 && (errors.Is(err, io.EOF) || isReset(err)):
		return ErrDropped
	case err == nil:
		return fmt.Errorf("%q is no greeting of an SSH server", greeting)
	}
	return fmt.Errorf("wait for the SSH server's greeting: %w", err)
}

func (w *World) imagine(from netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pretend = from
}
