package ipwatch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
)

// Config is what a [Detector] is made of. The zero Config is not usable: Policy needs at least [DefaultPolicy].
type Config struct {
	Sources  []Source // nil means DefaultSources
	Policy   Policy
	Settings map[Family]Setting // a family that is missing is automatic
	// Bind gives the local address that questions of a family are sent from; nil or the zero Addr leave the
	// choice to the system.
	Bind func(Family) netip.Addr
}

// Detector finds out this computer's public address. Its methods may be called at the same time; its fields must
// not be changed then. The function fields are seams for tests and for other ways to look: nil means the
// system's own.
type Detector struct {
	Sources  []Source
	Policy   Policy
	Settings map[Family]Setting
	Bind     func(Family) netip.Addr

	// Ask puts one question in place of HTTPS. It must heed ctx. Source, Took and the checks of the address
	// are filled in afterwards.
	Ask func(ctx context.Context, s Source, f Family) Answer
	// Dial makes the direct TCP connection of a question; network is "tcp4" or "tcp6".
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// LocalAddr returns the address that the system would send from to an address, without sending anything.
	// Its error wraps [ErrNoRoute] when there positively is no route.
	LocalAddr func(f Family, to netip.Addr) (netip.Addr, error)
	// InterfaceAddrs returns the addresses of all interfaces, of both families, each with the length of its network's
	// prefix.
	InterfaceAddrs func() ([]netip.Prefix, error)
	// Route returns the routing table entry that an address matches. Its error wraps [ErrNoRoute] when there is none,
	// and [errors.ErrUnsupported] where the table cannot be read.
	Route func(to netip.Addr) (Hop, error)
	// Tunnel tells whether the interface with this local address is a tunnel; it is asked where Route cannot tell.
	Tunnel func(local netip.Addr) bool
	// LookupHost resolves a name, of both families.
	LookupHost func(ctx context.Context, host string) ([]netip.Addr, error)

	roots map[string]*x509.CertPool // by CAFile
}

// NewDetector checks a configuration and reads its CA files. Its errors name the key and the value.
func NewDetector(c Config) (*Detector, error) {
	if c.Sources == nil {
		c.Sources = DefaultSources()
	}
	if err := c.Policy.check(); err != nil {
		return nil, err
	}
	c.Policy.Require = operatorKey(c.Policy.Require)
	d := &Detector{Policy: c.Policy, Settings: c.Settings, Bind: c.Bind, roots: make(map[string]*x509.CertPool)}
	for f, set := range c.Settings {
		if f != V4 && f != V6 {
			return nil, fmt.Errorf("%s is no address family", f)
		}
		if err := set.check(f, c.Policy.Accept); err != nil {
			return nil, err
		}
	}
	for _, s := range c.Sources {
		s, err := s.normal()
		if err != nil {
			return nil, err
		}
		for _, o := range d.Sources {
			if o.URL == s.URL && o.Operator != s.Operator {
				return nil, fmt.Errorf("address source %q is given to two operators, %s and %s: it would count twice",
					clean(s.URL, 80), o.Operator, s.Operator)
			}
		}
		if d.roots[s.CAFile] == nil && s.CAFile != "" {
			if d.roots[s.CAFile], err = readRoots(s.CAFile); err != nil {
				return nil, fmt.Errorf("address source %s: %w", s.Name, err)
			}
		}
		d.Sources = append(d.Sources, s)
	}
	if err := d.enough(d.Sources); err != nil && d.asks() {
		return nil, err
	}
	return d, nil
}

// asks tells whether any family asks sources.
func (d *Detector) asks() bool {
	return d.Setting(V4).Mode == ModeAuto || d.Setting(V6).Mode == ModeAuto
}

// Setting returns the setting of a family, with the zero value filled in as automatic.
func (d *Detector) Setting(f Family) Setting {
	set := d.Settings[f]
	if set.Mode == "" {
		set.Mode = ModeAuto
	}
	return set
}

// sourcesOf returns the sources that can be asked over a family, in their configured order.
func (d *Detector) sourcesOf(f Family) []Source {
	var ss []Source
	for _, s := range d.Sources {
		if s.serves(f) {
			ss = append(ss, s)
		}
	}
	return ss
}

// enough tells why these sources could never confirm an address.
func (d *Detector) enough(sources []Source) error {
	ops := operators(sources)
	if need := d.Policy.agree(); len(ops) < need {
		return fmt.Errorf("%d operators must agree on an address (agree in [address]), but the sources have only %d", need, len(ops))
	}
	if r := operatorKey(d.Policy.Require); r != "" && !slices.Contains(ops, r) {
		return fmt.Errorf("%s must be among the operators that agree (require in [address]), but no source is run by it", operatorName(r))
	}
	return nil
}

// maxCAFile is far above any bundle of certificates, in bytes.
const maxCAFile = 4 << 20

// readRoots reads the authorities of a source's own CA file.
func readRoots(name string) (*x509.CertPool, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, int64(maxCAFile)+1))
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	if len(pem) > maxCAFile {
		return nil, fmt.Errorf("ca-file %s: longer than %d bytes", clean(name, 80), maxCAFile)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca-file %s: no PEM certificate in it", clean(name, 80))
	}
	return pool, nil
}

// bound is the address that sockets of a family are bound to, or the zero Addr.
func (d *Detector) bound(f Family) netip.Addr {
	if d.Bind == nil {
		return netip.Addr{}
	}
	return d.Bind(f)
}

// localAddr is the address that the system would send from towards an address. Connecting a UDP socket looks
// the route up and sends nothing. The port is SSH's; only rare policy routes look at it.
func (d *Detector) localAddr(f Family, to netip.Addr) (netip.Addr, error) {
	if d.LocalAddr != nil {
		return d.LocalAddr(f, to)
	}
	var from *net.UDPAddr
	if b := d.bound(f); b.IsValid() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(b, 0))
	}
	c, err := net.DialUDP(f.udp(), from, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 22)))
	switch {
	case noRouteErrno(err):
		return netip.Addr{}, fmt.Errorf("%w to %s", ErrNoRoute, to)
	case err != nil:
		return netip.Addr{}, err
	}
	defer c.Close()
	return localOf(c.LocalAddr())
}

// localOf is the local address of a connected socket.
func localOf(a net.Addr) (netip.Addr, error) {
	local := addrPort(a).Addr()
	if !local.IsValid() || local.IsUnspecified() {
		return netip.Addr{}, errors.New("the system names no local address")
	}
	return local, nil
}

// interfaceAddrs are the addresses of all interfaces, also of those that are down, with their prefix lengths.
func (d *Detector) interfaceAddrs() ([]netip.Prefix, error) {
	if d.InterfaceAddrs != nil {
		return d.InterfaceAddrs()
	}
	list, err := net.InterfaceAddrs()
	return prefixesOf(list), err
}

// prefixesOf are the addresses of interfaces with their prefix lengths. What is none is left out.
func prefixesOf(list []net.Addr) []netip.Prefix {
	var as []netip.Prefix
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			ones, bits := n.Mask.Size()
			if ip := ipOf(n); ip.IsValid() && ip.BitLen() == bits {
				as = append(as, netip.PrefixFrom(ip, ones))
			}
		}
	}
	return as
}

// ipOf is the address of an interface, whatever its mask; the zero Addr where it is none.
func ipOf(a net.Addr) netip.Addr {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(n.IP)
	return ip.Unmap()
}
