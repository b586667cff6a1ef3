package sshsession

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Client is a logged-in connection. Its methods may be called by several goroutines.
type Client struct {
	ssh      *ssh.Client
	conn     *countingConn
	env      []string
	hostKey  Verified
	loginKey OfferedKey

	mu     sync.Mutex
	closed bool // by Close, so that the end is no error
	err    error
	asked  chan struct{} // nil while no question waits for its answer
	done   chan struct{} // closed when the connection has ended, after err is set
	busy   chan struct{} // closed when the first session has its channel, but for those of ServerView
	first  sync.Once
	idle   sync.WaitGroup
}

// countingConn counts the reads that brought something, so that any data counts as a sign of life, not only an answer to a question:
// the answer may be waiting behind a long download.
type countingConn struct {
	net.Conn
	reads  atomic.Uint64
	broken atomic.Bool // nothing will be read any more
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.reads.Add(1)
	}
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func newClient(c ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request, conn *countingConn, t Target) *Client {
	client := &Client{ssh: ssh.NewClient(c, channels, requests), conn: conn, done: make(chan struct{}), busy: make(chan struct{})}
	client.env = t.sent()
	client.idle.Go(func() {
		client.end(client.ssh.Wait())
		close(client.done)
	})
	client.idle.Go(func() { client.keepAlive(t.KeepAlive, t.KeepAliveMisses) })
	return client
}

// end notes why the connection ended; the first reason stays.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.closed {
		switch {
		case err == nil:
			c.err = ErrLostLink
		case errors.Is(err, ErrLostLink): // our own, with the reason
			c.err = err
		default:
			c.err = fmt.Errorf("%w: %w", ErrLostLink, foreign{err})
		}
	}
}

// keepAlive asks a silent server for a sign of life, and ends the connection when so many intervals bring none. A request waits for its
// answer for ever by itself, hence the clock of our own (ServerAliveInterval and ServerAliveCountMax of OpenSSH).
func (c *Client) keepAlive(every time.Duration, misses int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var answer <-chan struct{} // nil while nothing was asked
	seen, missed := c.conn.reads.Load(), 0
	for {
		select {
		case <-c.done:
			return
		case <-answer:
			answer, missed, seen = nil, 0, c.conn.reads.Load()
		case <-tick.C:
			if n := c.conn.reads.Load(); n != seen {
				seen, missed = n, 0
				continue
			}
			if answer == nil {
				answer = c.question()
				continue
			}
			if missed++; missed == misses {
				c.end(fmt.Errorf("%w: the server has not answered for %v", ErrLostLink, every*time.Duration(misses)))
				c.ssh.Close()
				return
			}
		}
	}
}

// question asks the server for a sign of life, unless it has been asked and has not answered yet. The channel is closed with the answer,
// or with the connection.
func (c *Client) question() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked != nil {
		return c.asked
	}
	asked := make(chan struct{})
	c.asked = asked
	go func() {
		_, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked = nil
		close(asked)
	}()
	return asked
}

// Done is closed when the connection has ended, for whatever reason.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the connection ended: nil while it stands or after Close, else an ErrLostLink.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// HostKey is the verified host key and where the trust in it came from.
func (c *Client) HostKey() Verified { return c.hostKey }

// LoginKey is the key that the server accepted; the zero value if it asked for none.
func (c *Client) LoginKey() OfferedKey { return c.loginKey }

// Close ends the connection and everything that runs over it.
func (c *Client) Close() error {
	err := c.cut()
	c.idle.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // the other side was first
	}
	return err
}

// cut closes the connection without waiting for anything.
func (c *Client) cut() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.ssh.Close()
}

// workSession is newSession for what the caller is here for.
func (c *Client) workSession(ctx context.Context) (*ssh.Session, error) {
	s, err := c.newSession(ctx)
	if err == nil {
		c.first.Do(func() { close(c.busy) })
	}
	return s, err
}

// newSession opens a session channel and sends the locale. It returns when the context ends, even if the server never answers.
func (c *Client) newSession(ctx context.Context) (*ssh.Session, error) {
	var s *ssh.Session
	err := c.step(ctx, func() (err error) {
		s, err = c.ssh.NewSession()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	for _, variable := range c.env {
		name, value, _ := strings.Cut(variable, "=")
		// Without asking for an answer, as OpenSSH does: servers refuse what their AcceptEnv does not list, and each answer is a round trip.
		_, _ = s.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, value}))
	}
	return s, nil
}

// step does one exchange with the server, which blocks for as long as the server likes. When the context ends first, the exchange is
// left to end with the connection.
func (c *Client) step(ctx context.Context, exchange func() error) error {
	result := make(chan error, 1)
	go func() { result <- exchange() }()
	select {
	case err := <-result:
		if err != nil {
			return c.cause(err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// endWait is how long to wait for the end of the connection to be noticed after a channel broke: the two come together.
const endWait = time.Second

// cause finds out whether an error of a channel is only the end of the connection.
func (c *Client) cause(err error) error {
	_, refused := errors.AsType[*ssh.OpenChannelError](err)
	_, ended := errors.AsType[*ssh.ExitError](err)
	// x/crypto has no type for a request that the server refused. If these words change, the wait below is needless, no more.
	said := strings.HasSuffix(err.Error(), " failed") || strings.HasPrefix(err.Error(), "ssh: could not start")
	if refused || ended || said {
		return foreign{err}
	}
	select {
	case <-c.done:
	case <-time.After(endWait):
	}
	if lost := c.Err(); lost != nil {
		return lost
	}
	return foreign{err}
}
