package ipwatch

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// SourceTimeout is the time for one question, from the name look-up to the last byte. An answer takes about three
// round trips and the name look-up, so three seconds cover even a satellite link.
const SourceTimeout = 3 * time.Second

// ask puts one question to one source. The result is validated again by [Decide], but a source that says nonsense
// must already be known as failed here: the next one is asked at once then.
func (d *Detector) ask(ctx context.Context, s Source, f Family) Answer {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, SourceTimeout)
	defer cancel()
	var a Answer
	if d.Ask != nil {
		a = d.Ask(ctx, s, f)
	} else {
		a = d.askHTTPS(ctx, s, f)
	}
	a.Source = s
	a.Took = time.Since(begin)
	return checked(a, f, d.Policy.Accept)
}

// checked makes an answer with an address that does not count into one with an error.
func checked(a Answer, f Family, accept []netip.Prefix) Answer {
	switch {
	case a.Err != nil:
	case operatorKey(a.Source.Operator) == "":
		a.Err = fault(FaultBody, "the source has no operator")
	case !a.Addr.IsValid():
		a.Err = fault(FaultBody, "the answer has no address")
	case !f.Has(a.Addr):
		a.Err = fault(FaultFamily, "the answer %s is not an %s address", a.Addr, f.label())
	default:
		if err := Public(a.Addr, accept); err != nil {
			a.Err = fault(FaultRange, "%v", err)
		}
	}
	if a.Err != nil {
		a.Addr = netip.Addr{}
	}
	return a
}

// path is where the connection of one question went. The dialer may still run when the question has ended.
type path struct {
	mu       sync.Mutex
	local    netip.Addr
	remote   netip.AddrPort
	nameless bool   // the name is being resolved
	spoke    bool   // the TLS handshake succeeded
	issuer   string // who certified the server, escaped
}

func (p *path) set(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local, p.remote = addrPort(c.LocalAddr()).Addr(), addrPort(c.RemoteAddr())
}

// into fills in an answer, and tells whether the handshake succeeded.
func (p *path) into(a *Answer) (spoke bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.Local, a.Remote, a.Issuer = p.local, p.remote, p.issuer
	return p.spoke
}

// unresolved tells whether the question got no further than to its server's name.
func (p *path) unresolved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nameless
}

func (p *path) resolving(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nameless = on
}

// trace notes how far a question gets: to an address, and to a good handshake.
func (p *path) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { p.resolving(true) },
		DNSDone:  func(httptrace.DNSDoneInfo) { p.resolving(false) },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.spoke = err == nil
			if err == nil && len(s.PeerCertificates) > 0 {
				p.issuer = issuer(s.PeerCertificates[0])
			}
		},
	})
}

// addrPort is the address of a socket without the zone and the IPv4-mapped form; zero where there is none.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// askHTTPS puts the question over a connection of its own: a kept-alive one stays on the NAT's old mapping and
// misses a changed address.
func (d *Detector) askHTTPS(ctx context.Context, s Source, f Family) (a Answer) {
	u, err := url.Parse(s.URL)
	if err != nil {
		a.Err = fault(FaultBody, "the source's URL cannot be parsed")
		return a
	}
	roots := d.roots[s.CAFile] // nil is the system's list
	if s.CAFile != "" && roots == nil {
		a.Err = fault(FaultCertificate, "its CA file was not read")
		return a
	}
	var went path
	tr := &http.Transport{
		Proxy:                  nil, // never: a proxy's address is not ours, and SSH does not go through it
		DialContext:            d.dialer(f, u.Hostname(), &went),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 is enough
		DisableKeepAlives:      true,
		DisableCompression:     true, // so that the limit is one of the bytes that came
		MaxResponseHeaderBytes: 16 << 10,
	}
	// A question that is given up while it connects or shakes hands would go on with that, without an end where nobody answers.
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	addr, err := fetch(went.trace(ctx), client, u, s.Format)
	spoke, unresolved := went.into(&a), went.unresolved()
	if s.CAFile != "" || knownOperator(u.Hostname()) == "" {
		a.Issuer = ""
	}
	if err != nil {
		e := classify(ctx, u.Hostname(), err, spoke)
		if e.Fault == FaultTimeout && unresolved {
			e = fault(FaultDNS, "the name %s was not resolved in time", u.Hostname())
		}
		a.Err = e
		return a
	}
	a.Addr = addr
	return a
}

// fetch sends the request and reads the address out of the response.
func fetch(ctx context.Context, client *http.Client, u *url.URL, format Format) (netip.Addr, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return netip.Addr{}, err
	}
	req.Header.Set("User-Agent", "emr-accessd")
	req.Header.Set("Accept", "text/plain")
	req.Header.Set("Cache-Control", "no-cache")
	resp, err := client.Do(req)
	if err != nil {
		return netip.Addr{}, err
	}
	defer resp.Body.Close()
	if err := badStatus(resp, u); err != nil {
		return netip.Addr{}, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return netip.Addr{}, err
	}
	addr, err := parse(body, u.Hostname(), format)
	if err != nil && isHTML(resp, body) {
		return netip.Addr{}, fault(FaultPortal, "a web page came in place of an address")
	}
	return addr, err
}

func parse(body []byte, host string, format Format) (netip.Addr, error) {
	switch {
	case len(body) > MaxBody:
		return netip.Addr{}, fault(FaultBody, "the answer is longer than %d bytes", MaxBody)
	case format == Trace:
		return parseTrace(body, host)
	}
	return parseText(body)
}

// badStatus refuses everything but 200. 511 is what RFC 6585 gives to captive portals.
func badStatus(resp *http.Response, asked *url.URL) error {
	switch {
	case resp.StatusCode == http.StatusOK:
		return nil
	case resp.StatusCode == http.StatusNetworkAuthenticationRequired:
		return fault(FaultPortal, "the network asks to sign in (status 511)")
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e := fault(FaultRedirect, "redirected (status %d), which is not followed", resp.StatusCode)
		if to, err := asked.Parse(resp.Header.Get("Location")); err == nil && to.Host != "" {
			e.Portal = clean(to.Host, 80)
			e.text = clean(fmt.Sprintf("redirected to %s, which is not followed", to.Host), 200)
		}
		return e
	}
	return fault(FaultStatus, "status %d", resp.StatusCode)
}

func isHTML(resp *http.Response, body []byte) bool {
	return strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "text/html") ||
		strings.HasPrefix(strings.TrimLeft(string(body), " \t\r\n\ufeff"), "<")
}

// dialer makes direct connections of one family, from the bound address where there is one, to a host.
func (d *Detector) dialer(f Family, host string, went *path) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, to string) (net.Conn, error) {
		dial := d.Dial
		if dial == nil {
			nd := &net.Dialer{KeepAlive: -1}
			if from := d.bound(f); from.IsValid() {
				nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
			}
			dial = nd.DialContext
		}
		c, err := dial(ctx, f.tcp(), to)
		if err != nil {
			return nil, err
		}
		went.set(c)
		remote := addrPort(c.RemoteAddr())
		if remote.IsValid() && !f.Has(remote.Addr()) {
			c.Close()
			return nil, fault(FaultFamily, "the connection is not one of %s", f.label())
		}
		if err := d.standIn(host, remote.Addr()); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
}

// nat64 is the prefix under which a network shows IPv4 hosts to IPv6 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// standIn refuses a well-known public echo whose name leads to an address that is not public: the network's name
// server answers with its own portal, or a proxy program on this computer with an invention of its own.
func (d *Detector) standIn(host string, remote netip.Addr) error {
	if knownOperator(host) == "" || !remote.IsValid() || nat64.Contains(remote) {
		return nil
	}
	if err := Public(remote, d.Policy.Accept); err != nil {
		e := fault(FaultPortal, "the name %s leads to %s here, which is not a public address: something stands in for it", host, remote)
		e.Portal = remote.String()
		return e
	}
	return nil
}
