package sgsync_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

// closeWorld is a group with a public rule and an own one, and a closer that counts what it revokes.
type closeWorld struct {
	*world
	public, own string
	sent        time.Time // of the reads
	wall        time.Time
	revoked     []string
	recorded    []Rule
	fail        error
	acts        bool // although it fails
}

func newCloseWorld() *closeWorld {
	w := &closeWorld{world: newWorld(), sent: t0, wall: t0}
	w.public = w.put(Rule{CIDR: pfx("0.0.0.0/0"), Description: "legacy", Tags: map[string]string{"team": "data"}})
	w.own = w.put(Rule{CIDR: pfx("198.51.100.1/32"), Tags: map[string]string{OwnerTag: alice.UserID, alice.Key(): FormatLease(t0.Add(time.Hour), t0, "alice@laptop")}})
	return w
}

func (w *closeWorld) edit(id string, change func(*Rule)) {
	r := w.rules[id]
	r.Tags = maps.Clone(r.Tags)
	change(&r)
	w.rules[id] = r
}

func (w *closeWorld) footing() Footing {
	return Footing{Group: group, Rule: w.own, Holder: alice.Holder}
}

func (w *closeWorld) close(shown Rule) (bool, error) {
	c := Closer{
		Rules: func(_ context.Context, id string) (View, error) {
			v := w.view()
			v.Group, v.Sent = id, w.sent
			return v, nil
		},
		Revoke: func(_ context.Context, _, id string) error {
			w.revoked = append(w.revoked, id)
			if w.acts {
				delete(w.rules, id)
			}
			return w.fail
		},
		Before: func(r Rule) error {
			w.recorded = append(w.recorded, r)
			return nil
		},
		Wall: func() time.Time { return w.wall },
	}
	return c.Close(context.Background(), shown, 22, w.footing())
}

func TestCloseGuard(t *testing.T) {
	lease := func(end, firm time.Duration) string { return FormatLease(t0.Add(end), t0.Add(firm), "x") }
	lost := errors.New("the answer was lost")
	for _, tt := range []struct {
		name string
		do   func(*closeWorld)
		gone bool
		late bool  // only the call told that it is gone
		want error // nil: it is revoked, or gone
	}{
		{name: "as shown"},
		{name: "another description", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.Description = "other" }) }},
		{name: "gone", do: func(w *closeWorld) { delete(w.rules, w.public) }, gone: true},
		{name: "gone between read and write", do: func(w *closeWorld) { w.fail = ErrGone }, gone: true, late: true},
		{name: "the answer is lost", do: func(w *closeWorld) { w.fail = lost }, want: lost},
		{name: "the answer is lost, and it acted", do: func(w *closeWorld) { w.fail, w.acts = lost, true }},
		{name: "refused", do: func(w *closeWorld) { w.fail = ErrDenied }, want: ErrDenied},
		{name: "narrowed in the meantime", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.CIDR = pfx("192.0.2.0/24") }) }, want: ErrNotPublic},
		{name: "another public source", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.CIDR = pfx("0.0.0.0/1") }) }, want: ErrNotPublic},
		{name: "another port", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.FromPort, r.ToPort = 80, 80 }) }, want: ErrNotPublic},
		{name: "widened to a range", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.ToPort = 23 }) }, want: ErrNotPublic},
		{name: "tagged as ours", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.Tags[OwnerTag] = "AIDABOB" }) }, want: ErrNotPublic},
		{name: "leased", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.Tags[bob.Key()] = lease(1, 0) }) }, want: ErrNotPublic},
		{name: "provisioned", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.Tags[ProvisionedTag] = "" }) }, want: ErrNotPublic},
		{name: "in another group", do: func(w *closeWorld) { w.edit(w.public, func(r *Rule) { r.Group = otherGroup }) }, want: ErrNotPublic},
		{name: "no own rule", do: func(w *closeWorld) { delete(w.rules, w.own) }, want: ErrNoFooting},
		{name: "own lease ended", do: func(w *closeWorld) { w.edit(w.own, func(r *Rule) { r.Tags[alice.Key()] = lease(-time.Hour, 0) }) }, want: ErrNoFooting},
		{name: "own lease about to end", do: func(w *closeWorld) { w.edit(w.own, func(r *Rule) { r.Tags[alice.Key()] = lease(D, 0) }) }, want: ErrNoFooting},
		{name: "own lease not firm", do: func(w *closeWorld) {
			w.edit(w.own, func(r *Rule) { r.Tags[alice.Key()] = lease(time.Hour, time.Second) })
		}, want: ErrNoFooting},
		{name: "own rule for another port", do: func(w *closeWorld) { w.edit(w.own, func(r *Rule) { r.FromPort, r.ToPort = 2222, 2222 }) }, want: ErrNoFooting},
		{name: "own lease unreadable", do: func(w *closeWorld) { w.edit(w.own, func(r *Rule) { r.Tags[alice.Key()] = "x" }) }, want: ErrNoFooting},
		{name: "somebody else's lease", do: func(w *closeWorld) {
			w.edit(w.own, func(r *Rule) { delete(r.Tags, alice.Key()); r.Tags[bob.Key()] = lease(time.Hour, 0) })
		}, want: ErrNoFooting},
		{name: "the lease of another computer of mine", do: func(w *closeWorld) {
			other := Holder{UserID: alice.UserID, Installation: "a2"}
			w.edit(w.own, func(r *Rule) { delete(r.Tags, alice.Key()); r.Tags[other.Key()] = lease(time.Hour, 0) })
		}, want: ErrNoFooting},
		{name: "own rule without owner", do: func(w *closeWorld) { w.edit(w.own, func(r *Rule) { delete(r.Tags, OwnerTag) }) }, want: ErrNoFooting},
		{name: "the laptop slept", do: func(w *closeWorld) { w.wall = t0.Add(WriteWindow + 1) }, want: ErrStale},
		{name: "the clock went back", do: func(w *closeWorld) { w.wall = t0.Add(-1) }, want: ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCloseWorld()
			shown := w.rules[w.public]
			if tt.do != nil {
				tt.do(w)
			}
			gone, err := w.close(shown)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil || gone != tt.gone {
				t.Fatalf("gone %v, %v; want %v, %v", gone, err, tt.gone, tt.want)
			}
			write := tt.want == nil && (!tt.gone || tt.late) || errors.Is(tt.want, lost) || errors.Is(tt.want, ErrDenied)
			if (len(w.revoked) == 1 && w.revoked[0] == w.public) != write || len(w.revoked) > 1 {
				t.Errorf("revoked %v", w.revoked)
			}
			if write && (len(w.recorded) != 1 || w.recorded[0].Tags["team"] != "data") {
				t.Errorf("recorded %+v", w.recorded)
			}
		})
	}
}

// An interrupt while the answer is on its way does not keep the user from knowing what became of the rule.
func TestCloseInterrupted(t *testing.T) {
	for _, acts := range []bool{true, false} {
		w := newCloseWorld()
		ctx, interrupt := context.WithCancel(context.Background())
		c := Closer{Wall: func() time.Time { return t0 }, Rules: func(ctx context.Context, _ string) (View, error) { return w.view(), ctx.Err() },
			Revoke: func(ctx context.Context, _, id string) error {
				if acts {
					delete(w.rules, id)
				}
				interrupt()
				return ctx.Err()
			}}
		if _, err := c.Close(ctx, w.rules[w.public], 22, w.footing()); acts != (err == nil) || !acts && (!errors.Is(err, ErrUnsure) || !errors.Is(err, context.Canceled)) {
			t.Errorf("acts %v: %v", acts, err)
		}
	}
}

// A rule is not removed when it could not be put on record.
func TestCloseNeedsARecord(t *testing.T) {
	w := newCloseWorld()
	full := errors.New("disk full")
	c := Closer{Rules: func(context.Context, string) (View, error) { return w.view(), nil }, Wall: func() time.Time { return t0 },
		Revoke: func(context.Context, string, string) error { t.Error("revoked"); return nil }, Before: func(Rule) error { return full }}
	if _, err := c.Close(context.Background(), w.rules[w.public], 22, w.footing()); !errors.Is(err, full) {
		t.Error(err)
	}
}

// Whatever the group holds, only exact public rules without our tags are closable, and nothing of ours is
// ever both closable and managed.
func TestClosableProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapidDraw(t)
		w := newWorld()
		randomRules(d, w)
		for _, r := range w.view().Rules {
			ok, why := Closable(r, 22)
			exact := r.Protocol == "tcp" && r.FromPort == 22 && r.ToPort == 22 && r.CIDR.IsValid() && r.CIDR.Bits() == 0
			tagged := r.Tags[OwnerTag] != "" || len(r.Leases()) > 0
			if _, keep := r.Tags[ProvisionedTag]; ok != (exact && !tagged && !keep) || ok && (r.Managed() || why != "") || !ok && r.Public(22) && why == "" {
				t.Fatalf("%+v: closable %v, %q", r, ok, why)
			}
		}
	})
}

// Nodes of one public rule may have own rules in several groups: each of them must stand, by a read of its own group.
func TestCloseLooksAtEveryFooting(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Rule) // what became of the second rule
		old   bool        // its group was read too long ago
		want  error
	}{
		"both stand":          {},
		"the second has gone": {spoil: func(r *Rule) { r.ID = "sgr-other" }, want: ErrNoFooting},
		"the second is not firm": {spoil: func(r *Rule) {
			r.Tags = map[string]string{OwnerTag: alice.UserID, alice.Key(): FormatLease(t0.Add(time.Hour), t0.Add(time.Minute), "x")}
		}, want: ErrNoFooting},
		"the second was read long ago": {old: true, want: ErrStale},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCloseWorld()
			second := w.rules[w.own]
			second.ID, second.Group = "sgr-second", otherGroup
			if tt.spoil != nil {
				tt.spoil(&second)
			}
			revoked := 0
			c := Closer{Wall: func() time.Time { return t0 }, Revoke: func(context.Context, string, string) error { revoked++; return nil },
				Rules: func(_ context.Context, id string) (View, error) {
					if id == group {
						return w.view(), nil
					}
					v := View{Group: id, AWS: t0, Sent: t0, Rules: []Rule{second}}
					if tt.old {
						v.Sent = t0.Add(-time.Minute)
					}
					return v, nil
				}}
			_, err := c.Close(context.Background(), w.rules[w.public], 22, w.footing(), Footing{Group: otherGroup, Rule: "sgr-second", Holder: alice.Holder})
			if !errors.Is(err, tt.want) || revoked == 1 != (tt.want == nil) {
				t.Errorf("%d revoked, %v", revoked, err)
			}
		})
	}
}

func TestCloseNeedsAFooting(t *testing.T) {
	w := newCloseWorld()
	c := Closer{Rules: func(context.Context, string) (View, error) { return w.view(), nil }, Wall: func() time.Time { return t0 },
		Revoke: func(context.Context, string, string) error { t.Error("revoked"); return nil }}
	if _, err := c.Close(context.Background(), w.rules[w.public], 22); !errors.Is(err, ErrNoFooting) {
		t.Error(err)
	}
}
