package ipwatch_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// genAnswers draws answers from few operators and few addresses, so that agreement and its opposites are common.
func genAnswers(t *rapid.T) []ipwatch.Answer {
	what := []string{addrX, addrX, addrX, addrY, "8.8.4.4", addr6, "2600:1f18::8", "10.0.0.1", "100.64.0.1", "fd00::1",
		"!timeout", "!dns", "!certificate", "!redirect", "!status", "!skipped", "!stopped", "!clock", "!no-route"}
	ops := []string{"aws", "AWS", "cloudflare", "ipify", "mine", ""}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ipwatch.Answer {
		// WARP is rare here: one such answer stops every confirmation.
		if rapid.IntRange(0, 40).Draw(t, "warp") == 0 {
			return said(rapid.SampledFrom(ops).Draw(t, "op"), "!warp")
		}
		return said(rapid.SampledFrom(ops).Draw(t, "op"), rapid.SampledFrom(what).Draw(t, "what"))
	}), 0, 7).Draw(t, "answers")
}

func genPolicy(t *rapid.T) ipwatch.Policy {
	p := ipwatch.Policy{
		Agree:   rapid.IntRange(-1, 4).Draw(t, "agree"),
		Require: rapid.SampledFrom([]string{"aws", "aws", "", "ipify", "AWS"}).Draw(t, "require"),
	}
	if rapid.IntRange(0, 5).Draw(t, "never") == 0 {
		p.Never = []netip.Prefix{netip.MustParsePrefix("52.94.0.0/16")}
	}
	if rapid.IntRange(0, 5).Draw(t, "accept") == 0 {
		p.Accept = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	}
	return p
}

// key is the form in which operators are compared, written here independently of the code.
func key(a ipwatch.Answer) string { return strings.ToLower(strings.TrimSpace(a.Source.Operator)) }

// valid tells whether an answer may be a vote.
func valid(p ipwatch.Policy, f ipwatch.Family, a ipwatch.Answer) bool {
	return a.Err == nil && key(a) != "" && ipwatch.FamilyOf(a.Addr) == f && ipwatch.Public(a.Addr, p.Accept) == nil
}

func isWARP(a ipwatch.Answer) bool {
	e, ok := errors.AsType[*ipwatch.EchoError](a.Err)
	return ok && e.Fault == ipwatch.FaultWARP
}

// TestDecideProperties checks the quorum rule against its own words: whenever an address is confirmed each condition
// holds, and whenever each condition holds it is confirmed.
func TestDecideProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), rapid.SampledFrom([]ipwatch.Family{ipwatch.V4, ipwatch.V4, ipwatch.V6}).Draw(t, "family")
		as := genAnswers(t)
		before := slices.Clone(as)
		state, addr, why := ipwatch.Decide(p, f, as)

		votes := make(map[string]map[netip.Addr]bool)
		warp := false
		for _, a := range as {
			warp = warp || isWARP(a)
			if valid(p, f, a) {
				if votes[key(a)] == nil {
					votes[key(a)] = make(map[netip.Addr]bool)
				}
				votes[key(a)][a.Addr] = true
			}
		}
		torn := false
		sayers := make(map[netip.Addr][]string)
		for op, addrs := range votes {
			torn = torn || len(addrs) > 1
			for a := range addrs {
				sayers[a] = append(sayers[a], op)
			}
		}
		need := p.Agree
		if need < 1 {
			need = 2
		}
		var want netip.Addr
		for a, ops := range sayers {
			if !torn && !warp && len(ops) >= need && 2*len(ops) > len(votes) &&
				(p.Require == "" || slices.Contains(ops, strings.ToLower(p.Require))) &&
				!slices.ContainsFunc(p.Never, func(r netip.Prefix) bool { return r.Contains(a) }) {
				want = a
			}
		}
		if addr != want || (state == ipwatch.Confirmed) != want.IsValid() {
			t.Fatalf("Decide = %s %v (%s), want address %v", state, addr, why, want)
		}
		if torn && state != ipwatch.Conflict {
			t.Fatalf("an operator contradicts itself, state %s", state)
		}
		if (state == ipwatch.Conflict) && len(sayers) < 2 {
			t.Fatalf("conflict with the addresses %v", sayers)
		}
		if (state == ipwatch.Offline || state == ipwatch.Captive) && len(votes) > 0 {
			t.Fatalf("state %s with votes %v", state, votes)
		}
		if !strings.HasSuffix(why, ".") || why != ipwatch.Clean(why, 10000) {
			t.Fatalf("not a sentence that is safe to print: %q", why)
		}
		if !slices.EqualFunc(as, before, func(a, b ipwatch.Answer) bool { return a.Addr == b.Addr && (a.Err == nil) == (b.Err == nil) }) {
			t.Fatal("the answers were changed")
		}

		shuffled := rapid.Permutation(as).Draw(t, "order")
		if s2, a2, w2 := ipwatch.Decide(p, f, shuffled); s2 != state || a2 != addr || w2 != why {
			t.Fatalf("another order: %s %v %q, before %s %v %q", s2, a2, w2, state, addr, why)
		}
	})
}

// TestDecideMoreSilenceNeverConfirms: taking an answer away from an unconfirmed set may only confirm when that answer
// disagreed, contradicted or reported WARP.
func TestDecideMoreSilenceNeverConfirms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, as := genPolicy(t), genAnswers(t)
		if len(as) == 0 {
			return
		}
		state, _, _ := ipwatch.Decide(p, ipwatch.V4, as)
		i := rapid.IntRange(0, len(as)-1).Draw(t, "drop")
		gone := as[i]
		_, addr, _ := ipwatch.Decide(p, ipwatch.V4, slices.Delete(slices.Clone(as), i, i+1))
		contradicted := slices.ContainsFunc(as, func(a ipwatch.Answer) bool {
			return key(a) == key(gone) && valid(p, ipwatch.V4, a) && valid(p, ipwatch.V4, gone) && a.Addr != gone.Addr
		})
		if state != ipwatch.Confirmed && addr.IsValid() && !isWARP(gone) && !contradicted && (!valid(p, ipwatch.V4, gone) || gone.Addr == addr) {
			t.Fatalf("without the answer %v of %s the address %s is confirmed", gone.Addr, gone.Source.Operator, addr)
		}
	})
}
