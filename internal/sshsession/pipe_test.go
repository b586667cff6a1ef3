package sshsession_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// newPipe is a TCP connection in memory, buffered like one (net.Pipe is not, and both sides of SSH write first). It works in a
// synctest bubble: whoever waits in it is durably blocked.
func newPipe() (client, server *pipeEnd) {
	a, b := newHalf(), newHalf()
	return &pipeEnd{read: a, write: b}, &pipeEnd{read: b, write: a}
}

type half struct {
	mu     sync.Mutex
	change sync.Cond
	data   []byte
	closed bool
	frozen bool // what is written gets lost on the way
}

func newHalf() *half {
	h := &half{}
	h.change.L = &h.mu
	return h
}

type pipeEnd struct {
	read, write *half
	closed      atomic.Bool // on this side; what is written to a side that is gone gets lost, as with TCP at first
}

func (p *pipeEnd) Read(b []byte) (int, error) {
	h := p.read
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.data) == 0 && !h.closed {
		h.change.Wait()
	}
	if p.closed.Load() {
		return 0, net.ErrClosed
	}
	if len(h.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, h.data)
	h.data = h.data[n:]
	return n, nil
}

func (p *pipeEnd) Write(b []byte) (int, error) {
	h := p.write
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.closed.Load() {
		return 0, net.ErrClosed
	}
	if !h.frozen && !h.closed {
		h.data = append(h.data, b...)
	}
	h.change.Broadcast()
	return len(b), nil
}

func (p *pipeEnd) Close() error {
	p.closed.Store(true)
	for _, h := range []*half{p.read, p.write} {
		h.mu.Lock()
		h.closed = true
		h.change.Broadcast()
		h.mu.Unlock()
	}
	return nil
}

// freeze makes the link swallow everything in both directions without an error, like a laptop that left its network.
func (p *pipeEnd) freeze() {
	for _, h := range []*half{p.read, p.write} {
		h.mu.Lock()
		h.frozen = true
		h.mu.Unlock()
	}
}

// deafen loses only what is sent to this end.
func (p *pipeEnd) deafen() {
	p.read.mu.Lock()
	defer p.read.mu.Unlock()
	p.read.frozen = true
}

func (p *pipeEnd) LocalAddr() net.Addr              { return noAddr{} }
func (p *pipeEnd) RemoteAddr() net.Addr             { return noAddr{} }
func (p *pipeEnd) SetDeadline(time.Time) error      { return nil }
func (p *pipeEnd) SetReadDeadline(time.Time) error  { return nil }
func (p *pipeEnd) SetWriteDeadline(time.Time) error { return nil }
