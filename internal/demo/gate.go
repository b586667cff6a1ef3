package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Passage is what the gate decided about one connection.
type Passage struct {
	From     netip.AddrPort
	Admitted bool
	Why      string // the rule that admits, or why none does
}

// gate stands before the node in place of EC2's network: it accepts a TCP connection, looks at where it comes from,
// and drops it unless a rule of the groups admits it. It reads the rules anew for each connection, over the API; when
// they cannot be read, nobody is admitted.
//
// EC2 stays silent towards those it does not admit. The gate resets the connection instead, so that nobody has to
// wait for a timeout.
type gate struct {
	listener net.Listener
	port     int
	rules    func(context.Context) ([]Rule, error)
	source   func(net.Conn) netip.Addr
	serve    func(ctx context.Context, conn net.Conn, from netip.AddrPort)
	saw      func(Passage) // may be nil
	open     bool          // admits everybody: only for tests of what the story notices

	admitted, dropped atomic.Int64
	cancel            context.CancelFunc
	wg                sync.WaitGroup
	mu                sync.Mutex
	conns             map[net.Conn]bool
}

// start accepts connections until close is called.
func (g *gate) start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel, g.conns = cancel, map[net.Conn]bool{}
	g.wg.Go(func() {
		for {
			conn, err := g.listener.Accept()
			if err != nil {
				return // closed
			}
			g.mu.Lock()
			if ctx.Err() != nil {
				g.mu.Unlock()
				conn.Close()
				return
			}
			g.conns[conn] = true
			g.mu.Unlock()
			g.wg.Go(func() {
				g.handle(ctx, conn)
				g.mu.Lock()
				delete(g.conns, conn)
				g.mu.Unlock()
			})
		}
	})
}

func (g *gate) handle(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // a TCP address always parses
	p := Passage{From: netip.AddrPortFrom(g.source(conn).Unmap(), remote.Port())}
	p.Admitted, p.Why = g.decide(ctx, p.From.Addr())
	if g.saw != nil {
		g.saw(p)
	}
	if !p.Admitted {
		g.dropped.Add(1)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset in place of an orderly end; without it the end is as good
		}
		return
	}
	g.admitted.Add(1)
	g.serve(ctx, conn, p.From)
}

func (g *gate) decide(ctx context.Context, from netip.Addr) (bool, string) {
	if g.open {
		return true, "the gate is open"
	}
	rules, err := g.rules(ctx)
	if err != nil {
		return false, err.Error()
	}
	if r, ok := admitting(rules, from, g.port); ok {
		return true, r.ID
	}
	return false, fmt.Sprintf("no rule admits %s to port %d", from, g.port)
}

// close ends the listener and every connection, and waits for all that was going on.
func (g *gate) close() {
	g.listener.Close()
	g.mu.Lock()
	g.cancel()
	for c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.wg.Wait()
}
