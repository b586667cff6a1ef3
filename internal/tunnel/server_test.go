package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/tunnel"
	"golang.org/x/net/proxy"
)

// far is the far side of a tunnel without SSH: it connects from here.
type far struct {
	t      *testing.T
	server tunnel.Server
	addr   string // of what is forwarded
	dials  atomic.Int64
	mu     sync.Mutex
	said   []string
	cancel context.CancelFunc
	done   chan struct{}
}

// begin serves a SOCKS proxy or, with remotes, a forward on a free port.
func begin(t *testing.T, to ...tunnel.Remote) *far {
	t.Helper()
	f := &far{t: t, done: make(chan struct{})}
	f.server.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		f.dials.Add(1)
		switch {
		case strings.HasPrefix(addr, "refused"):
			return nil, &sshsession.ForwardError{Addr: addr, Problem: sshsession.ForwardRefused}
		case strings.HasPrefix(addr, "prohibited"):
			return nil, &sshsession.ForwardError{Addr: addr, Problem: sshsession.ForwardProhibited}
		case strings.HasPrefix(addr, "never"):
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		if addr, ok := strings.CutPrefix(addr, "cut "); ok {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return breaking{c}, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	f.server.Say = func(s string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.said = append(f.said, s)
	}
	ls, bind, err := tunnel.Listen(tunnel.Bind{Host: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	f.addr = net.JoinHostPort("127.0.0.1", portOf(bind))
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() {
		defer close(f.done)
		if to == nil {
			f.server.SOCKS(ctx, ls)
		} else {
			f.server.Forward(ctx, ls, tunnel.Forward{Bind: bind, To: to, Title: "Hue"})
		}
	}()
	t.Cleanup(f.end)
	return f
}

func portOf(b tunnel.Bind) string {
	_, port, _ := net.SplitHostPort(b.String())
	return port
}

// end ends the serving, which must not hang on what is still open.
func (f *far) end() {
	f.cancel()
	select {
	case <-f.done:
	case <-time.After(20 * time.Second):
		f.t.Error("the serving does not end")
	}
}

func (f *far) sentences() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.said, "\n")
}

// peer listens on loopback and serves each connection.
func peer(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			})
		}
	})
	return l.Addr().String()
}

func mustDial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

func TestForwardHalfClose(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	// The peer answers only after the client has said all, and the client goes on reading after it has.
	f := begin(t, tunnel.Remote{Network: "tcp", Addr: peer(t, func(c *net.TCPConn) {
		got, _ := io.ReadAll(c)
		_, _ = c.Write(got)
	})})
	c := mustDial(t, f.addr)
	go func() {
		_, _ = c.Write(big)
		_ = c.CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(big), err)
	}
}

// The peer ends first, and the client still says something.
func TestForwardPeerEndsFirst(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	f := begin(t, tunnel.Remote{Network: "tcp", Addr: peer(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "hello")
		_ = c.CloseWrite()
		got, _ := io.ReadAll(c)
		heard <- string(got)
	})})
	c := mustDial(t, f.addr)
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	_, _ = io.WriteString(c, "late")
	_ = c.Close()
	if got := <-heard; got != "late" {
		t.Errorf("the peer heard %q", got)
	}
}

// breaking is a connection that is lost after half of what there is.
type breaking struct{ net.Conn }

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = sshsession.ErrLostLink
	}
	return n, err
}

// What is cut does not look like a whole one to the client.
func TestForwardCut(t *testing.T) {
	t.Parallel()
	f := begin(t, tunnel.Remote{Network: "tcp", Addr: "cut " + peer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "half of it") })})
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		return // the reset has come before the connection was looked at
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if got, err := io.ReadAll(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v; want a reset", got, err)
	}
}

func TestForwardTriesTheNext(t *testing.T) {
	t.Parallel()
	good := peer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "good") })
	f := begin(t, tunnel.Remote{Network: "tcp", Addr: "refused:1"}, tunnel.Remote{Network: "tcp", Addr: good})
	for want := int64(2); want <= 3; want++ { // the second time it begins with the one that answered
		if got, err := io.ReadAll(mustDial(t, f.addr)); string(got) != "good" || err != nil || f.dials.Load() != want {
			t.Errorf("%q, %v after %d dials", got, err, f.dials.Load())
		}
	}
}

// The remotes may change under an open forward: another node has taken over.
func TestForwardMoves(t *testing.T) {
	t.Parallel()
	var now atomic.Value
	now.Store(peer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "one") }))
	other := peer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "two") })
	ls, bind, err := tunnel.Listen(tunnel.Bind{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	s := tunnel.Server{Dial: (&net.Dialer{}).DialContext}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Forward(ctx, ls, tunnel.Forward{Bind: bind, Now: func() []tunnel.Remote { return []tunnel.Remote{{Network: "tcp", Addr: now.Load().(string)}} }})
	}()
	defer func() { cancel(); <-done }()
	for _, want := range []string{"one", "two"} {
		if got, err := io.ReadAll(mustDial(t, bind.String())); string(got) != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		now.Store(other)
	}
}

func TestForwardSaysWhy(t *testing.T) {
	t.Parallel()
	f := begin(t, tunnel.Remote{Network: "tcp", Addr: "refused:1"})
	for range 3 {
		if got, _ := io.ReadAll(mustDial(t, f.addr)); len(got) > 0 {
			t.Errorf("%q", got)
		}
	}
	if said := f.sentences(); strings.Count(said, "Hue, localhost:") != 1 || !strings.Contains(said, "nothing listens there; is it installed") {
		t.Errorf("it said %q", said)
	}
}

func TestSOCKS(t *testing.T) {
	t.Parallel()
	hello := peer(t, func(c *net.TCPConn) {
		got, _ := io.ReadAll(c)
		_, _ = io.WriteString(c, "hello "+string(got))
	})
	f := begin(t)
	dialer, err := proxy.SOCKS5("tcp", f.addr, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialer.Dial("tcp", hello)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "you")
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "hello you" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for addr, want := range map[string]string{"refused:1": "refused", "prohibited:1": "not allowed"} {
		if _, err := dialer.Dial("tcp", addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if said := f.sentences(); !strings.Contains(said, "AllowTcpForwarding") || strings.Contains(said, "refused") {
		t.Errorf("it said %q", said)
	}
	// A browser that takes it for a page gets an answer that it can show.
	h := mustDial(t, f.addr)
	_, _ = io.WriteString(h, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if got, err := io.ReadAll(h); !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Everything ends with the context: clients in the handshake, connections under way, idle ones.
func TestEnd(t *testing.T) {
	t.Parallel()
	quiet := peer(t, func(c *net.TCPConn) { _, _ = io.ReadAll(c) })
	f := begin(t)
	dialer, _ := proxy.SOCKS5("tcp", f.addr, nil, nil)
	idle, err := dialer.Dial("tcp", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	silent := mustDial(t, f.addr)
	_, _ = silent.Write([]byte{5})
	asked := mustDial(t, f.addr)
	_, _ = asked.Write([]byte("\x05\x01\x00\x05\x01\x00\x03\x05never\x00\x50"))
	before := f.dials.Load()
	for deadline := time.Now().Add(10 * time.Second); f.dials.Load() == before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	f.end()
	for _, c := range []net.Conn{idle, silent} {
		if _, err := io.ReadAll(c); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a connection is open: %v", err)
		}
	}
	if c, err := net.DialTimeout("tcp", f.addr, time.Second); err == nil {
		c.Close()
		t.Error("the port is open")
	}
}

// More than the limit are closed at once, and when some end there is room again.
func TestLimit(t *testing.T) {
	t.Parallel()
	f := begin(t)
	var held []net.Conn
	closed := func(c net.Conn) bool { // the proxy says nothing first, so data means an end
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout")
	}
	for range 512 {
		held = append(held, mustDial(t, f.addr))
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if c := mustDial(t, f.addr); closed(c) {
			break
		} else if held = append(held, c); time.Now().After(deadline) || len(held) > 530 {
			t.Fatalf("%d connections are open", len(held))
		}
	}
	if said := f.sentences(); !strings.Contains(said, "too many connections") {
		t.Errorf("it said %q", said)
	}
	for _, c := range held {
		c.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); closed(mustDial(t, f.addr)); {
		if time.Now().After(deadline) {
			t.Fatal("there is no room again")
		}
	}
}
