package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
)

// Policy is what it takes to believe an address.
type Policy struct {
	Agree       int            // how many operators must agree; less than 1 means 2
	Require     string         // the operator that must be among them; "" is none
	EgressCheck bool           // compare the local address towards the node with the one towards the sources
	Accept      []netip.Prefix // ranges that count as public although they are not
	Never       []netip.Prefix // never authorize an address in these
	Only        []netip.Prefix // when not empty: authorize only addresses in these
	// Prefix6 is 64 when the whole /64 around an IPv6 address is authorized; any other value means the address alone.
	Prefix6 int
}

// DefaultPolicy is two operators, AWS among them, and the egress check.
func DefaultPolicy() Policy {
	return Policy{Agree: 2, Require: "aws", EgressCheck: true}
}

// Warnings are sentences about a policy that believes more easily than the default one.
func (p Policy) Warnings() []string {
	var w []string
	if p.agree() == 1 {
		w = append(w, "agree = 1 in [address]: a single source is believed without a second one.")
	}
	if p.Require == "" {
		w = append(w, `require = "" in [address]: an address is believed although AWS may see another one.`)
	}
	if p.Prefix6 == 64 {
		w = append(w, "ipv6-prefix = 64 in [address]: everybody in your IPv6 network is let in.")
	}
	if !p.EgressCheck {
		w = append(w, "egress-check = false in [address]: a split tunnel towards the cluster is not noticed.")
	}
	return w
}

// agree is the number of operators that must agree. A value that makes no sense is never weaker than the default.
func (p Policy) agree() int {
	if p.Agree < 1 {
		return DefaultPolicy().Agree
	}
	return p.Agree
}

// check tells what is wrong with the policy.
func (p Policy) check() error {
	if p.Agree < 1 {
		return fmt.Errorf("agree = %d: at least one operator must agree (the default is 2)", p.Agree)
	}
	for _, list := range []struct {
		key    string
		ranges []netip.Prefix
	}{{"accept", p.Accept}, {"never", p.Never}, {"only", p.Only}} {
		for _, r := range list.ranges {
			if !r.IsValid() || r.Addr().Is4In6() {
				return fmt.Errorf("%s: %s is not a range of IPv4 or IPv6 addresses", list.key, r)
			}
		}
	}
	return nil
}

// forbids tells why the user's own filters forbid an address, or a part of what is authorized with it; nil means that
// they do not. A rule that stands for it already is not renewed, and goes when its lease ends: that is up to the
// caller, who knows whether there is one.
func (p Policy) forbids(a netip.Addr) error {
	all := p.authorizes(a)
	if r, ok := overlapping(all, p.Never); ok {
		what := "it lies"
		if !r.Contains(a) {
			what = fmt.Sprintf("a part of %s, which ipv6-prefix = 64 opens with it, lies", all)
		}
		return fmt.Errorf("%s in %s, which never in [address] forbids (a rule that stands for it is not renewed; emr-accessd revoke takes it away now)", what, r)
	}
	if len(p.Only) == 0 {
		return nil
	}
	for _, r := range p.Only {
		if r.Bits() <= all.Bits() && r.Contains(a) {
			return nil
		}
	}
	if within(a, p.Only) {
		return fmt.Errorf("%s, which ipv6-prefix = 64 opens with it, lies partly outside of the ranges that only in [address] allows", all)
	}
	return errors.New("it lies outside of the ranges that only in [address] allows")
}

// authorizes is the range that a rule for an address lets in: the host, or the opted-in /64.
func (p Policy) authorizes(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if V6.Has(a) && p.Prefix6 == 64 {
		bits = 64
	}
	return netip.PrefixFrom(a.WithZone(""), bits).Masked()
}
