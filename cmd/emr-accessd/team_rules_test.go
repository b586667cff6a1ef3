package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// sends judges a write when it leaves the laptop. The caller holds the lock.
func (l *laptop) sends(r *http.Request, form url.Values) {
	if a := r.Header.Get("Amz-Sdk-Request"); a != "" && a != "attempt=1" && !hasPrefix(a, "attempt=1;") {
		l.fault("laptop %d: %s is sent a second time (%s)", l.index, form.Get("Action"), a)
	}
	if form.Get("Action") == "RevokeSecurityGroupIngress" && form.Get("SecurityGroupRuleId.1") == "" {
		l.fault("laptop %d revokes a rule by what it admits, not by its id: %s", l.index, brief(form))
	}
	if l.claim.rule == "" {
		return
	}
	for _, values := range form {
		if slices.Contains(values, l.claim.rule) && form.Get("Action") != "CreateTags" {
			l.claim = claim{} // what it does to its own rule, it knows
			return
		}
	}
}

func hasPrefix(s, p string) bool { return len(s) >= len(p) && s[:len(p)] == p }

// acts carries out a call and judges its effect, as one.
func (l *laptop) acts(next http.RoundTripper, r *http.Request, form url.Values, write bool, lag time.Duration) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !write {
		return next.RoundTrip(r)
	}
	if !l.calm {
		l.sim.SetLag(lag)
	}
	before := l.sim.Rules(l.group)
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	after := l.sim.Rules(l.group)
	l.tell("%d (%s at %v): %s %s: %d", l.index, teamUsers[l.script.User], l.addr, form.Get("Action"), brief(form), resp.StatusCode)
	l.foreign(before, after)
	l.careful(before, after)
	for _, other := range l.laptops {
		c := other.claim
		if other != l && c.cidr != "" && time.Now().Before(c.until) && admits(before, c.cidr) && !admits(after, c.cidr) {
			l.fault("I4: laptop %d uncovers the firm lease of laptop %d on %s%s", l.index, other.index, c.cidr, l.listing())
		}
		other.watch()
	}
	return resp, nil
}

func brief(form url.Values) string {
	var s string
	for _, k := range slices.Sorted(maps.Keys(form)) {
		if k != "Action" && k != "Version" {
			s += " " + form.Get(k)
		}
	}
	return s
}

// admits reports whether a rule opens port 22 to exactly this source.
func admits(rules []awssim.Rule, cidr string) bool {
	return slices.ContainsFunc(rules, func(r awssim.Rule) bool { return r.FromPort == 22 && r.CIDR == cidr })
}

// foreign: a rule without our tags is never written (I1).
func (l *laptop) foreign(before, after []awssim.Rule) {
	theirs := func(rules []awssim.Rule) map[string]awssim.Rule {
		m := map[string]awssim.Rule{}
		for _, r := range rules {
			if r.Tags[sgsync.OwnerTag] == "" {
				m[r.ID] = r
			}
		}
		return m
	}
	same := func(a, b awssim.Rule) bool {
		return a.CIDR == b.CIDR && a.Description == b.Description && maps.Equal(a.Tags, b.Tags)
	}
	if a, b := theirs(before), theirs(after); !maps.EqualFunc(a, b, same) {
		l.fault("I1: laptop %d writes to a rule of somebody else%s", l.index, l.listing())
	}
}

// careful: while the own address is unknown nothing is opened, moved or removed, but for a rule whose last lease
// was the own one and has ended (I2); nothing but the own address is ever opened (I5, I10).
func (l *laptop) careful(before, after []awssim.Rule) {
	was := map[string]awssim.Rule{}
	for _, r := range before {
		was[r.ID] = r
	}
	for _, r := range after {
		old, ok := was[r.ID]
		delete(was, r.ID)
		if ok && old.CIDR == r.CIDR {
			continue
		}
		if !l.saw.IsValid() || r.CIDR != l.saw.String()+"/32" {
			l.fault("I2, I5: laptop %d opens %s, and knows %v%s", l.index, r.CIDR, l.saw, l.listing())
		}
	}
	for _, r := range was {
		mine, live := false, false
		for k, v := range r.Tags {
			lease, ok := sgsync.ParseLease(k, v)
			mine = mine || ok && l.mine(lease)
			live = live || ok && lease.Live(time.Now())
		}
		if !l.saw.IsValid() && (!mine || live) && !l.releasing {
			l.fault("I2: laptop %d removes %s while its address is unknown%s", l.index, r.CIDR, l.listing())
		}
	}
}

// believe notes what a good round told: where access stands for certain, or when it will. The caller holds the lock.
func (l *laptop) believe(rep keeper.Report) {
	l.claim, l.firmAt = claim{}, time.Time{}
	if len(rep.Warnings) > 0 {
		l.fault("laptop %d is warned: %q", l.index, rep.Warnings)
	}
	if !l.saw.IsValid() || len(rep.Targets) != 1 || len(rep.Targets[0].Groups) != 1 {
		return
	}
	cidr := l.saw.String() + "/32"
	var last *keeper.ChangeReport
	for i, c := range rep.Targets[0].Groups[0].Changes {
		if c.CIDR == cidr && c.Do != string(sgsync.Purge) {
			last = &rep.Targets[0].Groups[0].Changes[i]
		}
	}
	if last == nil {
		return
	}
	l.tell("%d is told: %s %s, firm: %v", l.index, last.Do, cidr, last.Firm)
	switch {
	case last.Do == string(sgsync.Borrow) || last.Do == string(sgsync.Remove) || last.Do == string(sgsync.Leave):
	case l.swept[last.Rule]: // by the administrator: a stale read hides it
	case last.Firm:
		l.claim = claim{rule: last.Rule, cidr: cidr, until: time.Now().Add(teamLease/2 - teamQuick)}
		if !admits(l.sim.Rules(l.group), cidr) {
			l.fault("laptop %d is told that its lease on %s is firm, and there is no such rule%s", l.index, cidr, l.listing())
		}
	case last.FirmFrom != nil:
		l.firmAt = *last.FirmFrom
	}
}

// watch: whoever is well and knows its address is not shut out for longer than a join takes and a round, and a
// lease becomes firm when it should. The caller holds the lock.
func (l *laptop) watch() {
	now := time.Now()
	if l.away || !l.addr.IsValid() || admits(l.sim.Rules(l.group), l.addr.String()+"/32") {
		l.shut = time.Time{}
	} else if l.shut.IsZero() {
		l.shut = now
	} else if since := later(l.shut, l.well); now.Sub(since) > sgsync.D+teamQuick {
		l.fault("laptop %d is shut out of %v since %v%s", l.index, l.addr, now.Sub(since), l.listing())
	}
	if since := later(l.firmAt, l.well); !l.firmAt.IsZero() && !l.away && now.Sub(since) > teamQuick {
		l.fault("the lease of laptop %d should be firm since %v, and it does not know", l.index, now.Sub(since))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// converged: everybody who lives has a firm lease for its address, and nothing else of ours is left.
func (w *team) converged() {
	rules := w.sim.Rules(w.group)
	wanted := map[string]bool{}
	for _, l := range w.laptops {
		if l.gone {
			continue
		}
		cidr := l.addr.String() + "/32"
		wanted[cidr] = true
		at := slices.IndexFunc(rules, func(r awssim.Rule) bool { return r.FromPort == 22 && r.CIDR == cidr })
		switch {
		case at < 0:
			w.fault("in the end laptop %d has no rule for %s%s", l.index, cidr, w.listing())
		case rules[at].Tags[sgsync.OwnerTag] != "" && (l.claim.cidr != cidr || !l.leased(rules[at])):
			w.fault("in the end laptop %d has no firm lease on %s%s", l.index, cidr, w.listing())
		}
	}
	alive := slices.ContainsFunc(w.laptops, func(l *laptop) bool { return !l.gone })
	for _, r := range rules {
		if alive && r.Tags[sgsync.OwnerTag] != "" && !wanted[r.CIDR] {
			w.fault("in the end %s is left over%s", r.CIDR, w.listing())
		}
	}
}

// leased reports whether a rule has a live lease of the laptop.
func (l *laptop) leased(r awssim.Rule) bool {
	for k, v := range r.Tags {
		if lease, ok := sgsync.ParseLease(k, v); ok && l.mine(lease) && lease.Live(time.Now()) {
			return true
		}
	}
	return false
}

func (l *laptop) mine(lease sgsync.Lease) bool {
	return lease.UserID == l.client.Identity().UserID && lease.Installation == l.id()
}
