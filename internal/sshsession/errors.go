package sshsession

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

var (
	// ErrHandshake says that a TCP connection was made but no SSH session came of it, for another reason than the host key or the
	// login: the server hung up (sshd does at its MaxStartups), is no SSH server, was too slow, or shares no algorithm with us.
	ErrHandshake = errors.New("the SSH handshake failed")
	// ErrLostLink says that the connection broke while it was in use, or that the server stopped answering.
	ErrLostLink = errors.New("the connection to the server is lost")
	// ErrEscape says that the user ended the session with ~.
	ErrEscape = errors.New("the session was ended by its escape (~. after a newline)")
	// ErrTerminalClosed says that the terminal of an interactive session went away.
	ErrTerminalClosed = errors.New("the terminal was closed")
	// ErrInterrupted says that the user pressed Ctrl-C at a prompt, or twice during a command.
	ErrInterrupted = errors.New("interrupted")
)

// DialProblem tells the ways apart in which a TCP connection fails.
type DialProblem string

// The ways in which a TCP connection fails. What each means for a security group is for the caller to say.
const (
	DialTimeout     DialProblem = "timeout"     // no answer at all: packets are dropped on the way
	DialRefused     DialProblem = "refused"     // the host is reached, and nothing listens on the port
	DialUnreachable DialProblem = "unreachable" // there is no route
	DialReset       DialProblem = "reset"       // something on the way, or the host, cut the connection
	DialOther       DialProblem = "other"       // such as a name that does not resolve
)

// DialError says that no TCP connection was made.
type DialError struct {
	Addr    string
	Problem DialProblem
	Err     error
}

func (e *DialError) Error() string {
	what := map[DialProblem]string{DialTimeout: "no answer", DialRefused: "connection refused", DialUnreachable: "no route",
		DialReset: "connection reset"}[e.Problem]
	if what == "" {
		what = printable(e.Err.Error())
	}
	return fmt.Sprintf("connect to %s: %s", printable(e.Addr), what)
}

func (e *DialError) Unwrap() error { return e.Err }

func newDialError(addr string, err error) *DialError {
	problem := DialOther
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case isAny(err, connRefused()):
		problem = DialRefused
	case isAny(err, connUnreachable()):
		problem = DialUnreachable
	case isAny(err, connReset()):
		problem = DialReset
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), ok && timeout.Timeout():
		problem = DialTimeout
	}
	return &DialError{Addr: addr, Problem: problem, Err: err}
}

func isAny(err error, numbers []syscall.Errno) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	for _, n := range numbers {
		if ok && n == number {
			return true
		}
	}
	return false
}

// AuthError says that the server accepted none of the keys. Its host key was verified before.
type AuthError struct {
	User    string
	Addr    string
	Tried   []OfferedKey // in the order of offering
	Skipped []OfferedKey // found but not offered, with the reason
	Methods []string     // what the server takes instead, where it does not take keys (any more)
	Partial bool         // a key was accepted, and the server wants a further proof
	Err     error        // the server's own words, where it had any
}

func (e *AuthError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log in as %s on %s: ", printable(e.User), printable(e.Addr))
	switch {
	case e.Partial:
		fmt.Fprintf(&b, "the key was accepted, but the server also wants %s", printable(strings.Join(e.Methods, " or ")))
	case len(e.Methods) > 0:
		fmt.Fprintf(&b, "the server takes no keys, only %s", printable(strings.Join(e.Methods, ", ")))
	case len(e.Tried) == 0:
		b.WriteString("no login key was found")
	default:
		b.WriteString("the server accepted none of the keys")
	}
	sep := ": tried "
	for _, k := range e.Tried {
		b.WriteString(sep + k.String())
		sep = ", "
	}
	sep = "; not used: "
	for _, k := range e.Skipped {
		b.WriteString(sep + k.String())
		sep = ", "
	}
	if e.Err != nil {
		b.WriteString("; " + printable(e.Err.Error()))
	}
	return b.String()
}

func (e *AuthError) Unwrap() error { return e.Err }
