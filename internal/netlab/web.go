//go:build linux

package netlab

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ServeHTTPS serves a handler with TLS on an address of the host until the lab is closed.
func (h *Host) ServeHTTPS(addr string, cert tls.Certificate, handler http.Handler) error {
	return h.serve(addr, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, handler)
}

// ServeHTTP serves a handler in the clear on an address of the host until the lab is closed.
func (h *Host) ServeHTTP(addr string, handler http.Handler) error {
	return h.serve(addr, nil, handler)
}

func (h *Host) serve(addr string, secure *tls.Config, handler http.Handler) error {
	ln, err := h.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: handler, TLSConfig: secure, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0)} // handshakes that fail are the point of some tests
	h.lab.OnClose(s.Close)
	go func() {
		if secure != nil {
			_ = s.ServeTLS(ln, "", "") // ends when it is closed
		} else {
			_ = s.Serve(ln)
		}
	}()
	return nil
}

// Echo answers with an address, over HTTPS.
type Echo struct {
	mu    sync.Mutex
	say   func(from netip.Addr) string
	asked []Request
}

// Request is one that reached an echo.
type Request struct {
	At   time.Time
	From netip.Addr // the zero Addr where it is not known
}

// What an echo says. Other texts are answered as they are: [Fixed].
var (
	// Honest is the address that the connection comes from.
	Honest = func(from netip.Addr) string { return from.String() }
	// Down closes the connection without an answer.
	Down = func(netip.Addr) string { return "" }
	// Page is a web page, with an address in it.
	Page = func(netip.Addr) string { return "<html><body>Welcome! You are 198.51.100.99.</body></html>" }
)

// Fixed is a text, whoever asks.
func Fixed(text string) func(netip.Addr) string {
	return func(netip.Addr) string { return text }
}

// Slow says the same later.
func Slow(say func(netip.Addr) string, by time.Duration) func(netip.Addr) string {
	return func(from netip.Addr) string {
		time.Sleep(by)
		return say(from)
	}
}

// Say changes what the echo says.
func (e *Echo) Say(say func(from netip.Addr) string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.say = say
}

// Asked returns the requests so far.
func (e *Echo) Asked() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

// ServeHTTP implements [http.Handler].
func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	from := peer.Addr().Unmap()
	e.mu.Lock()
	e.asked = append(e.asked, Request{time.Now(), from})
	say := e.say
	e.mu.Unlock()
	text := say(from)
	if text == "" {
		panic(http.ErrAbortHandler)
	}
	if text[0] == '<' {
		w.Header().Set("Content-Type", "text/html")
	}
	fmt.Fprintln(w, text)
}

// Portal is what a network that wants a sign-in answers to everything, with whatever certificate it has.
func Portal(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://portal.lab/login", http.StatusFound)
}

// Proxy is an HTTP proxy that notes what it is asked for, and really connects.
type Proxy struct {
	host  *Host
	names map[string]netip.Addr

	mu   sync.Mutex
	uses []string
}

// Proxy serves a proxy on an address of the host. It knows the names given, and no others.
func (h *Host) Proxy(addr string, names map[string]netip.Addr) (*Proxy, error) {
	p := &Proxy{host: h, names: names}
	return p, h.ServeHTTP(addr, p)
}

// Uses returns the hosts that the proxy was asked for, with ports where they were given.
func (p *Proxy) Uses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.uses)
}

// ServeHTTP implements [http.Handler]. Requests other than CONNECT are noted and refused.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.uses = append(p.uses, r.Host)
	p.mu.Unlock()
	name, port, err := net.SplitHostPort(r.Host)
	to, known := p.names[name]
	if r.Method != http.MethodConnect || err != nil || !known {
		http.Error(w, "only CONNECT to known names", http.StatusForbidden)
		return
	}
	far, err := p.host.Dial(r.Context(), "tcp", net.JoinHostPort(to.String(), port))
	if err != nil {
		http.Error(w, "cannot connect", http.StatusBadGateway)
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			near.Close()
			far.Close()
		}()
	}
}
