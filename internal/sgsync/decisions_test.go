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

// The tests of this file hold what mutation testing (bench/mutate) found no other test to hold: each case is one
// condition of a decision, at its border.

func TestManagedIsExactlyWhatWeWrite(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Rule)
		want bool
	}{
		{"ours", func(*Rule) {}, true},
		{"another protocol", func(r *Rule) { r.Protocol = "udp" }, false},
		{"a range of ports", func(r *Rule) { r.ToPort = 23 }, false},
		{"port 0", func(r *Rule) { r.FromPort, r.ToPort = 0, 0 }, false},
		{"a group for a source", func(r *Rule) { r.CIDR, r.SourceGroup = pfx("0.0.0.0/0"), group; r.CIDR = Rule{}.CIDR }, false},
		{"no owner", func(r *Rule) { delete(r.Tags, OwnerTag) }, false},
		{"as wide as may be", func(r *Rule) { r.CIDR = pfx("192.0.0.0/16") }, true},
		{"wider", func(r *Rule) { r.CIDR = pfx("192.0.0.0/15") }, false},
		{"IPv6, as wide as may be", func(r *Rule) { r.CIDR = pfx("2001:db8::/32") }, true},
		{"IPv6, wider", func(r *Rule) { r.CIDR = pfx("2001:db8::/31") }, false},
		{"IPv6, much wider", func(r *Rule) { r.CIDR = pfx("2000::/12") }, false},
	} {
		r := rule("203.0.113.7/32", alice, alice, day, -1)
		tt.edit(&r)
		if r.Managed() != tt.want {
			t.Errorf("%s: managed %v", tt.name, !tt.want)
		}
	}
}

func TestPublicAndClosableAtTheirBorders(t *testing.T) {
	tcp := func(cidr string, from, to int) Rule {
		return Rule{Protocol: "tcp", FromPort: from, ToPort: to, CIDR: pfx(cidr)}
	}
	number := tcp("0.0.0.0/0", 22, 22)
	number.Protocol = "6"
	tagged := func(key, value string) Rule {
		r := tcp("0.0.0.0/0", 22, 22)
		r.Tags = map[string]string{key: value}
		return r
	}
	for _, tt := range []struct {
		rule             Rule
		public, closable bool
		leave            string // in the reason
	}{
		{tcp("0.0.0.0/0", 22, 22), true, true, ""},
		{tcp("64.0.0.0/7", 22, 22), true, true, ""},
		{tcp("64.0.0.0/8", 22, 22), false, false, ""},
		{tcp("2000::/15", 22, 22), true, true, ""},
		{tcp("2000::/16", 22, 22), false, false, ""},
		{tcp("2000::/9", 22, 22), true, true, ""},
		{tcp("10.0.0.0/7", 22, 22), true, true, ""},
		{tcp("fc00::/6", 22, 22), true, true, ""},
		{tcp("fc00::/7", 22, 22), false, false, ""},
		{tcp("fd00::/8", 22, 22), false, false, ""},
		{tcp("0.0.0.0/0", 0, 21), false, false, ""},
		{tcp("0.0.0.0/0", 23, 30), false, false, ""},
		{tcp("0.0.0.0/0", 0, 22), true, false, "ports 0-22"},
		{tcp("0.0.0.0/0", 22, 23), true, false, "ports 22-23"},
		{Rule{Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: pfx("0.0.0.0/0")}, true, false, "all traffic"},
		{Rule{Protocol: "-1", FromPort: 22, ToPort: 22, CIDR: pfx("0.0.0.0/0")}, true, false, "all traffic"},
		{number, true, false, "ports 22-22"}, // EC2 says "tcp": what it never says is not touched
		{tagged(OwnerTag, "x"), true, false, "tags of emr-accessd"},
		{tagged(LeasePrefix+"x-y", ""), true, false, "tags of emr-accessd"},
		{tagged(ProvisionedTag, ""), true, false, "tags of emr-accessd"},
	} {
		closable, leave := Closable(tt.rule, 22)
		if tt.rule.Public(22) != tt.public || closable != tt.closable || (tt.leave == "") != (leave == "") || !strings.Contains(leave, tt.leave) {
			t.Errorf("%+v: public %v, closable %v, %q", tt.rule, tt.rule.Public(22), closable, leave)
		}
	}
}

// planned is the plan for rules whose ids are their places, read from the last to the first.
func planned(want Want, rules ...Rule) Changes {
	w := newWorld()
	for _, r := range rules {
		w.put(r)
	}
	v := w.view()
	slices.Reverse(v.Rules)
	return Plan(want, Have{View: v}, alice, t0)
}

func provision(r Rule) Rule {
	r.Tags[ProvisionedTag] = "true"
	return r
}

func TestPlanAtItsBorders(t *testing.T) {
	six := func(f Family) Want {
		w := wants(Family{State: Absent})
		w.Ports[0].V6 = f
		return w
	}
	unknown := func(ago time.Duration) Want { return wants(Family{State: Unknown, Since: t0.Add(-ago)}) }
	home := wants(knows("198.51.100.7/32"))
	part := wants(knows("198.51.100.7/32"))
	part.Complete = false
	part64 := six(knows("2001:db8:2::7/128"))
	part64.Complete = false
	invalid := wants(knows("198.51.100.7/32"))
	invalid.Ports[0].Trusted = append(pfxs("192.0.2.0/28"), Rule{}.CIDR)
	invalid6 := six(knows("2001:db8::7/128"))
	invalid6.Ports[0].V6.Self = append(invalid6.Ports[0].V6.Self, Rule{}.CIDR)
	old := rule("203.0.113.7/32", alice, alice, day, -1)
	ends := func(after time.Duration) Rule {
		r := rule("198.51.100.7/32", alice)
		r.Tags[alice.Key()] = FormatLease(t0.Add(after), t0.Add(-time.Hour), "x@y")
		return r
	}
	for _, tt := range []struct {
		name  string
		want  Want
		rules []Rule
		out   string
	}{
		{"a /64 of one's own", six(knows("2001:db8:1::/64")), nil, "add 2001:db8:1::/64"},
		{"no wider than that", six(knows("2001:db8:1::/63")), nil, ""},
		{"nor narrower, but a host", six(knows("2001:db8:1::/65")), nil, ""},
		{"no address at all", invalid, nil, "add 192.0.2.0/28; add 198.51.100.7/32"},
		{"no address at all, IPv6", invalid6, nil, "add 2001:db8::7/128"},
		{"a /64 that nobody wants", part64, []Rule{rule("2001:db8:1::/64", alice, alice, day, -1)}, "move 2001:db8:2::7/128 from 2001:db8:1::/64"},
		{"a host that nobody here wants, with other targets", part, []Rule{old, rule("198.51.100.7/32", alice, alice, day, -1)}, "keep 198.51.100.7/32; remove 203.0.113.7/32"},
		{"a range is not moved", home, []Rule{rule("203.0.113.0/28", alice, alice, day, -1)}, "add 198.51.100.7/32; remove 203.0.113.0/28"},
		{"the first of two is moved, in whatever order they are read", home, []Rule{old, rule("203.0.113.8/32", alice, alice, day, -1)},
			"move 198.51.100.7/32 from 203.0.113.7/32; remove 203.0.113.8/32"},
		{"moved past half of the lease", home, []Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)},
			"move 198.51.100.7/32 from 203.0.113.7/32; renew 198.51.100.7/32"},
		{"moved with an ended lease on it", home, []Rule{rule("203.0.113.7/32", alice, alice, day, -1, bob, -60, -90)},
			"move 198.51.100.7/32 from 203.0.113.7/32; purge 203.0.113.7/32"},
		{"kept with an ended lease on it", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1, bob, -60, -90)}, "keep 198.51.100.7/32; purge 198.51.100.7/32"},
		{"mine before a colleague's, were there two", home, []Rule{rule("198.51.100.7/32", bob, bob, day, -1), rule("198.51.100.7/32", bob, alice, day, -1, bob, day, -1)},
			"keep 198.51.100.7/32"},
		{"mine before a colleague's, were it the first", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("198.51.100.7/32", bob, bob, day, -1)},
			"keep 198.51.100.7/32"},
		{"a colleague's before a stranger's", home, []Rule{admin("198.51.100.7/32"), rule("198.51.100.7/32", bob, bob, day, -1)}, "join 198.51.100.7/32 pending"},
		{"a colleague's before a stranger's, were it the first", home, []Rule{rule("198.51.100.7/32", bob, bob, day, -1), admin("198.51.100.7/32")}, "join 198.51.100.7/32 pending"},
		{"a rule with the address for other ports", home, []Rule{{Protocol: "tcp", FromPort: 22, ToPort: 23, CIDR: pfx("198.51.100.7/32")},
			{Protocol: "udp", FromPort: 22, ToPort: 22, CIDR: pfx("198.51.100.7/32")}, {Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: pfx("198.51.100.7/32")}}, "add 198.51.100.7/32"},
		{"half of the lease left", home, []Rule{ends(alice.Lease / 2)}, "keep 198.51.100.7/32"},
		{"a second less", home, []Rule{ends(alice.Lease/2 - time.Second)}, "renew 198.51.100.7/32"},
		{"held, and my lease has ended: not joined anew", wants(Family{State: Known, Self: pfxs("198.51.100.7/32"), Held: pfxs("203.0.113.7/32")}),
			[]Rule{rule("203.0.113.7/32", alice, alice, -1, -60)}, "add 198.51.100.7/32"},
		{"a self that is also held and trusted", func() Want {
			w := wants(Family{State: Known, Self: pfxs("198.51.100.7/32"), Held: pfxs("198.51.100.7/32")})
			w.Ports[0].Trusted = pfxs("198.51.100.7/32")
			return w
		}(), nil, "add 198.51.100.7/32"},
		{"unknown for just less than too long", unknown(KeepUnknown - time.Second), []Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, "renew 203.0.113.7/32"},
		{"unknown for too long", unknown(KeepUnknown), []Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, "keep 203.0.113.7/32"},
		{"unknown, ended and provisioned", unknown(time.Hour), []Rule{provision(rule("203.0.113.7/32", alice, alice, -60, -90))}, ""},
		{"unknown, an own address of before is no want", wants(Family{State: Unknown, Self: pfxs("198.51.100.7/32"), Since: t0}), []Rule{rule("198.51.100.7/32", bob, bob, -60, -90)}, ""},
		{"a colleague's range is left alone", home, []Rule{rule("192.0.2.0/28", bob, bob, -60, -90)}, "add 198.51.100.7/32"},
		{"a colleague's rule of another port", home, []Rule{func() Rule {
			r := rule("192.0.2.4/32", bob, bob, -60, -90)
			r.FromPort, r.ToPort = 8443, 8443
			return r
		}()}, "add 198.51.100.7/32"},
		{"mine, and ended long ago: joined, not tidied", home, []Rule{rule("198.51.100.7/32", alice, alice, -60, -90)}, "join 198.51.100.7/32 pending"},
		{"old, mine, and ended long ago: removed once", home, []Rule{rule("203.0.113.7/32", alice, alice, -60, -90)}, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"known since a moment ago: what was before goes all the same", wants(Family{State: Known, Self: pfxs("198.51.100.7/32"), Since: t0}),
			[]Rule{rule("203.0.113.7/32", bob, alice, day, -1)}, "add 198.51.100.7/32; remove 203.0.113.7/32"},
		{"unknown for too long: an own address of before is not renewed", wants(Family{State: Unknown, Self: pfxs("203.0.113.7/32"), Since: t0.Add(-13 * time.Hour)}),
			[]Rule{rule("203.0.113.7/32", alice, alice, 11*60, -1)}, "keep 203.0.113.7/32"},
		{"no room for a tag, but mine is there", home, []Rule{func() Rule {
			r := full("198.51.100.7/32", 0)
			delete(r.Tags, "cost-2")
			r.Tags[alice.Key()] = FormatLease(t0.Add(-time.Hour), t0.Add(-2*time.Hour), "x@y")
			return r
		}()}, "join 198.51.100.7/32 pending"},
		{"what goes before what is tidied", home, []Rule{rule("198.51.100.7/32", alice, alice, day, -1, bob, -60, -90), old, rule("203.0.113.8/32", bob, alice, day, -1, bob, day, -1)},
			"keep 198.51.100.7/32; remove 203.0.113.7/32; leave 203.0.113.8/32; purge 198.51.100.7/32"},
		{"a rule full of ended leases is tidied by and by", home, []Rule{full("203.0.113.9/32", 8)},
			"add 198.51.100.7/32; purge 203.0.113.9/32; purge 203.0.113.9/32; purge 203.0.113.9/32"},
	} {
		if got := brief(planned(tt.want, tt.rules...)); got != tt.out {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, tt.out)
		}
	}
}

// What a plan tells beside its changes is told once and in one order, whatever the number of ports.
func TestPlanTellsOnce(t *testing.T) {
	want := wants(knows("198.51.100.7/32"))
	want.ReportExpired = true
	second := want.Ports[0]
	second.Port = 8443
	want.Ports = []Port{second, want.Ports[0]} // not in order
	open := Rule{Protocol: "tcp", FromPort: 1, ToPort: 65535, CIDR: pfx("0.0.0.0/0")}
	on := func(port int, r Rule) Rule { r.FromPort, r.ToPort = port, port; return r }
	strange := rule("192.0.2.9/32", bob)
	strange.Tags[LeasePrefix+"\u00e4"], strange.Tags[LeasePrefix+"\u00f6"] = "?", "?" // shown alike
	wide := rule("192.0.0.0/8", alice, alice, day, -1)
	list := Rule{Protocol: "tcp", FromPort: 22, ToPort: 22, PrefixList: "pl-1", Tags: map[string]string{LeasePrefix + "x": "?"}}
	got := planned(want, open, on(8443, rule("192.0.2.1/32", bob)), rule("192.0.2.2/32", bob), on(8443, rule("192.0.2.3/32", bob, bob, -60, -90)),
		rule("192.0.2.4/32", bob, bob, -60, -90), open, strange, on(8443, strange), wide, list,
		on(9999, strange), rule("198.51.100.7/32", alice, alice, day, -1), admin("192.0.2.8/32"))
	if diff := cmp.Diff([]string{"sgr-0001", "sgr-0006"}, got.Public); diff != "" {
		t.Errorf("public: %s", diff)
	}
	if diff := cmp.Diff([]string{"sgr-0002", "sgr-0003"}, got.Bare); diff != "" {
		t.Errorf("bare: %s", diff)
	}
	if diff := cmp.Diff([]string{"sgr-0004", "sgr-0005"}, got.Expired); diff != "" {
		t.Errorf("expired: %s", diff)
	}
	if len(got.Warnings) != 3 || !slices.IsSorted(got.Warnings) || !strings.Contains(got.Warnings[2], "carries our lease but is not") {
		t.Errorf("warnings: %q", got.Warnings)
	}
	var order []int
	for _, c := range got.List {
		order = append(order, c.Port)
	}
	if !slices.Equal(order, []int{22, 8443}) {
		t.Errorf("ports of the changes: %v", order)
	}
}

// What a new lease says: my tags, my end, firm when the protocol allows it, and no sooner.
func TestPlanWritesItsLease(t *testing.T) {
	m := alice
	m.Tags = map[string]string{"team": "data", OwnerTag: "forged"}
	want := wants(knows("198.51.100.7/32"))
	add := Plan(want, Have{View: newWorld().view()}, m, t0).List[0]
	if add.Tags["team"] != "data" || add.Tags[OwnerTag] != alice.UserID || !add.Firm {
		t.Errorf("add: %+v", add)
	}
	for name, tt := range map[string]struct {
		rule     Rule
		firmFrom time.Time
	}{
		"join": {rule("198.51.100.7/32", bob, bob, day, -1), t0.Add(D)},
		// A renewal does not make a lease firm: that it was joined a moment ago must outlive it.
		"renew": {rule("198.51.100.7/32", bob, alice, 11*60, 1, bob, day, -1), t0.Add(time.Minute)},
	} {
		c := planned(want, tt.rule).List[0]
		l, ok := ParseLease(c.Key, c.Value)
		if string(c.Do) != name || !ok || l.Err != nil || l.Holder != alice.Holder || !l.End.Equal(t0.Add(alice.Lease)) || !l.FirmFrom.Equal(tt.firmFrom) || l.Who != alice.Who {
			t.Errorf("%s: %s %+v", name, c.Do, l)
		}
		if c.Firm || !c.FirmFrom.Equal(tt.firmFrom) || c.Why == "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	moved := planned(want, rule("203.0.113.7/32", alice, alice, 11*60, -1)).List
	if len(moved) != 2 || !moved[0].Firm || !moved[1].Firm || moved[0].Key != alice.Key() {
		t.Errorf("move: %+v", moved)
	}
}

// Pending is what a program waits for before it says that the address is let in for good.
func TestPending(t *testing.T) {
	home := wants(knows("198.51.100.7/32"))
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  bool
	}{
		{"added", nil, false},
		{"kept, firm", []Rule{rule("198.51.100.7/32", alice, alice, day, -1)}, false},
		{"kept, not firm", []Rule{rule("198.51.100.7/32", bob, alice, day, 1, bob, day, -1)}, true},
		{"joined", []Rule{rule("198.51.100.7/32", bob, bob, day, -1)}, true},
		{"borrowed: it never will be", []Rule{admin("198.51.100.7/32")}, false},
		{"what goes is not waited for", []Rule{rule("198.51.100.7/32", alice, alice, day, -1), rule("203.0.113.7/32", alice, alice, day, -1)}, false},
		{"nor what is tidied first", []Rule{full("198.51.100.7/32", 1)}, true},
	} {
		if got := planned(home, tt.rules...); got.Pending() != tt.want {
			t.Errorf("%s: pending %v: %s", tt.name, got.Pending(), brief(got))
		}
	}
	if (Changes{List: []Change{{Do: Purge}}}).Pending() {
		t.Error("tidying is not waited for")
	}
}

// A look that comes too late costs access, one too many a call: the plan says when.
func TestPlanLooksAgainForWhatWasJoined(t *testing.T) {
	none := wants(Family{State: Absent})
	c := planned(none, joined(0))
	if due := t0.Add(Sigma); !c.Unshown.Equal(due) || !c.Next.Equal(due) {
		t.Errorf("next %v, unshown %v, want %v", c.Next, c.Unshown, due)
	}
	early := joined(-2 * time.Second)
	early.CIDR = pfx("203.0.113.8/32")
	for _, rules := range [][]Rule{{joined(0), early}, {early, joined(0)}} {
		if c := planned(none, rules...); !c.Unshown.Equal(t0.Add(Sigma)) || !c.Next.Equal(t0.Add(Sigma-2*time.Second)) {
			t.Errorf("two: next %v, unshown %v", c.Next, c.Unshown)
		}
	}
	for name, edit := range map[string]func(*Rule){
		"an end that is too far ahead": func(r *Rule) { r.Tags[alice.Key()] = FormatLease(t0.Add(30*24*time.Hour), t0.Add(D), "x") },
		"an end that has passed":       func(r *Rule) { r.Tags[alice.Key()] = FormatLease(t0, t0.Add(D), "x") },
		"what cannot be read":          func(r *Rule) { r.Tags[alice.Key()] = "?" },
	} {
		r := joined(0)
		edit(&r)
		if got := brief(planned(none, r)); got != "remove 203.0.113.7/32" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := brief(planned(none, joined(ClockGrain))); got != "keep 203.0.113.7/32 pending" {
		t.Errorf("joined a grain of the clock ahead: %s", got)
	}
}

func TestPlanLooksAgainForWhatOthersHold(t *testing.T) {
	home := wants(knows("198.51.100.7/32"))
	if c := planned(home, full("198.51.100.7/32", 0)); !c.Next.Equal(t0.Add(RecheckBorrowed)) {
		t.Errorf("no room for a lease: next %v", c.Next)
	}
	w := newWorld()
	w.put(rule("198.51.100.7/32", alice, alice, day, -1))
	bare := w.put(rule("203.0.113.9/32", bob))
	seen := t0.Add(-Sigma / 2)
	if c := Plan(home, Have{View: w.view(), Bare: map[string]time.Time{bare: seen}}, alice, t0); !c.Next.Equal(seen.Add(Sigma)) {
		t.Errorf("a rule without a lease: next %v", c.Next)
	}
	if c := planned(home, rule("198.51.100.7/32", bob, bob, day, -1), rule("198.51.100.7/32", bob, bob, day, -1)); c.List[0].Rule != "sgr-0001" {
		t.Errorf("of two that are alike: %s", c.List[0].Rule)
	}
}

func TestShift(t *testing.T) {
	w := Want{Ports: []Port{{Port: 22, V4: Family{State: Unknown, Since: t0}, V6: Family{State: Absent}}}}
	got := w.Shift(time.Minute)
	if !got.Ports[0].V4.Since.Equal(t0.Add(time.Minute)) || !got.Ports[0].V6.Since.IsZero() || got.Ports[0].Port != 22 || !w.Ports[0].V4.Since.Equal(t0) {
		t.Errorf("%+v from %+v", got, w)
	}
}

// A lease that ends before what was promised is renewed early, unless no lease could last so long.
func TestPlanKeepsPromises(t *testing.T) {
	const far = "renew: it is to last longer"
	for _, tt := range []struct {
		ends, promised time.Duration // from now; a promise of 0 is none
		want           string
	}{
		{13 * time.Hour, 0, "keep: "},
		{13 * time.Hour, 13*time.Hour - time.Second, "keep: "},
		{13 * time.Hour, 13 * time.Hour, "keep: "},
		{13 * time.Hour, 13*time.Hour + time.Second, far},
		{13 * time.Hour, alice.Lease, far},
		{13 * time.Hour, alice.Lease + time.Second, "keep: "},
		{alice.Lease / 2, 0, "keep: "},
		{alice.Lease / 2, 20 * time.Hour, far},
		{alice.Lease/2 - time.Second, 20 * time.Hour, "renew: past half of the lease"},
		{alice.Lease/2 - time.Second, 0, "renew: past half of the lease"},
	} {
		w, me := newWorld(), alice
		if tt.promised > 0 {
			me.Promised = t0.Add(tt.promised)
		}
		r := rule("198.51.100.7/32", alice)
		r.Tags[alice.Key()] = FormatLease(t0.Add(tt.ends), t0.Add(-time.Hour), "x@y")
		w.put(r)
		got := Plan(wants(knows("198.51.100.7/32")), Have{View: w.view()}, me, t0).List
		if len(got) != 1 || fmt.Sprintf("%v: %s", got[0].Do, got[0].Why) != tt.want {
			t.Errorf("ends in %v, promised for %v: %+v\nwant %s", tt.ends, tt.promised, got, tt.want)
		}
	}
}
