package sshsession

import (
	"context"
	"errors"
	"net"
	"time"
)

// errNoSign says that a server was silent for the whole of a probe.
var errNoSign = errors.New("the server does not answer")

// probeStep is how often a probe looks whether anything has come.
const probeStep = 20 * time.Millisecond

// Probe asks the server for a sign of life now, and waits for it no longer than limit. Any data counts. The connection is left as it
// is: a network that comes back may bring it back to life. An error is the context's, the end of the connection, or a silent server.
func (c *Client) Probe(ctx context.Context, limit time.Duration) error {
	seen := c.conn.reads.Load()
	c.question()
	late := time.NewTimer(limit)
	defer late.Stop()
	look := time.NewTicker(probeStep)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.done:
			if err := c.Err(); err != nil {
				return err
			}
			return net.ErrClosed
		case <-late.C:
			return errNoSign
		case <-look.C:
			if c.conn.reads.Load() != seen {
				return nil
			}
		}
	}
}

// Abandon ends a connection that cannot come back, for a reason that the caller knows: whatever runs over it ends with ErrLostLink.
func (c *Client) Abandon(why error) {
	c.end(why)
	c.ssh.Close()
}

// LocalAddr is this computer's side of the connection.
func (c *Client) LocalAddr() net.Addr { return c.conn.LocalAddr() }
