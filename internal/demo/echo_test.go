package demo_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/demo"
)

func rootsFrom(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", file)
	}
	return roots
}

// ask puts a question over TLS, from an address if there is one.
func ask(t *testing.T, url string, roots *x509.CertPool, from netip.Addr) string {
	t.Helper()
	d := &net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %v, %v", resp.StatusCode, resp.Header, err)
	}
	return string(body)
}

func TestEchoes(t *testing.T) {
	needRealAddresses(t)
	w := newWorld(t, demo.WorldOptions{})
	cfg, err := config.Load(w.Alice().ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cfg.Address.Sources {
		for _, from := range []string{"127.0.0.2", "127.0.0.99"} { // the wire counts, not the file
			if got := ask(t, s.URL, rootsFrom(t, s.CAFile), addr(from)); got != from+"\n" {
				t.Errorf("%s answers %q to %s", s.Operator, got, from)
			}
		}
	}
}

// Without the world's authority the echoes are not believed.
func TestEchoIsVerified(t *testing.T) {
	url, roots, stop, err := demo.StartEcho(func(net.Conn, string) netip.Addr { return addr("192.0.2.1") })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got := ask(t, url, roots, netip.Addr{}); got != "192.0.2.1\n" {
		t.Errorf("answer %q", got)
	}
	other := newWorld(t, demo.WorldOptions{})
	cfg, err := config.Load(other.Alice().ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]*tls.Config{
		"another authority": {RootCAs: rootsFrom(t, cfg.Address.Sources[0].CAFile)},
		"another name":      {RootCAs: roots, ServerName: "checkip.amazonaws.com"},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: tc}}
		if resp, err := client.Get(url); err == nil {
			resp.Body.Close()
			t.Errorf("%s: believed", name)
		}
	}
}
