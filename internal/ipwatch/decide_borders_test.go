package ipwatch_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestDecideAtItsBorders holds what mutation testing (bench/mutate) found no other test to hold.
func TestDecideAtItsBorders(t *testing.T) {
	t.Parallel()
	def := ipwatch.DefaultPolicy()
	with := func(change func(*ipwatch.Policy)) ipwatch.Policy {
		p := def
		change(&p)
		return p
	}
	by := func(a ipwatch.Answer, issuer string) ipwatch.Answer { a.Issuer = issuer; return a }
	from := func(a ipwatch.Answer, local string) ipwatch.Answer { a.Local = netip.MustParseAddr(local); return a }
	failed := func(operator, text string) ipwatch.Answer {
		a := said(operator, "!body")
		a.Err = ipwatch.Failure(ipwatch.FaultBody, "", text)
		return a
	}
	const own, other = "192.168.1.5", "10.20.0.7"
	for _, c := range []struct {
		name    string
		policy  ipwatch.Policy
		family  ipwatch.Family
		answers []ipwatch.Answer
		state   ipwatch.State
		why     string
	}{
		{"one authority behind all", def, 4, []ipwatch.Answer{by(said("aws", addrX), "Corp"), by(said("ipify", addrX), "Corp")}, ipwatch.Unsure, `"Corp"`},
		{"one each", def, 4, []ipwatch.Answer{by(said("aws", addrX), "Amazon"), by(said("ipify", addrX), "Other")}, ipwatch.Confirmed, "agree"},
		{"one is not known", def, 4, []ipwatch.Answer{said("aws", addrX), by(said("ipify", addrX), "Corp")}, ipwatch.Confirmed, "agree"},
		{"the other one is not known", def, 4, []ipwatch.Answer{by(said("aws", addrX), "Corp"), said("ipify", addrX)}, ipwatch.Confirmed, "agree"},
		{"one authority behind all that agree", def, 4, []ipwatch.Answer{by(said("aws", addrX), "Corp"), by(said("cloudflare", addrX), "Corp"), by(said("ipify", addrY), "Other")},
			ipwatch.Unsure, `"Corp"`},
		{"one authority of one operator", with(func(p *ipwatch.Policy) { p.Agree = 1 }), 4, []ipwatch.Answer{by(said("aws", addrX), "Amazon")}, ipwatch.Confirmed, "is enough"},
		{"from two addresses", def, 4, []ipwatch.Answer{from(said("aws", addrX), own), from(said("ipify", addrX), other)}, ipwatch.Unsure, "were asked from " + other + " and " + own},
		{"from two addresses, unchecked", with(func(p *ipwatch.Policy) { p.EgressCheck = false }), 4,
			[]ipwatch.Answer{from(said("aws", addrX), own), from(said("ipify", addrX), other)}, ipwatch.Confirmed, "agree"},
		{"one of them from nobody knows where", def, 4, []ipwatch.Answer{from(said("aws", addrX), own), said("ipify", addrX)}, ipwatch.Confirmed, "agree"},
		{"the one that disagrees from elsewhere", def, 4, []ipwatch.Answer{from(said("aws", addrX), own), from(said("cloudflare", addrX), own), from(said("ipify", addrY), other)},
			ipwatch.Confirmed, "agree"},
		{"two contradict themselves: the first is named", def, 4, []ipwatch.Answer{said("cloudflare", addrX), said("cloudflare", addrY), said("ipify", addrX), said("ipify", addrY)},
			ipwatch.Conflict, "Two sources of Cloudflare"},
		{"two report WARP: the first is named", def, 4, []ipwatch.Answer{said("ipify", "!warp"), said("cloudflare", "!warp")}, ipwatch.Unsure, "Cloudflare reports"},
		{"WARP and silence", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("cloudflare", "!warp")}, ipwatch.Unsure, "Cloudflare reports"},
		{"silent and skipped", def, 4, []ipwatch.Answer{said("aws", "!timeout"), said("cloudflare", "!skipped")}, ipwatch.Offline, ""},
		{"a neighbour's address is forbidden", with(func(p *ipwatch.Policy) { p.Never = []netip.Prefix{netip.MustParsePrefix("2600:1f18::1:0/112")} }), 6,
			[]ipwatch.Answer{said("aws", addr6), said("ipify", addr6)}, ipwatch.Confirmed, "agree"},
		{"a neighbour's address is forbidden, and let in", with(func(p *ipwatch.Policy) {
			p.Never, p.Prefix6 = []netip.Prefix{netip.MustParsePrefix("2600:1f18::1:0/112")}, 64
		}), 6,
			[]ipwatch.Answer{said("aws", addr6), said("ipify", addr6)}, ipwatch.Unsure, "a part of 2600:1f18::/64"},
		{"two failures of one operator", def, 4, []ipwatch.Answer{failed("aws", "second"), failed("aws", "first")}, ipwatch.Unsure, "first"},
	} {
		state, _, why := ipwatch.Decide(c.policy, c.family, c.answers)
		if state != c.state || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s %q\nwant %s …%s…", c.name, state, why, c.state, c.why)
		}
		back := slices.Clone(c.answers)
		slices.Reverse(back)
		if s, _, w := ipwatch.Decide(c.policy, c.family, back); s != state || w != why {
			t.Errorf("%s: in another order %s %q", c.name, s, w)
		}
	}
	// A source that failed is no reason when another one of its operator answered.
	if _, _, why := ipwatch.Decide(def, 4, []ipwatch.Answer{said("aws", addrX), failed("aws", "hidden"), failed("ipify", "shown")}); strings.Contains(why, "hidden") || !strings.Contains(why, "shown") {
		t.Errorf("reasons: %s", why)
	}
	if w := with(func(p *ipwatch.Policy) { p.Prefix6 = 64 }).Warnings(); len(w) != 1 || !strings.Contains(w[0], "ipv6-prefix") {
		t.Errorf("the opt-in to a /64 warns %q", w)
	}
}

// TestParseTraceLines: a trace with one line that is none is not a trace.
func TestParseTraceLines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"=x", "a b=x", "<b=x", "plain"} {
		if a, err := ipwatch.ParseTrace([]byte(trace+line+"\n"), "www.cloudflare.com"); err == nil {
			t.Errorf("with the line %q: %v", line, a)
		}
	}
	if _, err := ipwatch.ParseTrace([]byte(strings.Replace(trace, "h=www.cloudflare.com", "h=2600:1f18::7", 1)), "2600:1f18::7"); err != nil {
		t.Errorf("a host that is an IPv6 address without brackets: %v", err)
	}
	for text, want := range map[string]string{"": "empty", " \n": "empty", "x": "not one address", "0.0.0.0": "not an address of a sender"} {
		if _, err := ipwatch.ParseText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ipwatch.ParseTrace([]byte(strings.Replace(trace, "ip="+addrX+"\n", "", 1)), "www.cloudflare.com"); err == nil || !strings.Contains(err.Error(), "has no ip") {
		t.Errorf("without an address: %v", err)
	}
}
