package sshsession

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Verifier decides about a server's host key. In this order: a key stored for the instance; the keys of its console output, which are
// then stored; a person, who is shown the fingerprint. The first that knows the host's keys decides, and against it nobody is asked.
type Verifier struct {
	// Store remembers keys by instance id. It may be nil: then nothing is remembered.
	Store *Store
	// Instance is the EC2 instance id.
	Instance string
	// Console fetches the host keys from the console output, and says where they came from. It is called once and only when the store
	// knows no key. An ErrContradiction is a hard stop; with any other error, a person is asked. Nil means there is none.
	Console func(ctx context.Context) (HostKeys, Origin, error)
	// Ask shows a fingerprint to a person and returns their answer. It is called while no connection is open, so that it may take its
	// time. Nil means that nobody is there to ask, and the key is refused.
	Ask func(ctx context.Context, q Question) (bool, error)
	// ReadOnly keeps what was verified out of the store.
	ReadOnly bool
}

// Question is what a person needs to decide about a host key that nothing vouches for.
type Question struct {
	Instance string
	Addr     string // the address that was dialled
	Key      Fingerprint
	Why      error // why the console output did not settle it; may be nil
}

// Verified is the host key of a connection and where the trust in it came from.
type Verified struct {
	Key    Fingerprint
	Origin Origin
	Stored bool // it was stored before this connection
}

// MismatchError says that the server showed another host key than the expected one. Somebody may sit between the client and the
// instance; nothing was sent to the server.
type MismatchError struct {
	Instance string
	Addr     string
	Want     []Fingerprint
	Origin   Origin
	// Got is the key that came. It is empty where the server has no key of the expected types; Offered then names its algorithms.
	Got     Fingerprint
	Offered []string
	// Given is the fingerprint that somebody named as the right one, in place of a key that came.
	Given string
	// File is the host key file that holds the expected keys, empty where they come from elsewhere.
	File string
}

func (e *MismatchError) Error() string {
	want := make([]string, len(e.Want))
	for i, f := range e.Want {
		want[i] = f.String()
	}
	got := e.Got.String()
	if e.Got == (Fingerprint{}) {
		got = "none of these types (it offers " + printable(strings.Join(e.Offered, ", ")) + ")"
	}
	if e.Given != "" {
		return fmt.Sprintf("%s is not the fingerprint of a host key of %s: expected %s (%s)", e.Given, e.Instance, strings.Join(want, " or "), e.Origin.phrase())
	}
	return fmt.Sprintf("the host key of %s at %s is not the expected one: expected %s (%s), the server showed %s",
		e.Instance, e.Addr, strings.Join(want, " or "), e.Origin.phrase(), got)
}

// Hint says what a person can do about it.
func (e *MismatchError) Hint() string {
	if e.Given != "" {
		hint := "do not connect before it is known why the two differ"
		if e.File != "" {
			hint += "; if the instance's keys were really changed, delete the lines of " + e.Instance + " from " + shellQuote(e.File)
		}
		return hint
	}
	hint := "somebody may be intercepting the connection, so nothing was sent. Compare with the instance by another way " +
		"(aws ec2 get-console-output --instance-id " + e.Instance + " --latest, or ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub in a Session Manager shell)"
	if e.File != "" {
		hint += "; if its keys were really changed, delete the lines of " + e.Instance + " from " + shellQuote(e.File)
	}
	return hint
}

// ErrUnverified says that nothing vouches for the server's host key. The error is an *UnverifiedError.
var ErrUnverified = errors.New("the host key is not verified")

// UnverifiedError is an ErrUnverified with the key that came.
type UnverifiedError struct {
	Question
	Declined bool // a person said no; otherwise nobody was there to ask
}

func (e *UnverifiedError) Error() string {
	why := "its console output was not looked at"
	if e.Why != nil {
		why = printable(e.Why.Error())
	}
	end := "and nobody can be asked without a terminal"
	if e.Declined {
		end = "and you did not accept it"
	}
	return fmt.Sprintf("the host key of %s at %s is not verified: the server showed %s, %s, %s", e.Instance, e.Addr, e.Key, why, end)
}

func (e *UnverifiedError) Unwrap() []error {
	if e.Why == nil {
		return []error{ErrUnverified}
	}
	return []error{ErrUnverified, e.Why}
}

// expectation is what a verifier knows before the handshake.
type expectation struct {
	v      Verifier
	addr   string
	prints []Fingerprint   // empty: nothing is known
	keys   []ssh.PublicKey // to store when one of them was met
	origin Origin
	stored bool
	why    error // why the console gave nothing
}

// expect finds out which host keys may come.
func (v Verifier) expect(ctx context.Context, addr string) (*expectation, error) {
	e := &expectation{v: v, addr: addr}
	if err := checkInstance(v.Instance); err != nil {
		return nil, err
	}
	if v.Store != nil {
		pins, err := v.Store.Keys(v.Instance)
		if err != nil {
			return nil, err
		}
		for _, p := range pins {
			e.prints = append(e.prints, p.Fingerprint())
			e.origin, e.stored = p.Origin, true // lines for one instance are added at once and share their origin
		}
		if e.stored {
			return e, nil
		}
	}
	if v.Console == nil {
		return e, nil
	}
	found, origin, err := v.Console(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, ErrContradiction):
		return nil, fmt.Errorf("host key of %s: %w", v.Instance, err)
	case err != nil:
		e.why = err
	case len(found.Fingerprints) == 0:
		e.why = ErrNoHostKeys
	case !origin.valid():
		return nil, fmt.Errorf("unknown origin %q of host keys", printable(string(origin)))
	default:
		e.prints, e.keys, e.origin = found.Fingerprints, found.Keys, origin
		if len(hostKeyAlgorithms(e.prints)) == 0 {
			return nil, fmt.Errorf("the host keys of %s have no type that is used", v.Instance)
		}
	}
	return e, nil
}

// unknownKeyError ends a handshake in which a key came that nothing is known about. Dial asks and connects again.
type unknownKeyError struct{ key ssh.PublicKey }

func (*unknownKeyError) Error() string { return "unknown host key" }

// check judges a key whose possession the server has proved.
func (e *expectation) check(key ssh.PublicKey) error {
	if len(e.prints) == 0 {
		return &unknownKeyError{key}
	}
	if slices.Contains(e.prints, fingerprintOf(key)) {
		return nil
	}
	m := e.mismatch()
	m.Got = fingerprintOf(key)
	return m
}

func (e *expectation) mismatch() *MismatchError {
	m := &MismatchError{Instance: e.v.Instance, Addr: e.addr, Want: e.prints, Origin: e.origin}
	if e.stored {
		m.File = e.v.Store.Path()
	}
	return m
}

// ask has a person decide, and expects the key from then on.
func (e *expectation) ask(ctx context.Context, key ssh.PublicKey) error {
	q := Question{Instance: e.v.Instance, Addr: e.addr, Key: fingerprintOf(key), Why: e.why}
	if e.v.Ask == nil {
		return &UnverifiedError{Question: q}
	}
	yes, err := e.v.Ask(ctx, q)
	if err != nil {
		return err
	}
	if !yes {
		return &UnverifiedError{Question: q, Declined: true}
	}
	e.prints, e.keys, e.origin = []Fingerprint{q.Key}, []ssh.PublicKey{key}, OriginAsked
	return nil
}

// remember stores what was expected, now that the server has shown one of these keys. All keys that the console told are stored, so
// that a later connection may meet any of them.
func (e *expectation) remember(met ssh.PublicKey) error {
	if e.stored || e.v.Store == nil || e.v.ReadOnly {
		return nil
	}
	keys := e.keys
	if !slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return fingerprintOf(k) == fingerprintOf(met) }) {
		keys = append(slices.Clone(keys), met) // the console told its fingerprint only
	}
	if err := e.v.Store.Add(e.v.Instance, e.origin, keys...); err != nil {
		return fmt.Errorf("the host key is verified but could not be stored: %w", err)
	}
	return nil
}
