package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// echo is one HTTPS service that answers with the address that it sees.
type echo struct {
	operator string
	server   *http.Server
	url      string // https://127.0.0.1:…/
}

// connKey is where the connection of a request is kept.
type connKey struct{}

// startEcho serves on a loopback port. source says where a connection comes from; the path names the asker.
func startEcho(operator string, cert tls.Certificate, source func(conn net.Conn, path string) netip.Addr) (*echo, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the echo of %s: %w", operator, err)
	}
	e := &echo{operator: operator, url: "https://" + l.Addr().String() + "/"}
	e.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _ := r.Context().Value(connKey{}).(net.Conn)
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			fmt.Fprintln(w, source(conn, strings.Trim(r.URL.Path, "/")))
		}),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that hangs up early is no news
	}
	go func() {
		if err := e.server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			l.Close() // then every question fails, and the program says so
		}
	}()
	return e, nil
}

func (e *echo) close() { e.server.Close() }
