package ipwatch

import (
	"cmp"
	"net/netip"
	"slices"
)

// Decide is the quorum rule. It is pure, and its outcome does not depend on the order of the answers.
//
// Every operator has one vote, whatever number of its sources answered; only a valid public address of the family
// is a vote. An address is confirmed when at least p.Agree operators said it, p.Require among them, and they are
// more than half of all operators that voted. An operator that contradicts itself, or several addresses without
// such a majority, are a conflict; too few votes are unsure. Without any vote it is captive when something
// answered in place of the sources, offline when nobody answered, else unsure.
//
// A trace that reports WARP or Gateway stops every confirmation, since the other sources then see the same address
// shared with strangers; so do the user's own filters p.Never and p.Only. With p.EgressCheck so do agreeing answers
// that did not all leave by one local address: they may be of two networks, one of which is gone. And so does one
// and the same authority behind the certificates of all agreeing operators, when these are well-known echoes: then
// somebody opens the TLS connections (a company proxy whose authority the system trusts), and it is his address
// that they see.
//
// The address is valid exactly when the state is Confirmed. The string is a sentence for the user.
func Decide(p Policy, f Family, as []Answer) (State, netip.Addr, string) {
	v := decide(p, f, as)
	return v.State, v.Addr, v.Why
}

// decide is Decide with the remedy.
func decide(p Policy, f Family, as []Answer) Verdict {
	t := count(p, f, as)
	if t.torn != nil {
		return t.verdict(Conflict, t.sayTorn())
	}
	if len(t.votes) == 0 {
		return t.withoutVotes()
	}
	winner, ok := t.winner(p)
	if t.warp != nil {
		return t.verdict(Unsure, t.sayWARP())
	}
	if !ok {
		if len(t.addrs()) > 1 {
			return t.conflict(p)
		}
		return t.verdict(Unsure, t.sayTooFew(p))
	}
	if err := p.forbids(winner); err != nil {
		return t.verdict(Unsure, t.sayForbidden(winner, err))
	}
	if locals := t.locals(winner); p.EgressCheck && len(locals) > 1 {
		return t.verdict(Unsure, t.sayMixed(winner, locals))
	}
	if by := t.intercepted(winner); by != "" {
		return t.verdict(Unsure, t.sayIntercepted(winner, by))
	}
	v := t.verdict(Confirmed, t.sayConfirmed(winner))
	v.Addr = winner
	return v
}

// verdict begins the verdict of a count.
func (t *tally) verdict(s State, why string) Verdict {
	return Verdict{Family: t.family, State: s, Why: why}
}

// vote is the one address that an operator said.
type vote struct {
	operator string
	addr     netip.Addr
}

// tally is the count of one family's answers.
type tally struct {
	family Family
	valid  []Answer // sorted like the votes
	votes  []vote   // sorted: the required operator first, then by name
	torn   []vote   // two different answers of one operator
	warp   *Answer  // the answer that reported WARP or Gateway
	faults []Answer // the failures of operators without a vote, sorted like the votes
}

// count sorts the answers, so that nothing after it depends on their order, and validates them once more.
func count(p Policy, f Family, as []Answer) *tally {
	require := operatorKey(p.Require)
	as = slices.Clone(as)
	for i := range as {
		as[i] = checked(as[i], f, p.Accept)
	}
	slices.SortStableFunc(as, func(a, b Answer) int {
		x, y := operatorKey(a.Source.Operator), operatorKey(b.Source.Operator)
		return cmp.Or(
			cmp.Compare(b2i(x != require), b2i(y != require)),
			cmp.Compare(x, y),
			a.Addr.Compare(b.Addr),
			cmp.Compare(a.Source.Name, b.Source.Name),
			a.Local.Compare(b.Local),
			cmp.Compare(a.Issuer, b.Issuer),
			cmp.Compare(faultText(a.Err), faultText(b.Err)),
		)
	})
	t := &tally{family: f}
	for _, a := range as {
		op := operatorKey(a.Source.Operator)
		if a.Err == nil {
			t.valid = append(t.valid, a)
		}
		at := slices.IndexFunc(t.votes, func(v vote) bool { return v.operator == op })
		switch {
		case a.Err != nil && faultOf(a.Err) == FaultWARP && t.warp == nil:
			t.warp = &a
		case a.Err != nil:
		case at < 0:
			t.votes = append(t.votes, vote{op, a.Addr})
		case t.votes[at].addr != a.Addr && t.torn == nil:
			t.torn = []vote{t.votes[at], {op, a.Addr}}
		}
	}
	t.faults = t.failed(as)
	return t
}

// failed returns the failures of operators that have no vote.
func (t *tally) failed(as []Answer) []Answer {
	return slices.DeleteFunc(as, func(a Answer) bool {
		op := operatorKey(a.Source.Operator)
		return a.Err == nil || slices.ContainsFunc(t.votes, func(v vote) bool { return v.operator == op })
	})
}

// winner is the address that meets the rule, if there is one.
func (t *tally) winner(p Policy) (netip.Addr, bool) {
	require := operatorKey(p.Require)
	for _, a := range t.addrs() {
		ops := t.sayers(a)
		if len(ops) >= p.agree() && 2*len(ops) > len(t.votes) && (require == "" || slices.Contains(ops, require)) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// addrs are the distinct addresses, in the order of the votes.
func (t *tally) addrs() []netip.Addr {
	var as []netip.Addr
	for _, v := range t.votes {
		if !slices.Contains(as, v.addr) {
			as = append(as, v.addr)
		}
	}
	return as
}

// sayers are the operators that said an address, sorted.
func (t *tally) sayers(a netip.Addr) []string {
	var ops []string
	for _, v := range t.votes {
		if v.addr == a {
			ops = append(ops, v.operator)
		}
	}
	return ops
}

// locals are the distinct local addresses that the answers with an address left by, as far as they are known; sorted.
func (t *tally) locals(a netip.Addr) []netip.Addr {
	var ls []netip.Addr
	for _, v := range t.valid {
		if v.Addr == a && v.Local.IsValid() && !slices.Contains(ls, v.Local) {
			ls = append(ls, v.Local)
		}
	}
	slices.SortFunc(ls, netip.Addr.Compare)
	return ls
}

// intercepted is the one authority that certified every server with this answer, "" when there are several, when one
// of them is not known, or when all of them are run by one operator.
func (t *tally) intercepted(a netip.Addr) string {
	by := ""
	for _, v := range t.valid {
		switch {
		case v.Addr != a:
		case v.Issuer == "", by != "" && v.Issuer != by:
			return ""
		default:
			by = v.Issuer
		}
	}
	if len(t.sayers(a)) < 2 {
		return ""
	}
	return by
}

// withoutVotes decides between the ways of having no valid answer at all.
func (t *tally) withoutVotes() Verdict {
	captive, silent, other := t.sort()
	switch {
	case t.warp != nil:
		return t.verdict(Unsure, t.sayWARP())
	case len(other) > 0:
		return t.verdict(Unsure, t.sayUnusable(other))
	case len(captive) > 0:
		return t.verdict(Captive, t.sayCaptive(captive))
	}
	return t.verdict(Offline, t.sayOffline(silent))
}

// sort divides the failures by what they tell about the network.
func (t *tally) sort() (captive, silent, other []Answer) {
	for _, a := range t.faults {
		switch f := faultOf(a.Err); {
		case f.captive():
			captive = append(captive, a)
		case f.silent():
			silent = append(silent, a)
		case f != FaultSkipped:
			other = append(other, a)
		}
	}
	return captive, silent, other
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// faultText orders failures: by fault, then by text.
func faultText(err error) string {
	if err == nil {
		return ""
	}
	return string(faultOf(err)) + " " + err.Error()
}
