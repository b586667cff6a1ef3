package sshsession

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// The times of a [Link].
const (
	// ProbeWait is how long a server may take to answer when something may have cut the link. A round trip around the world takes a
	// third of a second; a lost packet is sent again twice in this time.
	ProbeWait = 3 * time.Second
	// LinkPatience is how long [Link.Dial] waits for a lost link to come back. Changing the network takes a few seconds, and after this
	// a browser's user has pressed reload.
	LinkPatience = 20 * time.Second
	// Steady is how long a connection must have stood for its loss to be one of the network. One that is lost sooner, again and again,
	// is ended by something else, and connecting at once each time would ask AWS without an end.
	Steady = 10 * time.Second
	// slowAfter is when a connection onwards that is not answered makes the link be looked at: the usual keepalives take longer.
	slowAfter = ProbeWait
)

// backoff returns how long to wait after so many failed attempts to connect again. A laptop that is between two networks has one within
// seconds; after that, it takes an event or half a minute at most.
func backoff(failed int) time.Duration {
	table := []time.Duration{1, 2, 4, 8, 15, 30}
	wait := table[min(failed, len(table))-1] * time.Second
	return wait + time.Duration((rand.Float64()-0.5)*0.4*float64(wait)) // many laptops lose one office network at once
}

// Link is a connection that is made again when it is lost. Set its fields, then call [Link.Run]; the other methods may be called from
// any goroutine.
//
//	link := sshsession.NewLink(client, func(ctx context.Context) (*sshsession.Client, error) {
//		// bring the rule in place, look for the node again, verify its host key, log in
//	})
//	link.Lost = func(err error) { … }
//	go func() { for range hints { link.Nudge() } }() // the network may have changed
//	err := link.Run(ctx)
type Link struct {
	// Final tells the errors of the connect function that another try cannot mend; Run ends with them. Nil: [Permanent].
	Final func(error) bool
	// Lost, Failed and Back, where they are set, are called from Run's goroutine: the link is lost; an attempt failed, and there will be
	// another one after the wait or at the next event; the link stands again after so long.
	Lost   func(err error)
	Failed func(err error, wait time.Duration)
	Back   func(c *Client, away time.Duration)

	connect func(ctx context.Context) (*Client, error)
	nudge   chan struct{}

	mu     sync.Mutex
	client *Client       // nil while the link is lost
	err    error         // why there will be none any more
	change chan struct{} // closed and made anew when client or err changes
}

// NewLink makes a link of a connection that stands, and of a function that makes another one. The function is called by one goroutine
// at a time. It must come to an end by itself, and by its context.
func NewLink(c *Client, connect func(ctx context.Context) (*Client, error)) *Link {
	return &Link{connect: connect, client: c, nudge: make(chan struct{}, 1), change: make(chan struct{})}
}

// Permanent reports whether an error of [Dial] will come again: the host key or the login is refused, or a person said no. Trying
// again would be no help against an attack, and locks accounts. A login for which there is no key is not meant: agents lock themselves
// while a laptop sleeps.
func Permanent(err error) bool {
	_, mismatch := errors.AsType[*MismatchError](err)
	login, refused := errors.AsType[*AuthError](err)
	if refused {
		refused = len(login.Methods) > 0 || slices.ContainsFunc(login.Tried, func(k OfferedKey) bool { return k.Reason == "" })
	}
	return mismatch || refused || errors.Is(err, ErrUnverified) || errors.Is(err, ErrContradiction) || errors.Is(err, ErrInterrupted)
}

// Nudge says that something has happened that may have cut the link, or may let it come back: a link that stands is probed at once, and
// one that is lost is tried at once.
func (l *Link) Nudge() {
	select {
	case l.nudge <- struct{}{}:
	default: // one is due already
	}
}

// Run keeps the link until the context ends, which is no error, or until there is no hope ([Link.Final]). Then it closes the connection.
func (l *Link) Run(ctx context.Context) error {
	c, _ := l.state()
	began, brief := time.Now(), 0 // of the connection; how many in a row were lost at once
	for {
		if !l.attend(ctx, c) {
			l.set(nil, net.ErrClosed)
			_ = c.Close() // it ends the channels; whoever used one has been told
			return nil
		}
		lost := c.Err()
		if lost == nil {
			lost = ErrLostLink // somebody closed it
		}
		l.set(nil, nil)
		_ = c.Close() // it is lost already: this only waits for its goroutines
		if l.Lost != nil {
			l.Lost(lost)
		}
		if brief++; time.Since(began) >= Steady {
			brief = 0
		}
		began = time.Now()
		if brief > 1 {
			l.wait(ctx, backoff(brief-1))
		}
		next, err := l.again(ctx)
		if err != nil || next == nil {
			l.set(nil, errors.Join(err, net.ErrClosed))
			return err
		}
		c = next
		l.set(c, nil)
		if l.Back != nil {
			l.Back(c, time.Since(began))
		}
		began = time.Now()
	}
}

// attend waits for the end of the connection, and reports false when the context was first.
func (l *Link) attend(ctx context.Context, c *Client) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-c.Done():
			return ctx.Err() == nil
		case <-l.nudge:
			c.prove(ctx, l.nudge)
		}
	}
}

// prove asks the server for a sign of life now, and ends the connection when none comes within ProbeWait, or when it cannot come any more:
// the usual keepalives need most of a minute. A Wi-Fi that is gone for a second costs nothing so.
func (c *Client) prove(ctx context.Context, nudge <-chan struct{}) {
	seen := c.conn.reads.Load()
	timer := time.NewTimer(ProbeWait)
	defer timer.Stop()
	answer := c.question()
	for {
		if c.moved() {
			c.lose("this computer has another address now")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.done:
			return
		case <-answer:
			return
		case <-nudge: // more has happened
		case <-timer.C:
			if c.conn.reads.Load() == seen { // else the answer waits behind a long download
				c.lose(fmt.Sprintf("the server has not answered for %v", ProbeWait))
			}
			return
		}
	}
}

// lose ends a connection that is lost.
func (c *Client) lose(why string) {
	c.end(fmt.Errorf("%w: %s", ErrLostLink, why))
	_ = c.ssh.Close()
}

// moved reports whether this computer has the address no more that the connection was made from, and another way to the server. While
// it has no way at all, the address may come back.
func (c *Client) moved() bool {
	local, ok := c.conn.LocalAddr().(*net.TCPAddr)
	if !ok || local.IP.IsLoopback() {
		return false
	}
	way, err := net.Dial("udp", c.conn.RemoteAddr().String()) // it sends nothing
	if err != nil {
		return false
	}
	defer way.Close()
	if from, ok := way.LocalAddr().(*net.UDPAddr); !ok || from.IP.Equal(local.IP) {
		return false
	}
	all, err := net.InterfaceAddrs()
	return err == nil && !slices.ContainsFunc(all, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(local.IP)
	})
}

// again connects anew. It returns nil and no error when the context ended.
func (l *Link) again(ctx context.Context) (*Client, error) {
	final := l.Final
	if final == nil {
		final = Permanent
	}
	for attempt := 1; ; attempt++ {
		c, err := l.connect(ctx)
		switch {
		case err == nil && ctx.Err() != nil:
			_ = c.Close()
			return nil, nil
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, nil
		case final(err):
			return nil, err
		}
		wait := backoff(attempt)
		if l.Failed != nil {
			l.Failed(err, wait)
		}
		nudged := l.wait(ctx, wait)
		if ctx.Err() != nil {
			return nil, nil
		}
		if nudged {
			attempt = 0
		}
	}
}

// wait waits for a time, for the context, or for a nudge, which it reports.
func (l *Link) wait(ctx context.Context, d time.Duration) (nudged bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.nudge:
		return true
	}
	return false
}

func (l *Link) set(c *Client, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client, l.err = c, err
	close(l.change)
	l.change = make(chan struct{})
}

// state returns the client, and a channel that is closed when that is not the state any more.
func (l *Link) state() (*Client, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client, l.change
}

// Up reports whether the link stands, as far as is known.
func (l *Link) Up() bool {
	c, _ := l.state()
	return c != nil
}

// Client returns the connection that stands, and waits for it while there is none. The context bounds the wait.
func (l *Link) Client(ctx context.Context) (*Client, error) {
	for {
		l.mu.Lock()
		c, err, change := l.client, l.err, l.change
		l.mu.Unlock()
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, and has not come back yet: %w", ErrLostLink, context.Cause(ctx))
		}
	}
}

// Dial is [Client.Dial] over whatever connection stands. While the link is lost, it waits for [LinkPatience] at most; a request that the
// loss of the link interrupted is made again.
func (l *Link) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for {
		waiting, stop := context.WithTimeout(ctx, LinkPatience)
		c, err := l.Client(waiting)
		stop()
		if err != nil {
			return nil, err
		}
		suspicious := time.AfterFunc(slowAfter, l.Nudge)
		conn, err := c.Dial(ctx, network, addr)
		suspicious.Stop()
		if !errors.Is(err, ErrLostLink) {
			return conn, err
		}
		select { // until Run has noticed, too
		case <-c.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		for now, change := l.state(); now == c; now, change = l.state() {
			select {
			case <-change:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}
}
