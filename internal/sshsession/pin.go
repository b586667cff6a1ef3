package sshsession

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ParseFingerprint reads a fingerprint as ssh-keygen -l prints it: "SHA256:" and 43 characters of base64 without padding
// (sshkey_fingerprint in OpenSSH). It returns it in that form.
func ParseFingerprint(s string) (string, error) {
	hash, ok := strings.CutPrefix(s, "SHA256:")
	sum, err := base64.RawStdEncoding.Strict().DecodeString(hash)
	// The decoder passes over line breaks; a fingerprint has none.
	if !ok || err != nil || len(sum) != sha256.Size || strings.ContainsAny(hash, "\r\n") {
		return "", fmt.Errorf("%q is no fingerprint: want SHA256: and 43 characters, as ssh-keygen -lf prints it", printable(s))
	}
	return s, nil
}

// EnsurePinned sees to it that the host keys of an instance are stored, for another client that then verifies them itself. Where none is stored,
// it connects, verifies the server's key as Dial does, and hangs up before any login. Errors are those of Dial.
func EnsurePinned(ctx context.Context, t Target) error {
	t.defaults()
	e, err := t.Verifier.expect(ctx, t.Addr)
	if err != nil || e.stored {
		return err
	}
	key, err := t.probe(ctx, hostKeyAlgorithms(e.prints))
	if err != nil {
		return e.missing(err)
	}
	err = e.check(key)
	if _, unknown := errors.AsType[*unknownKeyError](err); unknown {
		err = e.ask(ctx, key)
	}
	if err != nil {
		return err
	}
	return e.remember(key)
}

// NotShownError says that a server has no key with the fingerprint that somebody gave.
type NotShownError struct {
	Instance string
	Addr     string
	Want     string        // as ParseFingerprint returns it
	Got      []Fingerprint // of all keys that the server showed
}

func (e *NotShownError) Error() string {
	got := make([]string, len(e.Got))
	for i, f := range e.Got {
		got[i] = f.String()
	}
	return fmt.Sprintf("the server at %s has no host key with the fingerprint %s: it showed %s; nothing was stored for %s",
		printable(e.Addr), e.Want, strings.Join(got, ", "), e.Instance)
}

// Trust stores the host key of an instance that has this fingerprint (of ParseFingerprint), which somebody knows from elsewhere. The
// server is asked for its keys of each type, and only the one that fits is taken. Keys that are stored already, or that the console
// output told, must agree: a *MismatchError says that they do not. The error is a *NotShownError if the server has no such key, and
// else one of Dial's.
func Trust(ctx context.Context, t Target, fingerprint string) (Fingerprint, error) {
	t.defaults()
	e, err := t.Verifier.expect(ctx, t.Addr)
	if err != nil {
		return Fingerprint{}, err
	}
	known := slices.IndexFunc(e.prints, func(f Fingerprint) bool { return f.SHA256 == fingerprint })
	if len(e.prints) > 0 && known < 0 {
		m := e.mismatch()
		m.Given = fingerprint
		return Fingerprint{}, m
	}
	if e.stored {
		return e.prints[known], nil
	}
	shown := &NotShownError{Instance: e.v.Instance, Addr: t.Addr, Want: fingerprint}
	var refused error
	for _, family := range [][]string{{ssh.KeyAlgoED25519}, {ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}, signatureAlgorithms(ssh.KeyAlgoRSA)} {
		key, err := t.probe(ctx, family)
		if n, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok && n.What == "host key" {
			refused = err // no key of this type
			continue
		}
		if err != nil {
			return Fingerprint{}, err
		}
		if fingerprintOf(key).SHA256 != fingerprint {
			shown.Got = append(shown.Got, fingerprintOf(key))
			continue
		}
		if known < 0 {
			e.prints, e.keys, e.origin = []Fingerprint{fingerprintOf(key)}, []ssh.PublicKey{key}, OriginTrusted
		}
		return fingerprintOf(key), e.remember(key)
	}
	if len(shown.Got) == 0 {
		return Fingerprint{}, refused
	}
	return Fingerprint{}, shown
}

// Connect makes the TCP connection alone, for somebody else to speak SSH on. The error is a *DialError, or the context's.
func Connect(ctx context.Context, t Target) (net.Conn, error) {
	t.defaults()
	return t.connect(ctx)
}

// errMet ends a handshake once the server has proved that it holds its host key.
var errMet = errors.New("host key seen")

// probe connects and returns the server's host key of these algorithms. It hangs up before anything is said about a login.
func (t Target) probe(ctx context.Context, algorithms []string) (ssh.PublicKey, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	limit := &stopwatch{}
	limit.start(t.HandshakeTimeout, func() { conn.Close() })
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	var met ssh.PublicKey
	secure := ssh.SupportedAlgorithms()
	c, _, _, err := ssh.NewClientConn(conn, t.Addr, &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: secure.KeyExchanges, Ciphers: secure.Ciphers, MACs: secure.MACs},
		ClientVersion:     "SSH-2.0-emr-accessd",
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { // called when the signature is verified
			met = key
			return errMet
		},
	})
	inTime := limit.stop()
	if err == nil {
		c.Close() // x/crypto went on although the callback refused
		return nil, fmt.Errorf("%w with %s: it did not stop at the host key", ErrHandshake, printable(t.Addr))
	}
	switch {
	case !stop():
		return nil, fmt.Errorf("connect to %s: %w", printable(t.Addr), context.Cause(ctx))
	case errors.Is(err, errMet):
		return met, nil
	case !inTime:
		return nil, fmt.Errorf("%w with %s: it took longer than %v", ErrHandshake, printable(t.Addr), t.HandshakeTimeout)
	}
	return nil, fmt.Errorf("%w with %s: %w", ErrHandshake, printable(t.Addr), foreign{err})
}

// missing is a mismatch where the server has no key of the expected types, and any other error as it came.
func (e *expectation) missing(err error) error {
	n, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	if !ok || n.What != "host key" || len(e.prints) == 0 {
		return err
	}
	m := e.mismatch()
	m.Offered = n.RequestedAlgorithms
	return m
}
