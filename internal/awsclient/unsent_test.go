package awsclient_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

// TestGivenUpIsDropped: when a write is given up its connection is reset, so that the system sends nothing of it later. A
// connection that is closed in the ordinary way ends with EOF, after whatever was waiting in it.
func TestGivenUpIsDropped(t *testing.T) {
	for _, name := range []string{"in the clear", "TLS"} {
		t.Run(name, func(t *testing.T) { givenUpIsDropped(t, name == "TLS") })
	}
}

func givenUpIsDropped(t *testing.T, secure bool) {
	staticKeys(t)
	web := newCanned()
	arrived, ended := make(chan string, 1), make(chan error, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil || !bytes.Contains(body, []byte("Action=RevokeSecurityGroupIngress")) {
			serve(web).ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		arrived <- r.Proto
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, err = conn.Read(make([]byte, 1))
		ended <- err
	}))
	if srv.EnableHTTP2 = secure; secure {
		srv.StartTLS()
		dir := t.TempDir()
		putFile(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
		t.Setenv("AWS_CA_BUNDLE", filepath.Join(dir, "ca.pem"))
	} else {
		srv.Start()
	}
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	client, err := awsclient.Open(t.Context(), awsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		if proto := <-arrived; proto != "HTTP/1.1" {
			t.Errorf("%s is spoken", proto)
		}
		giveUp()
	}()
	if err := client.Revoke(ctx, testGroup, testRule); err == nil {
		t.Fatal("nobody answered, and it succeeded")
	}
	switch err := <-ended; {
	case errors.Is(err, syscall.ECONNRESET):
	case secure && errors.Is(err, io.EOF): // TLS says that it closes before the connection is reset
	case runtime.GOOS == "windows" && err != nil && !errors.Is(err, io.EOF): // WSAECONNRESET
	default:
		t.Errorf("the connection ended with %v, want a reset", err)
	}
}

// TestNoHTTP2: it is not spoken where the server offers it: the connection of a call that was given up would live on.
func TestNoHTTP2(t *testing.T) {
	staticKeys(t)
	web, protos := newCanned(), make(chan string, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protos <- r.Proto
		serve(web).ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	client, err := awsclient.Open(t.Context(), awsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if proto := <-protos; proto != "HTTP/1.1" {
		t.Errorf("it spoke %s", proto)
	}
}
