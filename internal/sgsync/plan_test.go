package sgsync_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/google/go-cmp/cmp"
)

var (
	alice = me("AIDAALICE", "a1")
	bob   = me("AROABOB:bob-at-work", "b1")
	carol = me("AIDACAROL", "c1")
)

// rule makes a managed rule owned by the first holder. A lease is written "holder end firm", in minutes
// from t0.
func rule(cidr string, owner Me, leases ...any) Rule {
	r := Rule{Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: pfx(cidr), Tags: map[string]string{OwnerTag: owner.UserID}}
	for i := 0; i+2 < len(leases); i += 3 {
		h := leases[i].(Me)
		r.Tags[h.Key()] = FormatLease(t0.Add(time.Duration(leases[i+1].(int))*time.Minute), t0.Add(time.Duration(leases[i+2].(int))*time.Minute), "x@y")
	}
	return r
}

// joined is a rule of bob's that alice has joined at a time from t0. His lease is not seen.
func joined(after time.Duration) Rule {
	r := rule("203.0.113.7/32", bob)
	r.Tags[alice.Key()] = FormatLease(t0.Add(after+alice.Lease), t0.Add(after+D), "x@y")
	return r
}

func admin(cidr string) Rule {
	return Rule{Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: pfx(cidr)}
}

const day = 24 * 60

// full is a rule with all the tags it can have, n of them ended leases.
func full(cidr string, n int) Rule {
	r := rule(cidr, bob, bob, day, -day)
	for i := len(r.Tags); i < MaxTags; i++ {
		if n > 0 {
			n--
			r.Tags[Holder{"AIDAOLD", fmt.Sprintf("o%d", i)}.Key()] = FormatLease(t0.Add(-time.Hour), t0.Add(-2*time.Hour), "old@x")
			continue
		}
		r.Tags[fmt.Sprintf("cost-%d", i)] = "1"
	}
	return r
}

func TestPlan(t *testing.T) {
	v4 := func(f Family) Want { return wants(f) }
	home := v4(knows("198.51.100.7/32"))
	unknown := v4(Family{State: Unknown, Since: t0.Add(-time.Hour)})
	edit := func(w Want, f func(*Want)) Want { w.Ports = slices.Clone(w.Ports); f(&w); return w }
	trusted := func(w Want, ps ...string) Want {
		return edit(w, func(w *Want) { w.Ports[0].Trusted = pfxs(ps...) })
	}
	tests := []struct {
		name  string
		want  Want
		rules []Rule
		bare  time.Duration // how long ago rules without a lease were first seen; 0 = never
		out   string        // "do cidr [from]" each, in order
	}{
		{"nothing there/add", home, nil, 0, "add 198.51.100.7/32"},
		{"only foreign rules/add", home, []Rule{admin("203.0.113.9/32"), admin("0.0.0.0/0")}, 0, "add 198.51.100.7/32"},
		{"covered by a wider rule/add all the same", home, []Rule{admin("198.51.0.0/16")}, 0, "add 198.51.100.7/32"},
		{"mine/keep", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1)}, 0, "keep 198.51.100.7/32"},
		{"mine, not firm/keep", home, []Rule{rule("198.51.100.7/32", bob, alice, day, 1, bob, day, -1)}, 0, "keep 198.51.100.7/32 pending"},
		{"mine, past half/renew", home, []Rule{rule("198.51.100.7/32", alice, alice, 11*60, -1)}, 0, "renew 198.51.100.7/32"},
		{"mine, ended/join", home, []Rule{rule("198.51.100.7/32", alice, alice, -1, -60)}, 0, "join 198.51.100.7/32 pending"},
		{"mine, ends within D/join", home, []Rule{rule("198.51.100.7/32", alice, alice, 0, -60)}, 0, "join 198.51.100.7/32 pending"},
		{"mine, end too far ahead/join", home, []Rule{rule("198.51.100.7/32", alice, alice, 30*day, -60)}, 0, "join 198.51.100.7/32 pending"},
		{"a colleague's/join", home, []Rule{rule("198.51.100.7/32", bob, bob, day, -1)}, 0, "join 198.51.100.7/32 pending"},
		{"a colleague's that ended/join", home, []Rule{rule("198.51.100.7/32", bob, bob, -day, -2*day)}, 0, "join 198.51.100.7/32 pending; purge 198.51.100.7/32"},
		{"an administrator's/borrow", home, []Rule{admin("198.51.100.7/32")}, 0, "borrow 198.51.100.7/32"},
		{"borrowed, old one mine/remove", home, []Rule{admin("198.51.100.7/32"), rule("203.0.113.7/32", alice, alice, day, -1)}, 0,
			"borrow 198.51.100.7/32; remove 203.0.113.7/32"},
		{"no room for a tag/borrow", home, []Rule{full("198.51.100.7/32", 0)}, 0, "borrow 198.51.100.7/32"},
		{"no room but ended leases/purge one, join", home, []Rule{full("198.51.100.7/32", 1)}, 0, "purge 198.51.100.7/32; join 198.51.100.7/32 pending"},
		{"tagging refused/borrow", edit(home, func(w *Want) { w.NoJoin = map[string]bool{"sgr-0001": true} }),
			[]Rule{rule("198.51.100.7/32", bob, bob, day, -1)}, 0, "borrow 198.51.100.7/32"},

		{"old address mine alone/move", home, []Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "move 198.51.100.7/32 from 203.0.113.7/32"},
		{"move denied/add, remove", edit(home, func(w *Want) { w.NoMove = true }),
			[]Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"old, lease not firm/add, remove", home, []Rule{rule("203.0.113.7/32", alice, alice, day, 1)}, 0, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"old, created by a colleague/add, remove", home, []Rule{rule("203.0.113.7/32", bob, alice, day, -1)}, 0, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"old, lease ended/add, remove", home, []Rule{rule("203.0.113.7/32", alice, alice, -1, -60)}, 0, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"old, shared/add, leave", home, []Rule{rule("203.0.113.7/32", alice, alice, day, -1, bob, day, -1)}, 0, "add 198.51.100.7/32; leave 203.0.113.7/32"},
		{"old, shared with one that ended a moment ago/add, leave", home,
			[]Rule{rule("203.0.113.7/32", alice, alice, day, -1, bob, -1, -60)}, 0, "add 198.51.100.7/32; leave 203.0.113.7/32"},
		{"old, shared with a lease that cannot be read/add, leave", home, func() []Rule {
			r := rule("203.0.113.7/32", alice, alice, day, -1)
			r.Tags[bob.Key()] = "garbage"
			return []Rule{r}
		}(), 0, "add 198.51.100.7/32; leave 203.0.113.7/32"},
		{"new one is a colleague's/join, remove", home, []Rule{rule("198.51.100.7/32", bob, bob, day, -1), rule("203.0.113.7/32", alice, alice, day, -1)}, 0,
			"join 198.51.100.7/32 pending; remove 203.0.113.7/32"},
		{"old, joined a moment ago, no other lease seen/add, keep for now", home, []Rule{joined(-Sigma + time.Second)}, 0, "keep 203.0.113.7/32 pending; add 198.51.100.7/32"},
		{"old, joined long enough ago, no other lease seen/add, remove", home, []Rule{joined(-Sigma)}, 0, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"nothing wanted, joined a moment ago, no other lease seen/keep for now", v4(Family{State: Absent}), []Rule{joined(0)}, 0, "keep 203.0.113.7/32 pending"},
		{"nothing wanted, firm far ahead: from no join of now/remove", v4(Family{State: Absent}), []Rule{joined(time.Minute)}, 0, "remove 203.0.113.7/32"},
		{"two old ones/move one, remove one", home, []Rule{rule("203.0.113.7/32", alice, alice, day, -1), rule("203.0.113.8/32", alice, alice, day, -1)}, 0,
			"move 198.51.100.7/32 from 203.0.113.7/32; remove 203.0.113.8/32"},
		{"held/kept beside the new one", v4(Family{State: Known, Self: pfxs("198.51.100.7/32"), Held: pfxs("203.0.113.7/32")}),
			[]Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "keep 203.0.113.7/32; add 198.51.100.7/32"},
		{"held and gone/not added", v4(Family{State: Known, Self: pfxs("198.51.100.7/32"), Held: pfxs("203.0.113.7/32")}), nil, 0, "add 198.51.100.7/32"},

		{"unknown/keep", unknown, []Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "keep 203.0.113.7/32"},
		{"unknown, past half/renew", unknown, []Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, 0, "renew 203.0.113.7/32"},
		{"unknown for 13 hours/not renewed", v4(Family{State: Unknown, Since: t0.Add(-13 * time.Hour)}),
			[]Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, 0, "keep 203.0.113.7/32"},
		{"never known/not renewed", v4(Family{}), []Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, 0, "keep 203.0.113.7/32"},
		{"unknown, lease ended/nothing", unknown, []Rule{rule("203.0.113.7/32", alice, alice, -1, -60)}, 0, ""},
		{"unknown, lease ended long ago/remove", unknown, []Rule{rule("203.0.113.7/32", alice, alice, -6, -60)}, 0, "remove 203.0.113.7/32"},
		{"unknown, lease ended long ago, shared/nothing", unknown, []Rule{rule("203.0.113.7/32", alice, alice, -6, -60, bob, day, -60)}, 0, ""},
		{"unknown/others' expired stay", unknown, []Rule{rule("203.0.113.9/32", bob, bob, -day, -2*day)}, 0, ""},
		{"unknown/trusted kept", trusted(unknown, "192.0.2.0/28"), []Rule{rule("192.0.2.0/28", alice, alice, day, -1)}, 0, "keep 192.0.2.0/28"},
		{"unknown/trusted not opened", trusted(unknown, "192.0.2.0/28"), nil, 0, ""},
		{"absent for a minute/keep", v4(Family{State: Absent, Since: t0.Add(-time.Minute)}), []Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "keep 203.0.113.7/32"},
		{"absent for long/remove", v4(Family{State: Absent, Since: t0.Add(-AbsentAfter)}), []Rule{rule("203.0.113.7/32", alice, alice, day, -1)}, 0, "remove 203.0.113.7/32"},
		{"absent for long, shared/leave", v4(Family{State: Absent}), []Rule{rule("203.0.113.7/32", alice, alice, day, -1, bob, day, -1)}, 0, "leave 203.0.113.7/32"},

		{"trusted/add", trusted(home, "192.0.2.0/28"), []Rule{rule("198.51.100.7/32", alice, alice, day, -1)}, 0, "keep 198.51.100.7/32; add 192.0.2.0/28"},
		{"trusted/never moved", trusted(home, "192.0.2.4/32"), []Rule{rule("192.0.2.4/32", alice, alice, day, -1)}, 0, "keep 192.0.2.4/32; add 198.51.100.7/32"},
		{"trusted/own rule not moved there", trusted(home, "192.0.2.4/32"), []Rule{rule("203.0.113.7/32", alice, alice, day, -1), rule("198.51.100.7/32", alice, alice, day, -1)}, 0,
			"keep 198.51.100.7/32; add 192.0.2.4/32; remove 203.0.113.7/32"},
		{"trusted no longer/remove", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("192.0.2.0/28", alice, alice, day, -1)}, 0,
			"keep 198.51.100.7/32; remove 192.0.2.0/28"},
		{"trusted no longer here, but not everything is known/keep", edit(v4(knows("198.51.100.7/32")), func(w *Want) { w.Complete = false }),
			[]Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("192.0.2.0/28", alice, alice, day, -1)}, 0,
			"keep 192.0.2.0/28; keep 198.51.100.7/32"},
		{"trusted too wide/not opened", trusted(home, "10.0.0.0/8"), []Rule{rule("198.51.100.7/32", alice, alice, day, -1)}, 0, "keep 198.51.100.7/32"},
		{"self too wide/not opened", v4(knows("198.51.100.0/24")), nil, 0, ""},

		{"a colleague's live rule/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob, bob, day, -1)}, 0, "keep 198.51.100.7/32"},
		{"a colleague's ended rule/remove", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob, bob, -6, -60)}, 0,
			"keep 198.51.100.7/32; remove 203.0.113.9/32"},
		{"a colleague's rule ended a moment ago/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob, bob, -4, -60)}, 0, "keep 198.51.100.7/32"},
		{"ended, but only to be reported/untouched", edit(v4(knows("198.51.100.7/32")), func(w *Want) { w.ReportExpired = true }),
			[]Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob, bob, -60, -90)}, 0, "keep 198.51.100.7/32"},
		{"ended, provisioned/untouched", home, func() []Rule {
			r := rule("203.0.113.9/32", bob, bob, -60, -90)
			r.Tags[ProvisionedTag] = "true"
			return []Rule{rule("198.51.100.7/32", alice, alice, day, -1), r}
		}(), 0, "keep 198.51.100.7/32"},
		{"joined, provisioned/leave, neither moved nor removed", home, func() []Rule {
			r := rule("203.0.113.7/32", alice, alice, day, -1)
			r.Tags[ProvisionedTag] = "true"
			return []Rule{r}
		}(), 0, "add 198.51.100.7/32; leave 203.0.113.7/32"},
		{"ended on a rule that lives/purge", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob, bob, day, -1, carol, -60, -90)}, 0,
			"keep 198.51.100.7/32; purge 203.0.113.9/32"},
		{"no lease at all, first read/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob)}, 0, "keep 198.51.100.7/32"},
		{"no lease at all, read again too soon/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob)}, Sigma - 1, "keep 198.51.100.7/32"},
		{"no lease at all, second read/remove", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob)}, Sigma,
			"keep 198.51.100.7/32; remove 203.0.113.9/32"},
		{"a wide rule with our tags/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("207.171.0.0/16", bob, bob, -60, -90)}, 0, "keep 198.51.100.7/32"},
		{"public rule with our tags/untouched", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("0.0.0.0/0", alice, alice, day, -90)}, 0, "keep 198.51.100.7/32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			have := Have{Bare: map[string]time.Time{}}
			for _, r := range tt.rules {
				id := w.put(r)
				if tt.bare != 0 {
					have.Bare[id] = t0.Add(-tt.bare)
				}
			}
			have.View = w.view()
			if got := brief(Plan(tt.want, have, alice, t0)); got != tt.out {
				t.Errorf("plan\n got %s\nwant %s", got, tt.out)
			}
		})
	}
}

func brief(c Changes) string {
	var out []string
	for _, c := range c.List {
		s := fmt.Sprintf("%s %s", c.Do, c.CIDR)
		if c.From.IsValid() {
			s += fmt.Sprintf(" from %s", c.From)
		}
		if (c.Do == Keep || c.Do == Join) && !c.Firm {
			s += " pending"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestPlanBothFamilies(t *testing.T) {
	w := newWorld()
	w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	w.put(rule("2001:db8:1::7/128", alice, alice, day, -1))
	want := wants(knows("198.51.100.7/32"))
	want.Ports[0].V6 = knows("2001:db8:2::7/128")
	c := Plan(want, Have{View: w.view()}, alice, t0)
	if got, want := brief(c), "move 198.51.100.7/32 from 203.0.113.7/32; move 2001:db8:2::7/128 from 2001:db8:1::7/128"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want.Ports[0].V6 = Family{State: Unknown, Since: t0}
	if got, want := brief(Plan(want, Have{View: w.view()}, alice, t0)), "keep 2001:db8:1::7/128; move 198.51.100.7/32 from 203.0.113.7/32"; got != want {
		t.Errorf("v6 unknown: got %s, want %s", got, want)
	}
}

func TestPlanOtherPortsAreLeftAlone(t *testing.T) {
	w := newWorld()
	r := rule("203.0.113.7/32", alice, alice, day, -1)
	r.FromPort, r.ToPort = 8443, 8443
	w.put(r)
	if got := brief(Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0)); got != "add 198.51.100.7/32" {
		t.Errorf("got %s", got)
	}
}

func TestPlanFindsPublicRules(t *testing.T) {
	w := newWorld()
	public := []string{
		w.put(admin("0.0.0.0/0")), w.put(admin("::/0")), w.put(admin("64.0.0.0/2")), w.put(admin("2000::/3")),
		w.put(Rule{Protocol: "tcp", FromPort: 0, ToPort: 65535, CIDR: pfx("0.0.0.0/0")}),
		w.put(Rule{Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: pfx("0.0.0.0/0")}),
	}
	w.put(admin("10.0.0.0/8"))
	w.put(Rule{Protocol: "udp", FromPort: 22, ToPort: 22, CIDR: pfx("0.0.0.0/0")})
	w.put(Rule{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: pfx("0.0.0.0/0")})
	w.put(Rule{Protocol: "tcp", FromPort: 0, ToPort: 65535, SourceGroup: group})
	c := Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0)
	if diff := cmp.Diff(public, c.Public); diff != "" {
		t.Error(diff)
	}
}

func TestPlanLooksAgain(t *testing.T) {
	half := t0.Add(12 * time.Hour)
	for _, tt := range []struct {
		name  string
		rules []Rule
		next  time.Time
	}{
		{"kept: when to renew", []Rule{rule("198.51.100.7/32", alice, alice, day, -1)}, half},
		{"not firm", []Rule{rule("198.51.100.7/32", alice, alice, day, 1)}, t0.Add(time.Minute)},
		{"joined", []Rule{rule("198.51.100.7/32", bob, bob, day, -1)}, t0.Add(D)},
		{"borrowed", []Rule{admin("198.51.100.7/32")}, t0.Add(RecheckBorrowed)},
		{"bare rule", []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.9/32", bob)}, t0.Add(Sigma)},
	} {
		w := newWorld()
		for _, r := range tt.rules {
			w.put(r)
		}
		if c := Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0); !c.Next.Equal(tt.next) {
			t.Errorf("%s: next %v, want %v", tt.name, c.Next, tt.next)
		}
	}
}

func TestPlanWarnsOfStrangeLeases(t *testing.T) {
	w := newWorld()
	r := rule("203.0.113.9/32", bob, bob, 30*day, -1)
	r.Tags[LeasePrefix+"x"] = "?"
	w.put(r)
	c := Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0.Add(100*24*time.Hour))
	if len(c.Warnings) != 1 || slices.ContainsFunc(c.List, func(c Change) bool { return c.Do == Remove }) {
		t.Errorf("warnings %q, plan %s", c.Warnings, brief(c))
	}
	c = Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0)
	if len(c.Warnings) != 2 {
		t.Errorf("warnings %q", c.Warnings)
	}
}

// A lease of mine that ends within D is joined anew, as if it had ended: somebody may already have read it
// as ended when the renewal arrives.
func TestPlanAtTheEndOfALease(t *testing.T) {
	for left, want := range map[time.Duration]string{
		D + time.Second: "renew 198.51.100.7/32", D: "join 198.51.100.7/32 pending", D / 2: "join 198.51.100.7/32 pending",
		time.Second: "join 198.51.100.7/32 pending", 0: "join 198.51.100.7/32 pending",
	} {
		w := newWorld()
		r := rule("198.51.100.7/32", alice)
		r.Tags[alice.Key()] = FormatLease(t0.Add(left), t0.Add(-time.Hour), "x@y")
		w.put(r)
		if got := brief(Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, alice, t0)); got != want {
			t.Errorf("%v left: %s, want %s", left, got, want)
		}
	}
}
