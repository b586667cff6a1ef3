package ipwatch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// good is what the honest echoes of the lab answer; labAccept makes its documentation range count as public.
const good = "203.0.113.7"

var labAccept = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}

// lab is a certificate authority and the HTTPS echoes that it certified, all on loopback.
type lab struct {
	t      *testing.T
	CAFile string
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
}

// newLab makes a lab; its authority is called "Lab CA", or as given.
func newLab(t *testing.T, name ...string) *lab {
	t.Helper()
	name = append(name, "Lab CA")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name[0]},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, ca: ca, key: key, CAFile: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(l.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// cert makes a certificate for the names (127.0.0.1 and ::1 where there are none) of a certain time.
func (l *lab) cert(from, to time.Time, names ...string) tls.Certificate {
	l.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(names) == 0 {
		tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, l.ca, &key.PublicKey, l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve starts an HTTPS server with a certificate; without one, with a good one for 127.0.0.1.
func (l *lab) serve(h http.Handler, certs ...tls.Certificate) *httptest.Server {
	l.t.Helper()
	if len(certs) == 0 {
		certs = []tls.Certificate{l.cert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))}
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: certs}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are the point here
	s.StartTLS()
	l.t.Cleanup(s.Close)
	return s
}

// source is a source at that server.
func (l *lab) source(s *httptest.Server, operator string) ipwatch.Source {
	return ipwatch.Source{Name: operator, Operator: operator, URL: s.URL + "/", CAFile: l.CAFile}
}

// echo starts an echo with this body and returns its source.
func (l *lab) echo(operator, body string) ipwatch.Source {
	return l.source(l.serve(says(body)), operator)
}

// says answers 200 with a body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, body)
	}
}

// answers replies with a status and a body.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// sayPeer answers with the address that the connection came from, as real echoes do.
func sayPeer(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Fprintln(w, host)
}

// labPolicy is the default policy in the lab's world.
func labPolicy() ipwatch.Policy {
	p := ipwatch.DefaultPolicy()
	p.Accept = labAccept
	return p
}

// detector makes a detector of the lab's sources.
func (l *lab) detector(p ipwatch.Policy, sources ...ipwatch.Source) *ipwatch.Detector {
	l.t.Helper()
	d, err := ipwatch.NewDetector(ipwatch.Config{Sources: sources, Policy: p})
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

// verdict observes IPv4 and concludes for a node on loopback.
func verdict(t *testing.T, d *ipwatch.Detector) ipwatch.Verdict {
	t.Helper()
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	checkVerdict(t, v)
	return v
}

// checkVerdict checks what holds for every verdict.
func checkVerdict(t *testing.T, v ipwatch.Verdict) {
	t.Helper()
	if v.Addr.IsValid() != (v.State == ipwatch.Confirmed) {
		t.Errorf("state %s with address %v: only confirmed verdicts carry one", v.State, v.Addr)
	}
	if v.Why == "" {
		t.Errorf("state %s without a sentence", v.State)
	}
	for _, s := range append([]string{v.Why}, v.Warnings...) {
		if s != ipwatch.Clean(s, 10000) {
			t.Errorf("sentence is not safe to print: %q", s)
		}
	}
}

// serve6 is serve on ::1.
func (l *lab) serve6(h http.Handler) *httptest.Server {
	l.t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		l.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = ln
	s.TLS = &tls.Config{Certificates: []tls.Certificate{l.cert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))}}
	s.StartTLS()
	l.t.Cleanup(s.Close)
	return s
}
