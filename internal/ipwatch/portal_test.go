package ipwatch_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// public is a detector of two real echoes, whose names lead to servers of labs, and which trusts the labs' authorities
// as if they were the system's.
func public(t *testing.T, p ipwatch.Policy, aws, ipify *lab, body string) *ipwatch.Detector {
	t.Helper()
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: p, Sources: []ipwatch.Source{
		{Operator: "aws", URL: "https://checkip.amazonaws.com/"}, {Operator: "ipify", URL: "https://api4.ipify.org/"}}})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	servers := map[string]string{}
	for host, l := range map[string]*lab{"checkip.amazonaws.com": aws, "api4.ipify.org": ipify} {
		pool.AddCert(l.ca)
		s := l.serve(says(body), l.cert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), host))
		servers[host+":443"] = s.Listener.Addr().String()
	}
	ipwatch.TrustAsSystem(d, pool)
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, servers[addr])
	}
	return d
}

// TestInterception: a proxy that opens TLS with an authority that the system trusts is seen by its one authority.
func TestInterception(t *testing.T) {
	t.Parallel()
	p := labPolicy()
	p.Accept = append(addrPrefixes("127.0.0.0/8"), p.Accept...)
	one, other := newLab(t, "Corp\u202e Inspection CA"), newLab(t, "Another CA")
	v := verdict(t, public(t, p, one, one, good))
	if v.State != ipwatch.Unsure || !strings.Contains(v.Why, `come from "Corp\\u202e Inspection CA": somebody opens the TLS connections here`) {
		t.Errorf("one authority: %s (%s), want unsure", v.State, v.Why)
	}
	v = verdict(t, public(t, p, one, other, good))
	if v.State != ipwatch.Confirmed || v.Answers[1].Issuer != "Another CA" {
		t.Errorf("two authorities: %s (%s), issuer %q", v.State, v.Why, v.Answers[1].Issuer)
	}
	// One operator alone has one authority, of course.
	alone := p
	alone.Agree = 1
	if v := verdict(t, public(t, alone, one, one, good)); v.State != ipwatch.Confirmed {
		t.Errorf("one operator is enough: %s (%s)", v.State, v.Why)
	}
	// Own echoes may have one authority; so may those with a CA file.
	l := newLab(t)
	v = verdict(t, l.detector(labPolicy(), l.echo("aws", good), l.echo("mine", good)))
	if v.State != ipwatch.Confirmed || v.Answers[0].Issuer != "" {
		t.Errorf("own echoes: %s (%s), issuer %q", v.State, v.Why, v.Answers[0].Issuer)
	}
}

// TestHijackedNames: a public echo's name that leads to a private address is somebody's portal, whatever certificate it
// has; an own echo may be anywhere.
func TestHijackedNames(t *testing.T) {
	t.Parallel()
	l := newLab(t, "One")
	v := verdict(t, public(t, labPolicy(), l, newLab(t, "Two"), good))
	if v.State != ipwatch.Captive || !strings.HasPrefix(v.Why, "127.0.0.1 answers in place of the sources") ||
		!strings.Contains(v.Why, "checkip.amazonaws.com leads to 127.0.0.1 here, which is not a public address") {
		t.Errorf("%s: %s", v.State, v.Why)
	}
	d := public(t, labPolicy(), l, newLab(t, "Two"), good)
	d.Sources[0].URL, d.Sources[1].URL = "https://CheckIP.amazonaws.com/", "https://api4.ipify.org./" // the same names to DNS
	dial := d.Dial
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dial(ctx, network, strings.ToLower(strings.Replace(addr, ".:", ":", 1)))
	}
	if v := verdict(t, d); v.State != ipwatch.Captive {
		t.Errorf("written in another way: %s (%s)", v.State, v.Why)
	}
	if v := verdict(t, l.detector(labPolicy(), l.echo("aws", good), l.echo("mine", good))); v.State != ipwatch.Confirmed {
		t.Errorf("own echo: %s (%s)", v.State, v.Why)
	}
}

// remoteConn is a connection that claims to go elsewhere.
type remoteConn struct {
	net.Conn
	remote net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.remote }

// TestNAT64: the name server of an IPv6-only network leads to its own translator, which is no portal; the answer over it
// is an IPv4 address, which is no vote about IPv6.
func TestNAT64(t *testing.T) {
	t.Parallel()
	l, m := newLab(t, "One"), newLab(t, "Two")
	for remote, fault := range map[string]ipwatch.Fault{"64:ff9b::342:1": ipwatch.FaultFamily, "fd00::1": ipwatch.FaultPortal} {
		d := public(t, labPolicy(), l, m, good)
		dial := d.Dial
		d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp6" {
				return nil, fmt.Errorf("dialed %s", network)
			}
			c, err := dial(ctx, "tcp4", addr)
			if err != nil {
				return nil, err
			}
			return remoteConn{c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(remote), 443))}, nil
		}
		o := d.Observe(t.Context(), ipwatch.V6)
		e, ok := errors.AsType[*ipwatch.EchoError](o.Answers[0].Err)
		if !ok || e.Fault != fault {
			t.Errorf("by %s: %v, want fault %s", remote, o.Answers[0].Err, fault)
		}
	}
}

// TestPortals: each shape of a portal is captive, and names whom it can.
func TestPortals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		why     string
	}{
		{"status 511", answers(511, "<a href=http://login.example>"), "the network asks to sign in (status 511)"},
		{"page", says("<html>sign in</html>"), "a web page came in place of an address"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://login.example/?next="+url.QueryEscape(r.Host), http.StatusFound)
		}, "login.example answers in place of the sources"},
		{"redirect within", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusSeeOther) }, "127.0.0.1"},
	} {
		s := l.serve(c.handler)
		aws, cf := l.source(s, "aws"), l.source(s, "cloudflare")
		cf.URL += "2"
		v := verdict(t, l.detector(labPolicy(), aws, cf))
		if v.State != ipwatch.Captive || !strings.Contains(v.Why, c.why) || !strings.Contains(v.Why, "sign in to this network") {
			t.Errorf("%s: %s (%s)", c.name, v.State, v.Why)
		}
	}
}

func TestGlance(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.detector(labPolicy(), l.echo("cloudflare", "203.0.113.8"), l.echo("aws", good), l.echo("aws", "203.0.113.9"))
	if s, err := d.Glance(t.Context(), ipwatch.V4); err != nil || s.Addr.String() != good || s.By != "https aws" || s.Took <= 0 {
		t.Errorf("%+v, %v; want the first source of aws", s, err)
	}
	free := labPolicy()
	free.Require = ""
	d = l.detector(free, l.echo("cloudflare", "203.0.113.8"), l.echo("aws", good))
	if s, err := d.Glance(t.Context(), ipwatch.V4); err != nil || s.Addr.String() != "203.0.113.8" {
		t.Errorf("%+v, %v; want the first source of all", s, err)
	}
	d = l.detector(labPolicy(), l.echo("aws", "192.168.1.1"), l.echo("mine", good))
	s, err := d.Glance(t.Context(), ipwatch.V4)
	if e, ok := errors.AsType[*ipwatch.EchoError](err); !ok || e.Fault != ipwatch.FaultRange || s.Addr.IsValid() {
		t.Errorf("%+v, %v; want a fault", s, err)
	}
	d.LocalAddr = routes(map[string]string{"127.0.0.1": ""})
	if _, err := d.Glance(t.Context(), ipwatch.V4); !errors.Is(err, ipwatch.ErrNoRoute) {
		t.Errorf("without a route: %v", err)
	}
	if _, err := d.Glance(t.Context(), ipwatch.V6); err == nil {
		t.Error("glanced at a family without sources")
	}
	d = detectorFor(t, ipwatch.DefaultPolicy(), map[ipwatch.Family]ipwatch.Setting{ipwatch.V4: {Mode: ipwatch.ModeOff}})
	if _, err := d.Glance(t.Context(), ipwatch.V4); err == nil || !strings.Contains(err.Error(), "off") {
		t.Errorf("turned off: %v", err)
	}
	d = newFakes(t, ipwatch.DefaultPolicy(), []string{"mine", "aws"}, script{"mine": {0, addr6}}).Detector
	d.Sources[1].Family = ipwatch.V4
	if _, err := d.Glance(t.Context(), ipwatch.V6); err == nil || !strings.HasSuffix(err.Error(), "required operator can be asked over IPv6") {
		t.Errorf("no source of the required one: %v", err)
	}
}
