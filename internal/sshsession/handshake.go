package sshsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// handshake is one attempt to get from a TCP connection to a logged-in client.
type handshake struct {
	target   Target
	expected *expectation
	keys     *keyring

	mu      sync.Mutex    // the host key is checked on a goroutine of x/crypto's
	met     ssh.PublicKey // the verified host key
	keyErr  error         // why a host key was not accepted
	asked   bool          // the login has begun
	next    int           // index of the next key to offer
	authErr error         // why the login ended, where it did not work
	shown   int           // bytes of banners
}

// maxBanner bounds what a server may have shown before the login, in bytes; the rest is dropped. Real ones fill a screen.
const maxBanner = 64 << 10

func (h *handshake) run(ctx context.Context, raw net.Conn, limit *stopwatch) (*Client, error) {
	conn := &countingConn{Conn: raw}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	limit.start(h.target.HandshakeTimeout, func() { conn.Close() })
	secure := ssh.SupportedAlgorithms()
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: secure.KeyExchanges, Ciphers: secure.Ciphers, MACs: secure.MACs},
		User:              h.keys.user,
		ClientVersion:     "SSH-2.0-emr-accessd",
		HostKeyAlgorithms: hostKeyAlgorithms(h.expected.prints),
		HostKeyCallback:   func(_ string, _ net.Addr, key ssh.PublicKey) error { return h.checkHostKey(key) },
		AuthCallback:      h.nextKey,
		BannerCallback: func(text string) error {
			text = text[:min(len(text), maxBanner-h.shown)]
			h.shown += len(text)
			if h.target.Banner != nil && text != "" {
				h.target.Banner(text)
			}
			return nil
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, h.target.Addr, config)
	late := !limit.stop()
	if !stop() { // the context ended, whatever else happened
		if err == nil {
			c.Close()
		}
		return nil, fmt.Errorf("connect to %s: %w", printable(h.target.Addr), context.Cause(ctx))
	}
	if err != nil {
		conn.Close()
		return nil, h.explain(err, late)
	}
	if late {
		c.Close()
		return nil, h.explain(net.ErrClosed, late)
	}
	client := newClient(c, channels, requests, conn, h.target)
	client.hostKey = Verified{Key: fingerprintOf(h.verified()), Origin: h.expected.origin, Stored: h.expected.stored}
	if tried := h.authError().Tried; len(tried) > 0 { // else the server asked for no login
		client.loginKey = tried[len(tried)-1]
	}
	return client, nil
}

// verified is the host key that was met and is good, or nil.
func (h *handshake) verified() ssh.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.met
}

// checkHostKey is called in the handshake and again whenever the connection changes its keys.
func (h *handshake) checkHostKey(key ssh.PublicKey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keyErr = h.expected.check(key); h.keyErr == nil {
		h.met = key
	}
	return h.keyErr
}

// nextKey picks the key to offer next. One at a time, so that a wrong passphrase or an agent that refuses costs only that key.
func (h *handshake) nextKey(auth *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	h.asked = true
	e := h.authError()
	if h.next > 0 {
		if lazy := h.keys.offer[h.next-1].lazy; errors.Is(lazy.err, ErrInterrupted) || errors.Is(lazy.err, context.Canceled) {
			h.authErr = lazy.err
			return nil, h.authErr
		}
	}
	switch {
	case len(auth.PartialSuccessMethods) > 0:
		e.Partial, e.Methods = true, auth.AllowedMethods
	case !slices.Contains(auth.AllowedMethods, "publickey"):
		e.Methods = auth.AllowedMethods
	case h.next < len(h.keys.offer):
		h.next++
		return ssh.PublicKeys(h.keys.offer[h.next-1].signer), nil
	}
	h.authErr = e
	return nil, h.authErr
}

func (h *handshake) authError() *AuthError {
	e := &AuthError{User: h.keys.user, Addr: h.target.Addr, Skipped: h.keys.skipped}
	for _, c := range h.keys.offer[:h.next] {
		k := OfferedKey{Source: c.source, Key: fingerprintOf(c.signer.PublicKey())}
		if c.lazy.err != nil {
			k.Reason = c.lazy.err.Error()
		}
		e.Tried = append(e.Tried, k)
	}
	return e
}

// explain finds the cause of a failed handshake.
func (h *handshake) explain(err error, late bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	negotiation, _ := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case h.keyErr != nil:
		return h.keyErr
	case h.authErr != nil:
		return h.authErr
	case late:
		return fmt.Errorf("%w with %s: it took longer than %v", ErrHandshake, printable(h.target.Addr), h.target.HandshakeTimeout)
	case negotiation != nil && negotiation.What == "host key" && len(h.expected.prints) > 0:
		m := h.expected.mismatch()
		m.Offered = negotiation.RequestedAlgorithms
		return m
	case h.asked && strings.Contains(err.Error(), "ssh: disconnect, reason"):
		e := h.authError() // such as "Too many authentication failures", after an agent's many keys
		e.Err = foreign{err}
		return e
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without x/crypto's own "handshake failed"
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the server hung up (%w)", err)
	}
	return fmt.Errorf("%w with %s: %w", ErrHandshake, printable(h.target.Addr), foreign{err})
}

// stopwatch limits a handshake, but not the time in which people are asked.
type stopwatch struct {
	mu      sync.Mutex
	timer   *time.Timer // nil while no handshake is going on
	limit   time.Duration
	expired bool
}

func (w *stopwatch) start(limit time.Duration, expire func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.expired = limit, false
	w.timer = time.AfterFunc(limit, func() {
		w.mu.Lock()
		w.expired = true
		w.mu.Unlock()
		expire()
	})
}

// pause stops the clock until the function that it returns is called; the handshake then has its whole limit again.
func (w *stopwatch) pause() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return func() {}
	}
	w.timer.Stop()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timer != nil {
			w.timer.Reset(w.limit)
		}
	}
}

// stop ends the clock and says whether the limit was kept.
func (w *stopwatch) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.timer = nil
	return !w.expired
}
