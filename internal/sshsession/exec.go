package sshsession

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// ExitFailed is the exit status for everything that is not the remote command's own, as with ssh.
const ExitFailed = 255

// drainWait is how long output that is under way may still take when a session is cut off.
const drainWait = 250 * time.Millisecond

// JoinCommand makes one command line of the words after "--", as ssh does: joined by spaces, and nothing quoted, because the remote
// shell splits the line again.
func JoinCommand(words []string) string { return strings.Join(words, " ") }

// Exec runs a command without a terminal, the login shell where it is empty, and returns its exit status; 128 plus its number for a
// signal that ended it. Standard output and error stay apart. Where the status is not the command's own it is ExitFailed, with an error.
//
// stdin may be nil. A read of stdin that is under way when the command ends goes on until it returns. What arrives on signals, which
// may be nil, is passed on to the command; a second interrupt ends the session with status 130 and ErrInterrupted. When the
// context ends, or the output cannot be written, the whole connection is closed.
func (c *Client) Exec(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal) (int, error) {
	s, err := c.workSession(ctx)
	if err != nil {
		return ExitFailed, err
	}
	r := newRun(c, s)
	r.input, s.Stdout, s.Stderr = stdin, r.output(stdout), r.output(stderr)
	go r.forward(signals)
	start := s.Shell
	if command != "" {
		start = func() error { return s.Start(command) }
	}
	return r.attend(ctx, start)
}

// run is one session while it runs.
type run struct {
	client *Client
	s      *ssh.Session
	input  io.Reader // nil for none
	once   sync.Once
	stop   chan struct{} // closed when something on this side ends the session
	status int           // with stop: the exit status
	err    error         // with stop: why
	over   chan struct{} // closed when the session has ended
	inErr  atomic.Value  // an error of reading the input
}

func newRun(c *Client, s *ssh.Session) *run {
	return &run{client: c, s: s, stop: make(chan struct{}), over: make(chan struct{})}
}

// end ends the session from this side; the first reason stays.
func (r *run) end(status int, err error) {
	r.once.Do(func() {
		r.status, r.err = status, err
		close(r.stop)
	})
}

// attend starts the session and waits for its end.
func (r *run) attend(ctx context.Context, start func() error) (int, error) {
	defer close(r.over)
	to, err := r.s.StdinPipe()
	if err != nil {
		return ExitFailed, err
	}
	result := make(chan error, 1)
	go func() {
		if err := start(); err != nil {
			result <- fmt.Errorf("start the session: %w", r.client.cause(err))
			return
		}
		go r.feed(to)
		result <- r.s.Wait()
	}()
	select {
	case err := <-result:
		r.s.Close() // it is closed already unless its start was refused
		select {
		case <-r.stop: // the output could not be written, which x/crypto only notices as its own
			return r.status, r.err
		default:
		}
		if inErr, ok := r.inErr.Load().(error); ok && err == nil {
			return ExitFailed, inErr
		}
		return r.client.exit(err)
	case <-r.stop:
	case <-ctx.Done():
		r.end(ExitFailed, context.Cause(ctx))
		<-r.stop
	}
	_ = r.client.cut()
	select {
	case <-result: //nolint:errcheck // the session was cut: what is left of it says nothing new
	case <-time.After(drainWait): // the output is stuck; it must not hold up the user who leaves
	}
	return r.status, r.err
}

// feed passes the input on. That the command ends without having read all of it is no error, as with a pipe of this computer.
// (x/crypto would make its own of it, and so hide that the command was a success.)
func (r *run) feed(to io.WriteCloser) {
	buf := make([]byte, 32<<10)
	for r.input != nil {
		n, err := r.input.Read(buf)
		if _, werr := to.Write(buf[:n]); werr != nil {
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.inErr.Store(fmt.Errorf("read the input: %w", err))
			}
			break
		}
	}
	_ = to.Close() // fails when the session has ended, and then nobody waits for it
}

// exit translates the end of a session.
func (c *Client) exit(err error) (int, error) {
	if err == nil {
		return 0, nil
	}
	if e, ok := errors.AsType[*ssh.ExitError](err); ok {
		return e.ExitStatus(), nil
	}
	if _, ok := errors.AsType[*ssh.ExitMissingError](err); ok {
		return ExitFailed, c.cause(errors.New("the server ended the session without an exit status"))
	}
	return ExitFailed, err
}

// output is a writer whose failure ends the session. Without it the remote command would fill its window and wait for ever.
func (r *run) output(w io.Writer) io.Writer {
	if w == nil {
		w = io.Discard
	}
	return writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		if err != nil {
			r.end(ExitFailed, fmt.Errorf("write the output: %w", err))
		}
		return n, err
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// forward passes signals on. Servers older than OpenSSH 7.9, and those that run everything as root, ignore them, hence the second
// interrupt.
func (r *run) forward(signals <-chan os.Signal) {
	interrupts := 0
	for {
		select {
		case <-r.over:
			return
		case sig, ok := <-signals:
			if !ok {
				return
			}
			if sig == os.Interrupt {
				if interrupts++; interrupts > 1 {
					r.end(128+int(syscall.SIGINT), ErrInterrupted)
					return
				}
			}
			if name, ok := signalNames()[sig]; ok {
				go func() { _ = r.s.Signal(name) }() // blocks while the link is stuck, and ends with it
			}
		}
	}
}

func signalNames() map[os.Signal]ssh.Signal {
	return map[os.Signal]ssh.Signal{os.Interrupt: ssh.SIGINT, syscall.SIGTERM: ssh.SIGTERM, syscall.SIGHUP: ssh.SIGHUP, syscall.SIGQUIT: ssh.SIGQUIT}
}

const (
	// maxView bounds the answer to ServerView, in bytes.
	maxView = 1 << 10
	// viewWait bounds its time: it costs four round trips and the start of a shell.
	viewWait = 10 * time.Second
)

// ViewBeside is ServerView once a shell, a command or a subsystem has its channel: a server may allow one session at a time (MaxSessions of
// sshd), and that one is the user's.
func (c *Client) ViewBeside(ctx context.Context) (netip.Addr, error) {
	select {
	case <-c.busy:
		return c.ServerView(ctx)
	case <-c.done:
		return netip.Addr{}, net.ErrClosed
	case <-ctx.Done():
		return netip.Addr{}, context.Cause(ctx)
	}
}

// ServerView is this client's address as the server sees it, from sshd's SSH_CONNECTION: the best there is to compare with
// the authorized address. It uses a session channel of its own beside others that run; where the context ends first, they go on.
func (c *Client) ServerView(ctx context.Context) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, viewWait)
	defer cancel()
	s, err := c.newSession(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { go s.Close() }() // blocks while the link is stuck
	var out bytes.Buffer
	s.Stdout = writerFunc(func(p []byte) (int, error) {
		if room := maxView - out.Len(); len(p) > room {
			out.Write(p[:room])
			return len(p), nil
		}
		return out.Write(p)
	})
	if err := c.step(ctx, func() error { return s.Run("echo $SSH_CONNECTION") }); err != nil {
		return netip.Addr{}, fmt.Errorf("ask for the server's view: %w", err)
	}
	fields := strings.Fields(out.String())
	if len(fields) != 4 {
		return netip.Addr{}, fmt.Errorf("ask for the server's view: %q is no SSH_CONNECTION", printable(out.String()))
	}
	addr, err := netip.ParseAddr(fields[0])
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask for the server's view: %q is no address", printable(fields[0]))
	}
	return addr.Unmap().WithZone(""), nil
}
