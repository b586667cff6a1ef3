package ipwatch_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// said is an answer of an operator; what is an address or "!" and a fault.
func said(operator, what string) ipwatch.Answer {
	a := ipwatch.Answer{Source: ipwatch.Source{Name: operator, Operator: operator}}
	if fault, ok := strings.CutPrefix(what, "!"); ok {
		a.Err = &ipwatch.EchoError{Fault: ipwatch.Fault(fault)}
		return a
	}
	a.Addr = netip.MustParseAddr(what)
	return a
}

// two real-looking public addresses, and one of IPv6
const (
	addrX = "52.94.236.248"
	addrY = "104.16.132.229"
	addr6 = "2600:1f18::7"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	def := ipwatch.DefaultPolicy()
	with := func(change func(*ipwatch.Policy)) ipwatch.Policy {
		p := def
		change(&p)
		return p
	}
	prefixes := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	for _, c := range []struct {
		name    string
		policy  ipwatch.Policy
		family  ipwatch.Family
		answers []ipwatch.Answer
		state   ipwatch.State
		addr    string
		why     string
	}{
		{"two agree", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrX)},
			ipwatch.Confirmed, addrX, "AWS and Cloudflare agree on " + addrX + "."},
		{"three agree", def, 4, []ipwatch.Answer{said("ipify", addrX), said("cloudflare", addrX), said("aws", addrX)},
			ipwatch.Confirmed, addrX, "AWS, Cloudflare and ipify agree on " + addrX + "."},
		{"IPv6", def, 6, []ipwatch.Answer{said("aws", addr6), said("cloudflare", addr6)},
			ipwatch.Confirmed, addr6, "AWS and Cloudflare agree on " + addr6 + "."},
		{"one lies", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrY), said("ipify", addrX)},
			ipwatch.Confirmed, addrX, "AWS and ipify agree on " + addrX + "; Cloudflare says " + addrY + " and is outvoted."},
		{"two differ", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrY)},
			ipwatch.Conflict, "", "AWS says " + addrX + ", but Cloudflare says " + addrY + `: nothing is changed. If it stays so and AWS is right, write ipv4 = "` + addrX + `" under [address]; that address is then not followed when it changes.`},
		{"AWS against two", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrY), said("ipify", addrY)},
			ipwatch.Conflict, "", "AWS says " + addrX + ", but Cloudflare and ipify say " + addrY},
		{"all differ", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrY), said("ipify", "8.8.4.4")},
			ipwatch.Conflict, "", "nothing is changed"},
		{"two against two", def, 4, []ipwatch.Answer{said("aws", addrX), said("a", addrX), said("b", addrY), said("c", addrY)},
			ipwatch.Conflict, "", "AWS and a say " + addrX + ", but b and c say " + addrY},
		{"AWS silent, others agree", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("cloudflare", addrX), said("ipify", addrX)},
			ipwatch.Unsure, "", "Only Cloudflare and ipify say " + addrX + ", and AWS must agree and gave no usable answer: nothing is changed"},
		{"AWS alone", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", "!timeout"), said("ipify", "!body")},
			ipwatch.Unsure, "", "Only AWS says " + addrX + ", and 2 operators must agree"},
		{"one operator twice is one vote", def, 4, []ipwatch.Answer{said("aws", addrX), said("aws", addrX), said("AWS ", addrX)},
			ipwatch.Unsure, "", "Only AWS says"},
		{"contradicts itself", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrX), said("ipify", addrX), said("Cloudflare", addrY)},
			ipwatch.Conflict, "", "Two sources of Cloudflare contradict each other (" + addrX + " and " + addrY + ")"},
		{"one source of an operator fails", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("aws", addrX), said("cloudflare", addrX)},
			ipwatch.Confirmed, addrX, "AWS and Cloudflare agree"},
		{"private addresses have no vote", def, 4, []ipwatch.Answer{said("aws", "10.1.2.3"), said("cloudflare", "10.1.2.3")},
			ipwatch.Unsure, "", "10.1.2.3 is not a public address (private, RFC 1918)"},
		{"accepted although private", with(func(p *ipwatch.Policy) { p.Accept = prefixes("10.0.0.0/8") }), 4,
			[]ipwatch.Answer{said("aws", "10.1.2.3"), said("cloudflare", "10.1.2.3")}, ipwatch.Confirmed, "10.1.2.3", "agree"},
		{"the other family has no vote", def, 6, []ipwatch.Answer{said("aws", addrX), said("cloudflare", addrX)},
			ipwatch.Unsure, "", addrX + " is not an IPv6 address"},
		{"no operator has no vote", def, 4, []ipwatch.Answer{said("aws", addrX), said("", addrX)}, ipwatch.Unsure, "", "Only AWS"},
		{"WARP stops everything", def, 4, []ipwatch.Answer{said("aws", addrX), said("ipify", addrX), said("cloudflare", "!warp")},
			ipwatch.Unsure, "", "Cloudflare reports"},
		{"agree 1", with(func(p *ipwatch.Policy) { p.Agree = 1 }), 4, []ipwatch.Answer{said("aws", addrX)},
			ipwatch.Confirmed, addrX, "AWS says " + addrX + ", and one operator is enough (agree = 1)."},
		{"agree 1 is still a majority", with(func(p *ipwatch.Policy) { p.Agree = 1 }), 4,
			[]ipwatch.Answer{said("aws", addrX), said("ipify", addrY)}, ipwatch.Conflict, "", "nothing"},
		{"agree 3", with(func(p *ipwatch.Policy) { p.Agree = 3 }), 4, []ipwatch.Answer{said("aws", addrX), said("ipify", addrX)},
			ipwatch.Unsure, "", "Only AWS and ipify say " + addrX + ", and 3 operators must agree"},
		{"agree 0 is the default", with(func(p *ipwatch.Policy) { p.Agree = 0 }), 4, []ipwatch.Answer{said("aws", addrX)},
			ipwatch.Unsure, "", "2 operators must agree"},
		{"no required one", with(func(p *ipwatch.Policy) { p.Require = "" }), 4,
			[]ipwatch.Answer{said("ipify", addrX), said("cloudflare", addrX)}, ipwatch.Confirmed, addrX, "Cloudflare and ipify agree"},
		{"own required one", with(func(p *ipwatch.Policy) { p.Require = "Mine" }), 4,
			[]ipwatch.Answer{said("mine", addrX), said("aws", addrX)}, ipwatch.Confirmed, addrX, "mine and AWS agree"},
		{"never", with(func(p *ipwatch.Policy) { p.Never = prefixes("52.94.0.0/16") }), 4,
			[]ipwatch.Answer{said("aws", addrX), said("ipify", addrX)}, ipwatch.Unsure, "", "it lies in 52.94.0.0/16, which never in [address] forbids (a rule that stands for it is not renewed; emr-accessd revoke takes it away now): nothing is changed."},
		{"outside of only", with(func(p *ipwatch.Policy) { p.Only = prefixes("104.0.0.0/8") }), 4,
			[]ipwatch.Answer{said("aws", addrX), said("ipify", addrX)}, ipwatch.Unsure, "", "outside of the ranges that only in [address] allows"},
		{"inside of only", with(func(p *ipwatch.Policy) { p.Only = prefixes("52.94.0.0/16") }), 4,
			[]ipwatch.Answer{said("aws", addrX), said("ipify", addrX)}, ipwatch.Confirmed, addrX, "agree"},
		{"nobody asked", def, 4, nil, ipwatch.Offline, "", "No source could be asked"},
		{"names fail", def, 4, []ipwatch.Answer{said("aws", "!dns"), said("ipify", "!dns")}, ipwatch.Offline, "", "DNS"},
		{"no route", def, 6, []ipwatch.Answer{said("aws", "!no-route"), said("ipify", "!no-route")}, ipwatch.Offline, "", "no route to the internet over IPv6"},
		{"all silent", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("ipify", "!connect")}, ipwatch.Offline, "", "a proxy is never used"},
		{"silent in several ways", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("ipify", "!dns")}, ipwatch.Offline, "", "No source could be reached over IPv4"},
		{"captive", def, 4, []ipwatch.Answer{said("aws", "!certificate"), said("ipify", "!redirect"), said("cloudflare", "!timeout")},
			ipwatch.Captive, "", "Something answers in place of the sources"},
		{"not only captive", def, 4, []ipwatch.Answer{said("aws", "!certificate"), said("ipify", "!status")}, ipwatch.Unsure, "", "No source gave a usable IPv4 address"},
		{"captive and one valid", def, 4, []ipwatch.Answer{said("aws", addrX), said("ipify", "!certificate")}, ipwatch.Unsure, "", "Only AWS"},
		{"wrong clock", def, 4, []ipwatch.Answer{said("aws", "!clock"), said("ipify", "!clock")}, ipwatch.Unsure, "", "The clock of this computer"},
		{"stopped", def, 4, []ipwatch.Answer{said("aws", "!stopped"), said("ipify", "!stopped")}, ipwatch.Unsure, "", "was stopped"},
		{"skipped does not matter", def, 4, []ipwatch.Answer{said("aws", addrX), said("cloudflare", "!skipped"), said("ipify", addrX)},
			ipwatch.Confirmed, addrX, "AWS and ipify agree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, addr, why := ipwatch.Decide(c.policy, c.family, c.answers)
			got := ""
			if addr.IsValid() {
				got = addr.String()
			}
			if state != c.state || got != c.addr || !strings.Contains(why, c.why) {
				t.Errorf("Decide = %s %s %q\nwant %s %s …%s…", state, got, why, c.state, c.addr, c.why)
			}
		})
	}
}

// TestDecideForeignError checks that an error which is no EchoError (from a replaced Ask) is escaped in the sentence.
func TestDecideForeignError(t *testing.T) {
	t.Parallel()
	a := said("aws", "!x")
	a.Err = errors.New("bad\x1b[2J\nline\u202e" + strings.Repeat("x", 5000))
	_, _, why := ipwatch.Decide(ipwatch.DefaultPolicy(), ipwatch.V4, []ipwatch.Answer{a})
	if why != ipwatch.Clean(why, 10000) || len(why) > 1000 {
		t.Errorf("sentence is not safe to print: %q", why)
	}
}
