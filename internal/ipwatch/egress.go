package ipwatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// LookupTimeout is the time for the name of a stand-in. It only costs a warning when it is over.
const LookupTimeout = 2 * time.Second

// Lookup resolves the host that a target without nodes is checked against: a name, an address, or a URL or host:port
// with one. Only public addresses are returned, sorted: a private one (a VPC endpoint) says nothing about the way to a
// public node. It sends nothing but DNS; a failure is an empty answer, since the check is unproven anyway.
func (d *Detector) Lookup(ctx context.Context, host string) []netip.Addr {
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Hostname()
	} else if _, err := netip.ParseAddr(host); err != nil { // the end of an IPv6 address would be taken for a port
		u, err := url.Parse("//" + host)
		if err != nil {
			return nil
		}
		host = u.Hostname()
	}
	found := []netip.Addr{}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		found = append(found, a)
	} else if host != "" {
		ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
		defer cancel()
		found, err = d.lookupHost(ctx, host)
		if err != nil {
			return nil
		}
	}
	var as []netip.Addr
	for _, a := range found {
		if a = a.Unmap().WithZone(""); Public(a, d.Policy.Accept) == nil && !slices.Contains(as, a) {
			as = append(as, a)
		}
	}
	slices.SortFunc(as, netip.Addr.Compare)
	return as
}

// egress compares the local address towards each node with the one that the agreeing sources were asked from.
// That an answer came from local address L and said A shows that what leaves by L is seen as A.
func (d *Detector) egress(v *Verdict, as []Answer, nodes, standIns []netip.Addr) {
	if !d.Policy.EgressCheck {
		return
	}
	var proven netip.Addr // decide has seen that there is one at most
	for _, a := range as {
		if a.Err != nil || a.Addr != v.Addr || !a.Local.IsValid() {
			continue
		}
		proven = a.Local
		if to := a.Remote.Addr(); v.Family.Has(to) {
			if local, err := d.localAddr(v.Family, to); err != nil || local != proven {
				v.refuse(Unsure, fmt.Sprintf("%s saw %s from %s, but this computer does not send from there any more, its network has just changed: %s until it is asked again.",
					operatorName(operatorKey(a.Source.Operator)), a.Addr, a.Local, nothing))
				return
			}
		}
	}
	if d.translated(v, proven) {
		return
	}
	if d.towards(v, proven, nodes, "the node") {
		return
	}
	unproven := fmt.Sprintf("No node with an %s address is known yet, so it is unproven that traffic to the cluster leaves as %s", v.Family.label(), v.Addr)
	standIns = slices.DeleteFunc(slices.Clone(standIns), func(a netip.Addr) bool { return Public(a.Unmap(), d.Policy.Accept) != nil })
	switch had := d.towards(v, proven, standIns, "AWS's endpoint"); {
	case v.State != Confirmed:
	case had:
		v.Warnings = append(v.Warnings, unproven+"; that to AWS's own endpoint in the region takes the same way.")
	default:
		v.Warnings = append(v.Warnings, unproven+".")
	}
}

// translated refuses an IPv6 address that is not this computer's own: IPv6 needs no NAT, so whoever answers with
// another address than the one that was asked from is a translator (NAT66, or NPTv6 of RFC 6296) or a proxy, and it
// cannot be told whether others leave by that address, too.
func (d *Detector) translated(v *Verdict, local netip.Addr) bool {
	if v.Family != V6 || !local.IsValid() || local == v.Addr {
		return false
	}
	seen := v.Addr
	v.Remedy = fixedLine(V6, seen)
	v.refuse(Unsure, fmt.Sprintf(`The sources see %s, but were asked from %s: this network translates IPv6 addresses, and strangers may leave by the same one: %s. If it is yours alone, write %s under [address]; ipv6 = "off" leaves IPv6 alone.`,
		seen, local, nothing, v.Remedy))
	return true
}

// towards checks the egress towards addresses of the verdict's family, and reports whether there were any.
func (d *Detector) towards(v *Verdict, proven netip.Addr, to []netip.Addr, what string) bool {
	had := false
	for _, n := range to {
		n = n.Unmap().WithZone("")
		if !v.Family.Has(n) {
			continue
		}
		had = true
		local, err := d.localAddr(v.Family, n)
		if state, why, remedy := d.judge(v.Addr, proven, n, local, err, what); state != Confirmed {
			v.refuse(state, why)
			v.Remedy = remedy
			return had
		}
	}
	return had
}

// judge is the egress check for one node.
func (d *Detector) judge(seen, proven, node, local netip.Addr, err error, what string) (s State, why, remedy string) {
	const off = "egress-check = false under [address] turns this check off"
	private := ""
	if Public(node, d.Policy.Accept) != nil {
		remedy = `address = "local"`
		private = fmt.Sprintf(" The node's address is private: if a VPN leads to it, write %s in the target.", remedy)
	}
	switch {
	case errors.Is(err, ErrNoRoute):
		return SplitRoute, fmt.Sprintf("The sources see %s, but this computer has no route to %s %s (a network that is just coming up, or a VPN that lets nothing else through): %s.%s", seen, what, node, nothing, private), remedy
	case err != nil:
		return Unsure, fmt.Sprintf("The sources see %s, but it cannot be found out how this computer reaches %s %s (%s): %s; %s.",
			seen, what, node, clean(err.Error(), 120), nothing, off), ""
	case !proven.IsValid():
		return Unsure, fmt.Sprintf("The sources see %s, but it is not known which local address they were asked from: %s; %s.", seen, nothing, off), ""
	case local == proven:
		return Confirmed, "", ""
	}
	return SplitRoute, fmt.Sprintf("The sources see %s for traffic from %s, but towards %s %s this computer sends from %s (a VPN, a split tunnel or a second uplink): %s; %s.%s",
		seen, proven, what, node, local, nothing, off, private), remedy
}

func (d *Detector) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.LookupHost != nil {
		return d.LookupHost(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
