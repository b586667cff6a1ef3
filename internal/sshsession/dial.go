package sshsession

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// What a zero field of Target means.
const (
	// DefaultConnectTimeout is the limit of a TCP connection. An answer over the slowest link takes a second or two with one lost
	// packet; without any, the security group is the likely reason, and nobody wants to wait for the system's two minutes.
	DefaultConnectTimeout = 10 * time.Second
	// DefaultHandshakeTimeout is the limit of the handshake and the login. A small instance that is still booting takes seconds.
	DefaultHandshakeTimeout = 20 * time.Second
	// DefaultKeepAlive is how often a silent server is asked whether it is there.
	DefaultKeepAlive = 15 * time.Second
	// keepAliveMisses is how many intervals without an answer mean that the link is lost, unless Target says otherwise.
	keepAliveMisses = 3
)

// Target is a server to connect to.
type Target struct {
	// Addr is host:port to dial.
	Addr string
	// Dial makes the TCP connection; nil means directly.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Verifier Verifier
	Login    Login
	// ConnectTimeout, HandshakeTimeout and KeepAlive are durations; zero means the defaults above. The handshake's clock stands still
	// while a person or an agent is asked.
	ConnectTimeout, HandshakeTimeout, KeepAlive time.Duration
	// KeepAliveMisses is how many times KeepAlive may pass without a sign of life; zero means three.
	KeepAliveMisses int
	// Env is the environment, as os.Environ gives it. LANG and LC_* of it are sent for each session, and what fits SendEnv; servers may
	// ignore them.
	Env []string
	// SendEnv are patterns of further names, with * and ? as in ssh_config(5).
	SendEnv []string
	// SetEnv are further variables, as NAME=value. They go before those of Env with the same name.
	SetEnv []string
	// Banner is called with a text that the server sends before the login. It is the server's text as it came: escape it.
	Banner func(text string)
	// Warn is called with what went wrong without ending the connection, such as a host key that could not be stored.
	Warn func(error)
}

// Dial connects to a server, verifies its host key and logs in. The context covers this call only, not the connection.
//
// The errors: *DialError (no TCP connection), *MismatchError and ErrUnverified (host key), ErrContradiction (console output), *AuthError
// (login), ErrHandshake (the rest), ErrInterrupted (Ctrl-C at a prompt), and those of the context.
func Dial(ctx context.Context, t Target) (*Client, error) {
	t.defaults()
	limit := &stopwatch{}
	keys, err := t.Login.keys(ctx, limit.pause)
	if err != nil {
		return nil, err
	}
	defer keys.close()
	var expected *expectation
	for {
		conn, err := t.connect(ctx)
		if err != nil {
			return nil, err
		}
		if expected == nil {
			if expected, err = t.Verifier.expect(ctx, t.Addr); err != nil {
				conn.Close()
				return nil, err
			}
		}
		h := &handshake{target: t, expected: expected, keys: keys}
		client, err := h.run(ctx, conn, limit)
		if met := h.verified(); met != nil {
			if err := expected.remember(met); err != nil {
				t.Warn(err)
			}
		}
		unknown, ok := errors.AsType[*unknownKeyError](err)
		if !ok {
			return client, err
		}
		// The person may take longer than the server's LoginGraceTime, so the connection is closed by now and made anew afterwards.
		if err := expected.ask(ctx, unknown.key); err != nil {
			return nil, err
		}
	}
}

func (t *Target) defaults() {
	if t.Dial == nil {
		t.Dial = (&net.Dialer{}).DialContext
	}
	if t.Warn == nil {
		t.Warn = func(error) {}
	}
	setDefault(&t.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&t.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&t.KeepAlive, DefaultKeepAlive)
	if t.KeepAliveMisses <= 0 {
		t.KeepAliveMisses = keepAliveMisses
	}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func (t Target) connect(ctx context.Context) (net.Conn, error) {
	timed, cancel := context.WithTimeout(ctx, t.ConnectTimeout)
	defer cancel()
	conn, err := t.Dial(timed, "tcp", t.Addr)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect to %s: %w", printable(t.Addr), context.Cause(ctx))
	}
	return nil, newDialError(t.Addr, err)
}
