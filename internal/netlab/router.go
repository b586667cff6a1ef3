//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// NAT is how a router translates addresses, which decides what happens to the flows of before when its outer address
// changes.
type NAT int

// The ways.
const (
	// Masquerade: the kernel drops the mappings of an address that goes.
	Masquerade NAT = iota
	// StaticAlive: old flows keep the old address, and it still works (two uplinks, a provider's NAT).
	StaticAlive
	// StaticDead: old flows keep the old address, whose answers do not come back any more.
	StaticDead
)

func (n NAT) String() string {
	return [...]string{"masquerade", "static, old address alive", "static, old address dead"}[n]
}

// Router is a host between a local network and the internet, which translates IPv4 addresses.
type Router struct {
	*Host
	Inner    netip.Prefix // its address in the local network
	Outer    netip.Addr   // its address now
	Line     *Line        // to the internet; nil where a packet takes no time
	gateway  netip.Addr   // the provider's router
	provider *Host
	mode     NAT
	dead     map[netip.Addr]bool // addresses that it had
}

// Router makes a router whose outer interface "wan" is connected to the internet host by a line on which a packet takes
// some time. The two ends share a /24, which no other router may use. Its inner interface is called "lan"; there is none
// before [Socket.Plug].
func (l *Lab) Router(name string, internet *Host, inner netip.Prefix, outer netip.Addr, oneWay time.Duration) (*Router, error) {
	h, err := l.Host(name)
	if err != nil {
		return nil, err
	}
	r := &Router{Host: h, Inner: inner, Outer: outer, provider: internet, dead: map[netip.Addr]bool{}}
	r.gateway = first(outer)
	if oneWay > 0 {
		r.Line, err = l.Delayed(h, "wan", internet, name, oneWay)
	} else {
		err = l.Cable(h, "wan", internet, name)
	}
	if err != nil {
		return nil, err
	}
	if err := internet.IP("addr", "replace", r.gateway.String()+"/24", "dev", name); err != nil {
		return nil, err
	}
	if err := h.Batch(fmt.Sprintf("addr add %s/24 dev wan", outer), "route add default via "+r.gateway.String()); err != nil {
		return nil, err
	}
	if err := h.Sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"); err != nil {
		return nil, err
	}
	if err := h.NFT("table ip nat {", "chain pre { type nat hook prerouting priority -100; }",
		"chain post { type nat hook postrouting priority 100; }", "}",
		"table inet filter {", "chain forward { type filter hook forward priority 0; }", "}"); err != nil {
		return nil, err
	}
	return r, r.UseNAT(Masquerade)
}

// Translate replaces how what leaves by "wan" is translated: statements of nft(8), such as "snat to 198.51.100.11",
// the first one that applies. Flows that exist keep their translation.
func (r *Router) Translate(statements ...string) error {
	script := []string{"flush chain ip nat post"}
	for _, s := range statements {
		script = append(script, fmt.Sprintf(`add rule ip nat post oifname "wan" %s`, s))
	}
	return r.NFT(script...)
}

// UseNAT sets how the router translates from now on. Flows that exist keep their translation.
func (r *Router) UseNAT(mode NAT) error {
	r.mode = mode
	if mode == Masquerade {
		return r.Translate("masquerade")
	}
	return r.Translate("snat to " + r.Outer.String())
}

// Readdress gives the router another outer address of the same /24, as a provider does. Nothing shows on the laptop.
func (r *Router) Readdress(to netip.Addr) error {
	old := r.Outer
	if old == to {
		return nil
	}
	// The subnet's other addresses would go with the first one.
	if err := r.Sysctl("net.ipv4.conf.wan.promote_secondaries=1"); err != nil {
		return err
	}
	if err := r.IP("addr", "replace", to.String()+"/24", "dev", "wan"); err != nil {
		return err
	}
	r.Outer = to
	if err := r.UseNAT(r.mode); err != nil {
		return err
	}
	if r.mode != StaticAlive {
		if err := r.IP("addr", "del", old.String()+"/24", "dev", "wan"); err != nil {
			return err
		}
		// The provider gives it to nobody yet. Without this, who has it in the ARP cache still sends to the router.
		if err := r.provider.IP("route", "replace", "blackhole", old.String()); err != nil {
			return err
		}
		r.dead[old] = true
	}
	if r.dead[to] {
		delete(r.dead, to)
		if err := r.provider.IP("route", "del", "blackhole", to.String()); err != nil {
			return err
		}
	}
	// What is masqueraded takes the route's preferred source.
	return r.IP("route", "replace", "default", "via", r.gateway.String(), "src", to.String())
}

// first is the first address of a /24: the provider's router has it.
func first(a netip.Addr) netip.Addr {
	four := a.As4()
	four[3] = 1
	return netip.AddrFrom4(four)
}

// RouteIPv6 gives the router IPv6 towards the internet, and its local network a /64, whose first address it has. Nothing
// is translated. Who announces the network is another matter.
func (r *Router) RouteIPv6(lan netip.Prefix) error {
	name := r.name()
	net := "2001:db8:" + strconv.FormatInt(int64(r.Outer.As4()[0]), 16) // one for each provider
	return errors.Join(
		r.Batch(fmt.Sprintf("addr add %s::2/64 dev wan nodad", net), fmt.Sprintf("route add default via %s::1 dev wan", net),
			fmt.Sprintf("addr add %s/64 dev lan nodad", lan.Addr())),
		r.provider.Batch(fmt.Sprintf("addr add %s::1/64 dev %s nodad", net, name), fmt.Sprintf("route add %s via %s::2 dev %s", lan.Masked(), net, name)),
	)
}

// name is the router's name in the lab.
func (r *Router) name() string { return strings.TrimPrefix(r.ns, r.lab.prefix) }

// Drop makes the router drop what it would forward, if an expression of nft(8) fits, such as "meta l4proto udp". No
// expression ends all dropping.
func (r *Router) Drop(expressions ...string) error {
	script := []string{"flush chain inet filter forward"}
	for _, e := range expressions {
		script = append(script, "add rule inet filter forward "+e+" drop")
	}
	return r.NFT(script...)
}

// Redirect makes the router answer itself what comes from the local network: each rule is "443 8443", the port that is
// asked for and the one that a server on the router listens on. No rule ends it.
func (r *Router) Redirect(rules ...string) error {
	script := []string{"flush chain ip nat pre"}
	for _, rule := range rules {
		from, to, _ := strings.Cut(rule, " ")
		script = append(script, fmt.Sprintf(`add rule ip nat pre iifname "lan" tcp dport %s redirect to :%s`, from, to))
	}
	return r.NFT(script...)
}

// Divert sends a TCP port by a second uplink, which the internet host sees come from another address.
func (r *Router) Divert(internet *Host, port int, outer netip.Addr) error {
	gateway := first(outer)
	far := r.name() + "2"
	if err := r.lab.Cable(r.Host, "wan2", internet, far); err != nil {
		return err
	}
	if err := internet.IP("addr", "add", gateway.String()+"/24", "dev", far); err != nil {
		return err
	}
	if err := r.Batch(fmt.Sprintf("addr add %s/24 dev wan2", outer), fmt.Sprintf("route add default via %s table 100", gateway),
		"rule add fwmark 1 table 100"); err != nil {
		return err
	}
	return r.NFT("table ip divert {", "chain pre { type filter hook prerouting priority -150;",
		fmt.Sprintf(`iifname "lan" tcp dport %d meta mark set 1`, port), "}", "}",
		`add rule ip nat post oifname "wan2" masquerade`)
}
