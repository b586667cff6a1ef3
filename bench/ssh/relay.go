//go:build unix

package main

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// relay passes connections on, each byte some time later, and notes when a client connects and when it has ended.
type relay struct {
	listener net.Listener
	to       string
	oneWay   time.Duration

	mu    sync.Mutex
	lines []*line
	group sync.WaitGroup
}

// line is one connection.
type line struct {
	began time.Time
	ended time.Time     // when the client had said its last
	over  chan struct{} // closed then
}

func newRelay(to string, roundTrip time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to, oneWay: roundTrip / 2}
	r.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line := &line{began: time.Now(), over: make(chan struct{})}
			r.mu.Lock()
			r.lines = append(r.lines, line)
			r.mu.Unlock()
			r.group.Go(func() { r.serve(c.(*net.TCPConn), line) })
		}
	})
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) port() string {
	_, port, _ := net.SplitHostPort(r.addr())
	return port
}

func (r *relay) close() {
	r.listener.Close()
	r.group.Wait()
}

// forget makes the next connection the first.
func (r *relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
}

// first waits for the end of the first connection since forget; nil for none.
func (r *relay) first(ctx context.Context) *line {
	r.mu.Lock()
	var l *line
	if len(r.lines) > 0 {
		l = r.lines[0]
	}
	r.mu.Unlock()
	if l == nil {
		return nil
	}
	select {
	case <-l.over:
		return l
	case <-ctx.Done():
		return nil
	}
}

func (r *relay) serve(client *net.TCPConn, l *line) {
	defer client.Close()
	var once sync.Once
	end := func() { once.Do(func() { l.ended = time.Now(); close(l.over) }) }
	defer end()
	c, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	server := c.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() {
		r.carry(server, client, end)
		_ = server.CloseWrite()
	})
	both.Go(func() {
		r.carry(client, server, func() {})
		_ = client.CloseWrite()
	})
	both.Wait()
}

// carry passes bytes on in one direction. There may be any number of them on the way, as on a line that is long and wide.
func (r *relay) carry(to, from *net.TCPConn, read func()) {
	if r.oneWay == 0 {
		_, _ = io.Copy(to, from)
		read()
		return
	}
	type packet struct {
		data []byte
		due  time.Time
	}
	queue := make(chan packet, 1<<16)
	go func() {
		defer close(queue)
		defer read()
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				queue <- packet{buf[:n], time.Now().Add(r.oneWay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range queue {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close() // and the reader ends; what it has read is dropped
			for range queue {
			}
			return
		}
	}
	time.Sleep(r.oneWay) // the end of the stream is on the way as well
}
