package ipwatch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// StandingAfter is how many looks in a row must end in the same way before [Standing] judges: one or two conflicts are
// a network in the middle of a change.
const StandingAfter = 3

// instead is what to do where no address can be right.
const instead = `use a VPN with one fixed exit, reach the node through it by its private address (address = "local" in the target), or log in through AWS Systems Manager`

// Standing tells what a state that does not go away means, and the one line of configuration that settles it, "" when
// none can. The history is of one family and one target, the oldest first; it may be as long as one likes. It is
// pure, and authorizes nothing: what it proposes is for the user to decide.
//
// A conflict is told apart by the answers alone. The required operator stands for the path to AWS:
//
//   - its own sources differ, or it says another address each time: the network picks the way out by connection or by
//     destination, so that no single address is right. Only when all that was ever seen lies in one small range, as a
//     company's own has it, can that range be opened.
//   - it always says the same, and the others always another one: the network sends AWS's traffic out by another way.
//     The address that AWS sees can be fixed.
//   - it always says the same, and the others vary: there is a pool in which AWS's echo and the cluster need not share
//     an address. As in the first case.
//
// For other states, and for less than [StandingAfter] conflicts on one way out of this computer, it gives the last
// verdict's own sentence and remedy.
func Standing(history []Verdict) (sentence, remedy string) {
	if len(history) == 0 {
		return "", ""
	}
	last := history[len(history)-1]
	run := conflicts(history)
	seen := gather(run)
	if len(run) < StandingAfter || len(seen.all) < 2 {
		return last.Why, last.Remedy
	}
	f := last.Family
	if !seen.several && len(seen.required) == 1 && len(seen.others) == 1 {
		a, b := seen.required[0], seen.others[0]
		remedy = fixedLine(f, a)
		return fmt.Sprintf(`All of %d looks in a row ended so: %s always says %s, and others always %s. This network sends traffic to AWS out by another address. If %s is right, write %s under [address]; it is then not followed when it changes. If the cluster is not reached with it, the network has two uplinks: then write trusted = ["%s", "%s"] in the target, when both are yours.`,
			len(run), seen.name, a, b, a, remedy, hostPrefix(a), hostPrefix(b)), remedy
	}
	what := fmt.Sprintf("All of %d looks in a row ended so, with the addresses %s", len(run), list(seen.all))
	why := "this network leaves by an address of a pool, another one for each destination or connection, so that no single one is right"
	if p, ok := ownRange(seen.all); ok {
		remedy = fmt.Sprintf("trusted = [%q]", p)
		return fmt.Sprintf(`%s: %s. If the range %s is your organisation's own, write %s in the target, which lets in everybody in it. If it is a provider's, strangers share it, and this cannot work here: %s.`,
			what, why, p, remedy, instead), remedy
	}
	return fmt.Sprintf("%s: %s, and this cannot work here: %s.", what, why, instead), ""
}

// conflicts are the conflicts at the end of a history that left this computer by the same local addresses: other ones
// are of another network.
func conflicts(history []Verdict) []Verdict {
	from := len(history)
	for from > 0 && history[from-1].State == Conflict && slices.Equal(localsOf(history[from-1]), localsOf(history[len(history)-1])) {
		from--
	}
	return history[from:]
}

// localsOf are the distinct local addresses of the valid answers, sorted.
func localsOf(v Verdict) []netip.Addr {
	var ls []netip.Addr
	for _, a := range v.Answers {
		if a.Err == nil && a.Local.IsValid() {
			ls = append(ls, a.Local)
		}
	}
	slices.SortFunc(ls, netip.Addr.Compare)
	return slices.Compact(ls)
}

// gathered is what was seen in a run of verdicts, each list without doubles and sorted.
type gathered struct {
	all, required, others []netip.Addr // others has none of required
	several               bool         // the required operator, or another one, said several addresses in one look or in time
	name                  string       // of the required operator
}

// gather collects the valid answers. The operator of AWS stands for the path to the cluster; when it said nothing (an
// own policy requires another one, or it is down), nothing does.
func gather(run []Verdict) gathered {
	const path = "aws"
	g := gathered{name: operatorName(path)}
	of := map[string][]netip.Addr{}
	for _, v := range run {
		for _, a := range v.Answers {
			if a.Err != nil || !v.Family.Has(a.Addr) {
				continue
			}
			op := operatorKey(a.Source.Operator)
			of[op] = append(of[op], a.Addr)
			g.all = append(g.all, a.Addr)
			if op == path {
				g.required = append(g.required, a.Addr)
			} else {
				g.others = append(g.others, a.Addr)
			}
		}
	}
	for _, as := range of {
		if len(distinct(as)) > 1 {
			g.several = true
		}
	}
	g.all, g.required = distinct(g.all), distinct(g.required)
	g.others = slices.DeleteFunc(distinct(g.others), func(a netip.Addr) bool { return slices.Contains(g.required, a) })
	return g
}

func distinct(as []netip.Addr) []netip.Addr {
	return slices.Compact(slices.SortedFunc(slices.Values(as), netip.Addr.Compare))
}

// ownRange is the smallest range with all addresses, when it is as small as what a company with one line has: /28 and
// below, of IPv4 alone. (An IPv6 pool has no such size.)
func ownRange(as []netip.Addr) (netip.Prefix, bool) {
	const smallest, largest = 31, 28
	for bits := smallest; bits >= largest; bits-- {
		p := netip.PrefixFrom(as[0], bits).Masked()
		if as[0].Is4() && !slices.ContainsFunc(as, func(a netip.Addr) bool { return !p.Contains(a) }) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// list names a few addresses.
func list(as []netip.Addr) string {
	const most = 4
	var parts []string
	for _, a := range as[:min(len(as), most)] {
		parts = append(parts, a.String())
	}
	if more := len(as) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(parts, ", "), more)
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}
