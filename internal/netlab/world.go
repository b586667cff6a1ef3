//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The addresses of a world's servers, on the internet host. In IPv6 each has the same number, in 2001:db8:113::/64.
var (
	APIAddr   = netip.MustParseAddr("203.0.113.4")
	EchoAddrs = map[string]netip.Addr{ // by operator
		"aws": netip.MustParseAddr("203.0.113.11"), "example": netip.MustParseAddr("203.0.113.12"), "third": netip.MustParseAddr("203.0.113.13"),
	}
	NodeAddr  = netip.MustParseAddr("203.0.113.22")
	STUNAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.31"), netip.MustParseAddr("203.0.113.32")}
	DNSAddr   = netip.MustParseAddr("203.0.113.53")
	ProxyAddr = netip.MustParseAddr("203.0.113.80")
)

// Operators are those of the echoes; the first one is required by default.
var Operators = []string{"aws", "example", "third"}

// Home is the laptop's place in the local network of a world's first router.
var (
	HomeInner = netip.MustParsePrefix("192.168.50.1/24")
	HomeOuter = netip.MustParseAddr("198.51.100.10")
	Laptop    = netip.MustParseAddr("192.168.50.2")
)

// Six is the IPv6 address of a server that has this IPv4 address.
func Six(v4 netip.Addr) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:113::%d", v4.As4()[3]))
}

// Options say how a world is made. The zero value is usable.
type Options struct {
	// OneWay is how long a packet takes from a router to the internet host; 0 is no time.
	OneWay time.Duration
	// NodeV6 gives the cluster's node an IPv6 address too.
	NodeV6 bool
	// NameServer makes the laptop learn the world's names from [DNSAddr] alone, not from /etc/hosts.
	NameServer bool
	// API stands before the simulated AWS, and may look at requests; nil is nothing.
	API func(http.Handler) http.Handler
}

// World is a laptop behind a router, an internet with honest servers, and a cluster.
type World struct {
	*Lab
	Dir      string // of its files
	Laptop   *Host
	WiFi     *Socket // the laptop's interface
	Internet *Host
	Home     *Router
	Echoes   map[string]*Echo // by operator
	STUN     []*STUN          // of two operators
	DNS      *DNS             // ns1.google.com and resolver1.opendns.com
	Proxy    *Proxy
	Cloud    *Cloud

	authority *Authority
	oneWay    time.Duration
}

// NewWorld makes a world. dir must exist and be empty.
func NewWorld(dir string, o Options) (_ *World, err error) {
	lab, err := New()
	if err != nil {
		return nil, err
	}
	w := &World{Lab: lab, Dir: dir, Echoes: map[string]*Echo{}, oneWay: o.OneWay}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the world: %w", err), lab.Close())
		}
	}()
	if w.Internet, err = lab.Host("internet"); err != nil {
		return nil, err
	}
	if w.Laptop, err = lab.Host("laptop"); err != nil {
		return nil, err
	}
	if err := w.startServers(o); err != nil {
		return nil, err
	}
	if o.NameServer {
		if err := w.Laptop.ByDNS(DNSAddr); err != nil {
			return nil, err
		}
	}
	if w.Home, err = w.Cafe("home", HomeInner, HomeOuter); err != nil {
		return nil, err
	}
	w.WiFi = &Socket{Host: w.Laptop, Name: "wlan0"}
	if err := w.WiFi.Plug(w.Home); err != nil {
		return nil, err
	}
	return w, w.WiFi.Configure(Laptop)
}

// startServers gives the internet its addresses, names and servers.
func (w *World) startServers(o Options) (err error) {
	var lines []string
	for _, a := range []netip.Addr{APIAddr, EchoAddrs["aws"], EchoAddrs["example"], EchoAddrs["third"], NodeAddr, STUNAddrs[0], STUNAddrs[1], DNSAddr, ProxyAddr} {
		lines = append(lines, fmt.Sprintf("addr add %s/32 dev lo", a), fmt.Sprintf("addr add %s/128 dev lo nodad", Six(a)))
	}
	if err := w.Internet.Batch(lines...); err != nil {
		return err
	}
	if w.authority, err = NewAuthority(); err != nil {
		return err
	}
	if err := w.authority.Write(w.CAFile()); err != nil {
		return err
	}
	names := map[string]netip.Addr{"api.lab": APIAddr}
	for _, op := range Operators {
		name := op + ".lab"
		names[name] = EchoAddrs[op]
		e := &Echo{say: Honest}
		w.Echoes[op] = e
		cert, err := w.authority.Issue([]string{name}, EchoAddrs[op], Six(EchoAddrs[op]))
		if err != nil {
			return err
		}
		if err := errors.Join(w.Name(name, EchoAddrs[op], Six(EchoAddrs[op])),
			w.Internet.ServeHTTPS(addrPort(EchoAddrs[op], 443), cert, e), w.Internet.ServeHTTPS(addrPort(Six(EchoAddrs[op]), 443), cert, e)); err != nil {
			return err
		}
	}
	for i, a := range STUNAddrs {
		s, err := w.Internet.STUN(addrPort(a, 3478), addrPort(Six(a), 3478))
		if err != nil {
			return err
		}
		w.STUN = append(w.STUN, s)
		names[fmt.Sprintf("stun%d.lab", i+1)] = a
		if err := w.Name(fmt.Sprintf("stun%d.lab", i+1), a, Six(a)); err != nil {
			return err
		}
	}
	if w.DNS, err = w.Internet.DNS(addrPort(DNSAddr, 53)); err != nil {
		return err
	}
	for name, a := range names {
		w.DNS.Set(name, a, Six(a))
	}
	w.DNS.Set("ns1.google.com", DNSAddr)
	w.DNS.Set("resolver1.opendns.com", DNSAddr)
	if err := errors.Join(w.Name("ns1.google.com", DNSAddr), w.Name("resolver1.opendns.com", DNSAddr), w.Name("api.lab", APIAddr, Six(APIAddr)), w.Name("proxy.lab", ProxyAddr)); err != nil {
		return err
	}
	if w.Proxy, err = w.Internet.Proxy(addrPort(ProxyAddr, 3128), names); err != nil {
		return err
	}
	return w.startCloud(o)
}

func (w *World) startCloud(o Options) error {
	six, nodes := netip.Addr{}, []netip.Addr{NodeAddr}
	if o.NodeV6 {
		six = Six(NodeAddr)
		nodes = append(nodes, six)
	}
	w.Cloud = newCloud(NodeAddr, six)
	cert, err := w.authority.Issue([]string{"api.lab"})
	if err != nil {
		return err
	}
	var api http.Handler = w.Cloud.Sim
	if o.API != nil {
		api = o.API(api)
	}
	return errors.Join(w.Internet.ServeHTTPS(addrPort(APIAddr, 443), cert, api), w.Internet.ServeHTTPS(addrPort(Six(APIAddr), 443), cert, api),
		w.Cloud.guard(w.Internet, nodes...))
}

// CAFile is the file with the authority of the world's servers.
func (w *World) CAFile() string { return filepath.Join(w.Dir, "ca.pem") }

// Cafe makes another router, with an inner and an outer address of its own. Several may have the same inner one, but not
// outer ones of the same /24.
func (w *World) Cafe(name string, inner netip.Prefix, outer netip.Addr) (*Router, error) {
	return w.Router(name, w.Internet, inner, outer, w.oneWay)
}

// Hijack makes a router answer for web servers itself, as a network does that wants a sign-in: TLS with a certificate
// for another name of an authority that nobody knows.
func (w *World) Hijack(r *Router) error {
	unknown, err := NewAuthority()
	if err != nil {
		return err
	}
	cert, err := unknown.Issue([]string{"portal.lab"})
	if err != nil {
		return err
	}
	return errors.Join(r.ServeHTTPS(":8443", cert, http.HandlerFunc(Portal)), r.ServeHTTP(":8080", http.HandlerFunc(Portal)), r.Redirect("443 8443", "80 8080"))
}

// Environ is the environment of a program in the world, without the parent's.
func (w *World) Environ() []string {
	return []string{"HOME=" + w.Dir, "PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=https://api.lab", "AWS_CA_BUNDLE=" + w.CAFile(),
		"AWS_ACCESS_KEY_ID=AKIALAB", "AWS_SECRET_ACCESS_KEY=lab", "AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true",
		"EMR_ACCESSD_CONFIG=" + w.configFile(), "EMR_ACCESSD_STATE=" + filepath.Join(w.Dir, "state")}
}

func (w *World) configFile() string { return filepath.Join(w.Dir, "config.toml") }

func addrPort(a netip.Addr, port uint16) string { return netip.AddrPortFrom(a, port).String() }
