package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

// Whatever networks come and go, whatever fails and whoever else acts: nothing is opened, moved or removed on
// an address that is not known (I2), only rules of ours are written (I1), nobody else's lease is uncovered
// (I4), no known address loses its cover (I3), nothing else is opened (I5, I10); and when it is calm, a good
// round is followed by one that writes nothing (I7).
func TestRoundsOfAnyKind(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		days := rapid.SliceOfN(rapid.Custom(drawDay), 1, 10).Draw(rt, "days")
		lag := time.Duration(rapid.IntRange(0, 2).Draw(rt, "lag")) * 3 * time.Second
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			p := newProperty(newLab(t))
			p.world.lag = lag
			for i, d := range days {
				if p.live(d); p.wrong != "" {
					wrong = fmt.Sprintf("day %d: %s", i, p.wrong)
					return
				}
			}
			p.calm()
			wrong = p.wrong
		})
		if wrong != "" {
			rt.Fatalf("%s", wrong)
		}
	})
}

// day is what happens before and in one round. Choices are small numbers, so that they shrink.
type day struct {
	V4, V6 sight
	Pass   time.Duration
	Other  int // what somebody else does
	Where  int
	Lost   bool // the state
	Faults []int
	Kind   int
}

var (
	places4 = []sight{at(home), at(office), at(train), {state: ipwatch.Offline}, {state: ipwatch.Conflict}, {state: ipwatch.Absent}}
	places6 = []sight{at("2001:db8::1"), at("2001:db8::2"), {state: ipwatch.Absent}, {state: ipwatch.Unsure}}
	spans   = []time.Duration{0, time.Second, 12 * time.Second, time.Minute, 11 * time.Minute, 5 * time.Hour, 13 * time.Hour, 30 * time.Hour}
	faults  = []error{nil, nil, nil, errThrottled, errLost, errBroken, sgsync.ErrDenied, sgsync.ErrQuota}
	where   = []string{home + "/32", office + "/32", train + "/32", "2001:db8::1/128", "2001:db8::2/128", "198.51.100.0/28"}
)

func drawDay(t *rapid.T) day {
	n := func(limit int, label string) int { return rapid.IntRange(0, limit-1).Draw(t, label) }
	return day{V4: places4[n(len(places4), "v4")], V6: places6[n(len(places6), "v6")], Pass: spans[n(len(spans), "pass")],
		Other: n(7, "other"), Where: n(len(where), "where"), Lost: n(8, "lost") == 7, Kind: n(4, "kind"),
		Faults: rapid.SliceOfN(rapid.IntRange(0, len(faults)-1), 0, 6).Draw(t, "faults")}
}

type property struct {
	*lab
	wrong   string
	now     map[ipwatch.Family]sight
	covered map[netip.Addr]bool
	faults  []int
	pending error  // the answer that is to be lost
	unknown string // the rule from which a tag is taken while nothing is known
	mine    int    // the live leases of mine on it
}

func newProperty(l *lab) *property {
	p := &property{lab: l, now: map[ipwatch.Family]sight{}}
	l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
	l.world.cluster("j-2", "sg-1", "203.0.113.20", "2001:db8:1::20")
	l.Targets = []keeper.Target{target("j-1"), as(target("j-2"), func(t *keeper.Target) { t.Trusted = prefixes("198.51.100.0/28") })}
	l.world.fail, l.world.lose = p.before, p.after
	return p
}

func (p *property) fault(format string, args ...any) {
	if p.wrong == "" {
		p.wrong = fmt.Sprintf(format, args...)
	}
}

// live lets a day pass and makes its round.
func (p *property) live(d day) {
	time.Sleep(d.Pass)
	p.now[ipwatch.V4], p.now[ipwatch.V6] = d.V4, d.V6
	p.net.be(ipwatch.V4, d.V4)
	p.net.be(ipwatch.V6, d.V6)
	p.others(d)
	if d.Lost {
		_ = os.Remove(p.Store.Path("state.json"))
		time.Sleep(sgsync.Sigma) // with it the own writes are lost that reads do not show yet
	}
	p.faults = d.Faults
	req := []keeper.Request{{}, {Check: true, Event: true}, {Targets: p.Targets[:1]}, {Check: true}}[d.Kind]
	if _, err := p.Round(context.Background(), req); err != nil {
		p.fault("round: %v", err)
	}
	p.faults = nil
}

// others acts on the group as colleagues and administrators do.
func (p *property) others(d day) {
	var tags []string
	switch d.Other {
	case 1:
		tags = bobs(40 * time.Hour)
	case 2:
		tags = bobs(time.Minute)
	case 3: // an administrator's own rule
	case 4: // somebody deletes a rule by hand
		if ids := slices.Sorted(maps.Keys(p.world.rules)); len(ids) > 0 {
			p.world.edit(ids[d.Where%len(ids)], func(*sgsync.Rule) bool { return false })
		}
		return
	default:
		return
	}
	n := sgsync.NewRule{Port: 22, CIDR: prefixes(where[d.Where])[0]}
	if !p.world.taken("sg-1", n, "") {
		p.world.put("sg-1", where[d.Where], tags...)
	}
}

// before judges a call before its effect, and may let it fail.
func (p *property) before(_ context.Context, call string) error {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.covered, p.pending, p.unknown = p.cover(), nil, ""
	if w := writes([]string{call}); len(w) == 0 {
		return nil
	}
	p.judge(strings.Fields(call))
	if len(p.faults) == 0 {
		return nil
	}
	err := faults[p.faults[0]]
	p.faults = p.faults[1:]
	if errors.Is(err, sgsync.ErrQuota) && !strings.HasPrefix(call, "authorize") {
		return nil
	}
	if errors.Is(err, errLost) {
		p.pending, err = err, nil
	}
	return err
}

func (p *property) judge(call []string) {
	name, subject := call[0], call[1]
	rule, there := p.world.rules[subject]
	to := netip.Prefix{}
	if !there && name != "authorize" {
		return // somebody has deleted it, and the read does not show that yet
	}
	if name == "authorize" {
		rule, to = sgsync.Rule{}, netip.MustParsePrefix(call[2])
	} else if name == "modify" {
		to = netip.MustParsePrefix(call[2])
	}
	if rule.ID != "" && !rule.Managed() {
		p.fault("I1: %q of %+v", call, rule)
	}
	family := ipwatch.FamilyOf(cidr(rule, to).Addr())
	if s := p.now[family].state; s != ipwatch.Confirmed && s != ipwatch.Absent {
		p.unknown, p.mine = rule.ID, live(rule)
		lapsed := name == "revoke" && p.mine == 0 && slices.ContainsFunc(rule.Leases(), func(l sgsync.Lease) bool { return l.UserID == "AIDAALICE" })
		if name != "untag" && !lapsed && (name != "tag" || p.mine == 0) { // renewing is all that may be done, and the lapse
			p.fault("I2: %q while %v is %s", call, family, s)
		}
	}
	if to.IsValid() && to != prefixes(where[5])[0] && (to.Addr().String() != p.now[family].addr || !to.IsSingleIP()) {
		p.fault("I5: %q at %+v", call, p.now)
	}
	for _, l := range rule.Leases() {
		if (name == "modify" || name == "revoke") && l.UserID == "AIDABOB" && l.End.After(time.Now()) {
			p.fault("I4: %q of a rule that %s holds until %v", call, l.Who, l.End)
		}
	}
}

// live counts the leases of mine that have not ended; a cloned disk may have left one of another installation.
func live(r sgsync.Rule) (n int) {
	for _, l := range r.Leases() {
		if l.UserID == "AIDAALICE" && l.End.After(time.Now()) {
			n++
		}
	}
	return n
}

func cidr(r sgsync.Rule, to netip.Prefix) netip.Prefix {
	if r.CIDR.IsValid() {
		return r.CIDR
	}
	return to
}

// cover tells which of the present addresses some rule admits. The caller holds the world's lock.
func (p *property) cover() map[netip.Addr]bool {
	covered := map[netip.Addr]bool{}
	for _, s := range p.now {
		for _, r := range p.world.rules {
			if s.state == ipwatch.Confirmed && r.CIDR.Contains(netip.MustParseAddr(s.addr)) {
				covered[netip.MustParseAddr(s.addr)] = true
			}
		}
	}
	return covered
}

func (p *property) after(call string) error {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	now := p.cover()
	for a := range p.covered {
		if !now[a] {
			p.fault("I3: %s lost its cover in %q", a, call)
		}
	}
	if p.unknown != "" && live(p.world.rules[p.unknown]) < p.mine {
		p.fault("I2: %q took my lease away while nothing is known", call)
	}
	return p.pending
}

// calm is a time when nothing fails and nobody else acts: everything ends in its place.
func (p *property) calm() {
	p.live(day{V4: at(home), V6: at("2001:db8::1")})
	for range 5 {
		p.live(day{V4: at(home), V6: at("2001:db8::1"), Pass: time.Minute})
	}
	p.took()
	rep := p.good(keeper.Request{})
	if w := writes(p.took()); len(w) > 0 {
		p.fault("I7: a round after a good one writes %q", w)
	}
	for _, want := range []string{home + "/32", "2001:db8::1/128", "198.51.100.0/28"} {
		if !slices.ContainsFunc(did(rep), func(s string) bool {
			return s == "j-1 sg-1 keep "+want || s == "j-1 sg-1 borrow "+want
		}) {
			p.fault("%s is not open in the end: %q", want, did(rep))
		}
	}
	for _, r := range p.world.rules {
		if _, mine := r.Tags[p.key()]; mine && !slices.Contains([]string{home + "/32", "2001:db8::1/128", "198.51.100.0/28"}, r.CIDR.String()) {
			p.fault("%s is left over", r.CIDR)
		}
	}
}
