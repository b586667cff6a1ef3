package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// tcpPair is a connection over loopback, and its other end.
func tcpPair(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// The end of the input is passed on, and what the server still says after it arrives.
func TestRelayHalfClose(t *testing.T) {
	here, server := tcpPair(t)
	go func() {
		got, _ := io.ReadAll(server)
		_, _ = server.Write(append([]byte("got "), got...))
		server.Close()
	}()
	in, w, _ := os.Pipe()
	r, out, _ := os.Pipe()
	defer in.Close()
	defer r.Close()
	_, _ = w.WriteString("question")
	w.Close()
	if err := relay(t.Context(), here, in, out); err != nil {
		t.Error(err)
	}
	out.Close()
	if answer, _ := io.ReadAll(r); string(answer) != "got question" {
		t.Errorf("%q", answer)
	}
}

// However a session ends, relay returns: then the rule can be given back.
func TestRelayEnds(t *testing.T) {
	for name, end := range map[string]func(cancel func(), server *net.TCPConn, out io.Closer){
		"told to":       func(cancel func(), _ *net.TCPConn, _ io.Closer) { cancel() },
		"reader gone":   func(_ func(), server *net.TCPConn, out io.Closer) { out.Close(); _, _ = server.Write([]byte("x")) },
		"lost link":     func(_ func(), server *net.TCPConn, _ io.Closer) { _ = server.SetLinger(0); server.Close() },
		"server closes": func(_ func(), server *net.TCPConn, _ io.Closer) { server.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			here, server := tcpPair(t)
			in, w, _ := os.Pipe() // stays open, as a terminal does
			r, out, _ := os.Pipe()
			defer func() { w.Close(); in.Close(); out.Close(); r.Close() }()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- relay(ctx, here, in, out) }()
			end(cancel, server, r)
			select {
			case err := <-done:
				_, quiet := errors.AsType[exitStatus](err)
				if (err == nil) != (name == "server closes") || err != nil && quiet == (name == "lost link") {
					t.Errorf("error %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it still copies")
			}
		})
	}
}
