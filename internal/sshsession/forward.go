package sshsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// ForwardProblem tells the ways apart in which a server does not make a connection onwards.
type ForwardProblem string

// The ways in which a server does not connect.
const (
	ForwardProhibited  ForwardProblem = "prohibited"  // it does not allow forwarding, or not to there
	ForwardRefused     ForwardProblem = "refused"     // it tried, and nothing listens there
	ForwardUnreachable ForwardProblem = "unreachable" // it tried: no route, no answer, or the name does not resolve
	ForwardOther       ForwardProblem = "other"       // it has too many connections, or cannot forward this kind
)

// ForwardError says that the server did not make a connection onwards. The link to the server itself is sound.
type ForwardError struct {
	Addr    string
	Problem ForwardProblem
	Said    string // the server's own words, escaped; may be empty
}

func (e *ForwardError) Error() string {
	what := map[ForwardProblem]string{ForwardProhibited: "the server does not allow it", ForwardRefused: "nothing listens there",
		ForwardUnreachable: "the server cannot reach it"}[e.Problem]
	if what == "" {
		what = "the server did not connect"
	}
	if e.Said != "" {
		what += " (" + e.Said + ")"
	}
	return fmt.Sprintf("forward to %s: %s", printable(e.Addr), what)
}

func newForwardError(addr string, err *ssh.OpenChannelError) *ForwardError {
	e := &ForwardError{Addr: addr, Problem: ForwardOther, Said: printable(err.Message)}
	switch err.Reason {
	case ssh.Prohibited:
		e.Problem = ForwardProhibited
	case ssh.ConnectionFailed:
		e.Problem = ForwardUnreachable
		if strings.Contains(strings.ToLower(err.Message), "refused") { // OpenSSH sends the words of strerror(3)
			e.Problem = ForwardRefused
		}
	}
	return e
}

// Dial has the server connect to an address, and returns that connection: RFC 4254, section 7.2, and for the network "unix" OpenSSH's
// extension. The address is host:port or a path; the server resolves names. The context bounds this call, not the connection.
//
// The connection has the methods CloseWrite, and Gone, which is closed when the server has closed it for good. It knows no
// deadlines. Errors are *ForwardError, ErrLostLink, and those of the context.
func (c *Client) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	kind, payload, err := forwardRequest(network, addr)
	if err != nil {
		return nil, err
	}
	type opened struct {
		ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	result := make(chan opened, 1)
	go func() {
		ch, requests, err := c.ssh.OpenChannel(kind, payload)
		result <- opened{ch, requests, err}
	}()
	select {
	case o := <-result:
		if refused, ok := errors.AsType[*ssh.OpenChannelError](o.err); ok {
			return nil, newForwardError(addr, refused)
		}
		if o.err != nil {
			return nil, fmt.Errorf("forward to %s: %w", printable(addr), c.cause(o.err))
		}
		f := &forwarded{Channel: o.Channel, client: c, addr: forwardAddr{network, addr}, gone: make(chan struct{})}
		go func() {
			ssh.DiscardRequests(o.requests)
			close(f.gone)
		}()
		return f, nil
	case <-ctx.Done():
		go func() { // it is answered, or ends with the connection
			if o := <-result; o.err == nil {
				_ = o.Close()
				ssh.DiscardRequests(o.requests)
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// forwardRequest is the type and the payload of the channel to open.
func forwardRequest(network, addr string) (kind string, payload []byte, err error) {
	switch network {
	case "unix":
		return "direct-streamlocal@openssh.com", ssh.Marshal(struct {
			Path, Reserved0 string
			Reserved1       uint32
		}{Path: addr}), nil
	case "tcp":
		host, text, err := net.SplitHostPort(addr)
		if err != nil {
			return "", nil, fmt.Errorf("forward: %w", err)
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return "", nil, fmt.Errorf("forward: %q is no port", printable(text))
		}
		return "direct-tcpip", ssh.Marshal(struct {
			Host       string
			Port       uint32
			Origin     string
			OriginPort uint32
		}{host, uint32(port), "127.0.0.1", 0}), nil // who asked is nobody's business there
	}
	return "", nil, fmt.Errorf("forward: unknown network %q", network)
}

// forwarded is a connection that the server made.
type forwarded struct {
	ssh.Channel
	client *Client
	addr   forwardAddr
	gone   chan struct{}
}

// lastWords is how long the end of a link may take to be known after its channels have ended, where the server says goodbye: a moment.
// An end of the network is known before.
const lastWords = 2 * time.Millisecond

// Read reads what the far end says. When the link is lost, x/crypto ends each channel as if the far end had; half a file must not look like
// a whole one, so that is ErrLostLink here.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.Channel.Read(p)
	if errors.Is(err, io.EOF) {
		select {
		case <-f.client.done:
			return n, ErrLostLink
		case <-time.After(lastWords):
		}
		if f.client.conn.broken.Load() {
			return n, ErrLostLink
		}
	}
	return n, err
}

type forwardAddr struct{ network, addr string }

func (a forwardAddr) Network() string { return a.network }
func (a forwardAddr) String() string  { return a.addr }

// Gone is closed when the channel is closed in both directions: there is nobody left to write to.
func (f *forwarded) Gone() <-chan struct{} { return f.gone }

func (f *forwarded) LocalAddr() net.Addr              { return forwardAddr{f.addr.network, ""} }
func (f *forwarded) RemoteAddr() net.Addr             { return f.addr }
func (f *forwarded) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (f *forwarded) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (f *forwarded) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
