package sgsync_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func TestOverlay(t *testing.T) {
	w := newWorld()
	w.put(rule("203.0.113.7/32", alice, alice, day, -1))
	before := w.view()
	res := try(w, wants(knows("198.51.100.7/32")), alice, 0)
	after := w.view()
	stale := before
	for _, tt := range []struct {
		age  time.Duration
		read View
		want string
	}{
		{time.Second, stale, "198.51.100.7/32"},
		{time.Second, after, "198.51.100.7/32"},
		{Sigma, stale, "203.0.113.7/32"},
		{-time.Hour, stale, "203.0.113.7/32"},
	} {
		tt.read.Sent = t0.Add(tt.age)
		if got := Overlay(tt.read, res.Journal).Rules[0].CIDR.String(); got != tt.want {
			t.Errorf("age %v: %s, want %s", tt.age, got, tt.want)
		}
	}
	if before.Rules[0].CIDR != pfx("203.0.113.7/32") {
		t.Error("the read itself was changed")
	}
}

func TestOverlayEachKind(t *testing.T) {
	key := alice.Key()
	base := View{Group: group, Sent: t0, Rules: []Rule{rule("203.0.113.7/32", bob, bob, day, -1)}}
	base.Rules[0].ID, base.Rules[0].Group = "sgr-1", group
	w := func(do Do, id string) Write {
		return Write{At: t0, Do: do, Group: group, ID: id, Port: 22, CIDR: pfx("192.0.2.1/32"), Key: key, Value: "v", Tags: map[string]string{OwnerTag: "x"}}
	}
	journal := []Write{w(Add, "sgr-2"), w(Add, "sgr-1"), w(Join, "sgr-1"), w(Join, "sgr-9"), {At: t0, Do: Remove, Group: "sg-other", ID: "sgr-1"}}
	got := Overlay(base, journal)
	if len(got.Rules) != 2 || got.Rules[0].Tags[key] != "v" || got.Rules[1].ID != "sgr-2" || !got.Rules[1].Managed() {
		t.Errorf("%+v", got.Rules)
	}
	if got := Overlay(base, append(journal, w(Leave, "sgr-1"), w(Remove, "sgr-2"))); len(got.Rules) != 1 || got.Rules[0].Tags[key] != "" {
		t.Errorf("%+v", got.Rules)
	}
	if _, changed := base.Rules[0].Tags[key]; changed {
		t.Error("the read itself was changed")
	}
	if n := len(Recent(journal, t0.Add(Sigma))); n != 0 {
		t.Errorf("%d writes are still recent after σ", n)
	}
	if !slices.EqualFunc(Recent(journal, t0), journal, func(a, b Write) bool { return a.ID == b.ID && a.Do == b.Do }) {
		t.Error("recent writes lost")
	}
}

// EC2 may show a new rule before its tags. What is known to be ours is not taken for a stranger's; what was given
// back since is not taken for ours.
func TestOverlayOfATornRule(t *testing.T) {
	w := newWorld()
	res := try(w, wants(knows("198.51.100.7/32")), alice, 0)
	torn := w.view()
	torn.Rules[0].Tags = map[string]string{"cost": "1"}
	if got := brief(Plan(wants(knows("198.51.100.7/32")), Have{View: Overlay(torn, res.Journal)}, alice, t0)); got != "keep 198.51.100.7/32" {
		t.Errorf("plan: %s", got)
	}
	if got := Overlay(torn, res.Journal).Rules[0].Tags; len(got) != 3 || got["cost"] != "1" || len(torn.Rules[0].Tags) != 1 {
		t.Errorf("tags %v, and of the read itself %v", got, torn.Rules[0].Tags)
	}
	left := append(res.Journal, Write{At: t0, Do: Leave, Group: group, ID: res.Outcomes[0].Rule, Key: alice.Key(), Value: res.Outcomes[0].Tags[alice.Key()]})
	if got := Overlay(torn, left).Rules[0].Tags; got[alice.Key()] != "" || got[OwnerTag] == "" {
		t.Errorf("after leaving: %v", got)
	}
	torn.Sent = t0.Add(Sigma)
	if got := Overlay(torn, res.Journal).Rules[0].Tags; len(got) != 1 {
		t.Errorf("after σ: %v", got)
	}
}

// Found by TestSharedGroup: alice joins her rule anew, leaves it, and reads it as it was before both. The lease that is
// read has another value than the one that she gave up; it is not hers any more all the same.
func TestOverlayOfALeaseFromBeforeTheOneThatWasLeft(t *testing.T) {
	w := newWorld()
	id := w.put(rule("198.51.100.7/32", alice, alice, day, 0))
	read := w.view()
	left := []Write{{At: t0, Do: Leave, Group: group, ID: id, Key: alice.Key(), Value: FormatLease(t0.Add(24*time.Hour), t0.Add(D), "alice@laptop")}}
	if tags := Overlay(read, left).Rules[0].Tags; tags[alice.Key()] != "" || tags[OwnerTag] == "" {
		t.Errorf("tags: %v", tags)
	}
	// A lease that was left by an older value, after a renewal or a join whose answer was lost, may be there still.
	for _, do := range []Do{Renew, Join} {
		lost := Write{At: t0, Do: do, Group: group, ID: id, Key: alice.Key(), Value: "newer", Maybe: true}
		tags := map[string]string{OwnerTag: "AIDABOB", alice.Key(): "newer"}
		shown := View{Group: group, Sent: t0, AWS: t0, Rules: []Rule{{ID: id, Group: group, Tags: tags}}}
		if tags := Overlay(shown, append([]Write{lost}, left...)).Rules[0].Tags; tags[alice.Key()] != "newer" {
			t.Errorf("%s: hidden: %v", do, tags)
		}
		again := append([]Write{lost}, left...)
		again = append(again, Write{At: t0, Do: Leave, Group: group, ID: id, Key: alice.Key(), Value: "newer"})
		if tags := Overlay(shown, again).Rules[0].Tags; tags[alice.Key()] != "" {
			t.Errorf("%s: left by its own value, and shown: %v", do, tags)
		}
		if tags := Overlay(read, append([]Write{lost}, left...)).Rules[0].Tags; tags[alice.Key()] != "" {
			t.Errorf("%s: an older value is shown: %v", do, tags)
		}
		for name, change := range map[string]func(*Write){
			"answered":          func(w *Write) { w.Maybe = false },
			"of another rule":   func(w *Write) { w.ID = "sgr-9" },
			"of another person": func(w *Write) { w.Key = bob.Key() },
			"no lease":          func(w *Write) { w.Do = Purge },
		} {
			other := lost
			change(&other)
			if tags := Overlay(shown, append([]Write{other}, left...)).Rules[0].Tags; tags[alice.Key()] != "" {
				t.Errorf("%s, %s: the lease that was left is shown: %v", do, name, tags)
			}
		}
	}
	joined := append(left, Write{At: t0, Do: Join, Group: group, ID: id, Key: alice.Key(), Value: "again"})
	if tags := Overlay(read, joined).Rules[0].Tags; tags[alice.Key()] != "again" {
		t.Errorf("joined since: %v", tags)
	}
	purged := []Write{{At: t0, Do: Purge, Group: group, ID: id, Key: alice.Key(), Value: "another"}}
	if tags := Overlay(read, purged).Rules[0].Tags; tags[alice.Key()] == "" {
		t.Error("a purge deletes the value that it names, and no other")
	}
}
