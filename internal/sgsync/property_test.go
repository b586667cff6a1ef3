package sgsync_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

// draw is the source of choices: rapid (which shrinks) or a fuzzer's bytes.
type draw func(n int) int

func rapidDraw(t *rapid.T) draw {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
}

var people = []Me{alice, bob, carol, me("AIDAALICE", "a2")}

// randomRules fills a group with rules of every kind: ours, ours damaged, EMR's and an administrator's.
func randomRules(d draw, w *world) {
	taken := map[string]bool{}
	for range d(7) {
		r := Rule{Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: randomPrefix(d)}
		switch d(8) {
		case 0:
			r.FromPort, r.ToPort = 0, 65535
		case 1:
			r.Protocol, r.FromPort, r.ToPort = "-1", -1, -1
		case 2:
			r.SourceGroup, r.CIDR = group, netip.Prefix{}
		case 3:
			r.FromPort, r.ToPort = 8443, 8443
		}
		if key := fmt.Sprint(r.Protocol, r.FromPort, r.CIDR); taken[key] { // EC2 holds a tuple once
			continue
		} else {
			taken[key] = true
		}
		r.Tags = map[string]string{}
		if d(4) > 0 {
			r.Tags[OwnerTag] = people[d(len(people))].UserID
		}
		for _, p := range people {
			if d(3) > 0 {
				continue
			}
			r.Tags[p.Key()] = FormatLease(w.now.Add(time.Duration(d(40)-15)*time.Hour/2), w.now.Add(time.Duration(d(9)-6)*10*time.Second), "x@y")
			if d(12) == 0 {
				r.Tags[p.Key()] = []string{"", "garbage", "2099-01-01T00:00:00Z 2026-01-01T00:00:00Z x"}[d(3)]
			}
		}
		if d(15) == 0 {
			r.Tags[ProvisionedTag] = "true"
		}
		w.put(r)
	}
}

func randomPrefix(d draw) netip.Prefix {
	all := pfxs("198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32", "198.51.100.4/32", "2001:db8::1/128", "2001:db8::2/128",
		"2001:db8:0:1::/64", "192.0.2.0/28", "198.51.100.0/28", "203.0.0.0/16", "0.0.0.0/0", "::/0", "10.0.0.0/8")
	return all[d(len(all))]
}

func randomFamily(d draw, now time.Time, v4 bool) Family {
	self := pfxs("2001:db8::1/128", "2001:db8::2/128")
	if v4 {
		self = pfxs("198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32")
	}
	f := Family{State: Knowledge(d(3)), Since: now.Add(-time.Duration(d(20)) * time.Hour)}
	if f.State == Known {
		f.Self = []netip.Prefix{self[d(len(self))]}
		if d(4) == 0 {
			f.Held = []netip.Prefix{self[d(len(self))]}
		}
	}
	return f
}

func randomWant(d draw, now time.Time) Want {
	p := Port{Port: 22, V4: randomFamily(d, now, true), V6: randomFamily(d, now, false)}
	if d(3) == 0 {
		p.Trusted = pfxs("192.0.2.0/28", "198.51.100.4/32", "10.0.0.0/8")[:1+d(3)]
	}
	return Want{Group: group, Ports: []Port{p}, Complete: d(4) > 0, ReportExpired: d(6) == 0}
}

type fataler interface{ Fatalf(string, ...any) }

// checkPlan is what holds for every plan and its application, whatever the input.
func checkPlan(t fataler, d draw) {
	w := newWorld()
	randomRules(d, w)
	want, m := randomWant(d, w.now), people[d(2)]
	have := Have{View: w.view(), Bare: map[string]time.Time{}}
	for _, r := range have.Rules {
		if d(2) == 0 {
			have.Bare[r.ID] = w.now.Add(-time.Minute)
		}
	}
	plan := Plan(want, have, m, w.now)
	port := want.Ports[0]

	// I8: the plan does not depend on the order of its input.
	shuffled, other := have, want
	shuffled.Rules = slices.Clone(have.Rules)
	rand.New(rand.NewPCG(1, uint64(d(100)))).Shuffle(len(shuffled.Rules), func(i, j int) {
		shuffled.Rules[i], shuffled.Rules[j] = shuffled.Rules[j], shuffled.Rules[i]
	})
	other.Ports = slices.Clone(want.Ports)
	other.Ports[0].Trusted = slices.Clone(port.Trusted)
	slices.Reverse(other.Ports[0].Trusted)
	if got := Plan(other, shuffled, m, w.now); !reflect.DeepEqual(plan, got) {
		t.Fatalf("I8: the order matters:\n%s\n%s", brief(plan), brief(got))
	}

	byID := map[string]Rule{}
	for _, r := range have.Rules {
		byID[r.ID] = r
	}
	for _, c := range plan.List {
		r := byID[c.Rule]
		f := port.V6
		if c.CIDR.Addr().Is4() {
			f = port.V4
		}
		if c.Write() && c.Do != Add && !r.Managed() { // I1
			t.Fatalf("I1: %s of a rule that is not ours: %+v", c.Do, r)
		}
		mine, _ := ParseLease(m.Key(), r.Tags[m.Key()])
		lapsed := c.Do == Remove && r.Tags[m.Key()] != "" && mine.Err == nil && !mine.End.After(w.now.Add(-Grace))
		if f.State == Unknown && c.Write() && c.Do != Renew && c.Do != Purge && !lapsed { // I2
			t.Fatalf("I2: %s %s while the address is unknown", c.Do, c.CIDR)
		}
		if c.Do == Move || c.Do == Remove { // I4
			for _, l := range r.Leases() {
				if l.Key != m.Key() && l.Live(w.now) {
					t.Fatalf("I4: %s of a rule with a live lease %q", c.Do, l.Key)
				}
			}
		}
		if c.Do == Add || c.Do == Move || c.Do == Join { // I10
			asked := slices.Contains(port.Trusted, c.CIDR) && !TooWide(c.CIDR)
			host := slices.Contains(f.Self, c.CIDR) && f.State == Known
			if !asked && !host {
				t.Fatalf("I10: %s %s, which nobody asked for", c.Do, c.CIDR)
			}
		}
	}

	self, covered := guardCover(t, w, port)
	foreign := map[string]Rule{}
	for id, r := range w.rules {
		if !r.Managed() {
			foreign[id] = r
		}
	}
	res := Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have, plan)
	if res.Err != nil || res.Replan {
		t.Fatalf("apply %s: %v, replan %v", brief(plan), res.Err, res.Replan)
	}
	for _, a := range self {
		if !covered(a) {
			t.Fatalf("%s is not covered after %s", a, brief(plan))
		}
	}
	for id, r := range foreign {
		if !reflect.DeepEqual(w.rules[id], r) {
			t.Fatalf("I1: a foreign rule was changed: %+v", r)
		}
	}

	// I7: a second round right after writes nothing (purges are rationed, so let those run out).
	for range 20 {
		have.View = w.view()
		again := Plan(want, have, m, w.now)
		writes := again.Writes()
		if len(writes) == 0 {
			return
		}
		if slices.ContainsFunc(writes, func(c Change) bool { return c.Do != Purge }) {
			t.Fatalf("I7: after %s the next round does %s", brief(plan), brief(again))
		}
		Applier{API: w, Wall: func() time.Time { return w.now }}.Apply(context.Background(), have, again)
	}
	t.Fatalf("I7: purging never ends")
}

// guardCover watches over I3: what covers a known address before a call covers it after.
func guardCover(t fataler, w *world, port Port) (self []netip.Addr, covered func(netip.Addr) bool) {
	covered = func(a netip.Addr) bool {
		for _, r := range w.rules {
			if r.CIDR.IsValid() && r.CIDR.Contains(a) && (r.Protocol == "-1" || r.Protocol == "tcp" && r.FromPort <= 22 && 22 <= r.ToPort) {
				return true
			}
		}
		return false
	}
	for _, f := range []Family{port.V4, port.V6} {
		for _, p := range f.Self {
			self = append(self, p.Addr())
		}
	}
	was := map[netip.Addr]bool{}
	w.before = func() {
		for _, a := range self {
			was[a] = covered(a)
		}
	}
	w.after = func() {
		for _, a := range self {
			if was[a] && !covered(a) {
				t.Fatalf("I3: %s lost its cover in %q", a, w.calls[len(w.calls)-1])
			}
		}
	}
	return self, covered
}

// In a full group, too, what is removed to make room covers no known address.
func TestFullGroupProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := rapidDraw(rt)
		w := newWorld()
		randomRules(d, w)
		want := randomWant(d, w.now)
		guardCover(rt, w, want.Ports[0])
		w.fail = func(call string) error {
			if strings.HasPrefix(call, "authorize") {
				return ErrQuota
			}
			return nil
		}
		if res := try(w, want, people[d(2)], 0); res.Err != nil && !errors.Is(res.Err, ErrQuota) {
			rt.Fatalf("%v", res.Err)
		}
	})
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkPlan(t, rapidDraw(t)) })
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte("any bytes at all: they become choices 0123456789"))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkPlan(t, func(n int) int {
			if len(data) == 0 {
				return 0
			}
			var b [8]byte
			copy(b[:], data[:1])
			data = data[1:]
			return int(binary.LittleEndian.Uint64(b[:]) % uint64(n))
		})
	})
}
