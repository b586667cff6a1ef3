package sgsync_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

// TestSharedGroup lets several installations, two of one user among them, act on one group, each stopped at any
// of its calls while others act, with reads that are stale in part, lost answers and laptops that sleep between
// plan and write. A firm lease is never uncovered by somebody else, and in the end everybody has access and
// nothing is left over.
func TestSharedGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newShared(func(n int) int { return spread(rapid.IntRange(0, 1<<12).Draw(t, "choice"), n) }, t).run()
	})
}

// spread makes an even choice of a number that rapid draws, which are small ones mostly; 0 stays 0, where shrinking
// ends.
func spread(v, limit int) int { return int(uint32(v) * 2654435761 >> 12 % uint32(limit)) }

type client struct {
	me      Me
	addr    netip.Prefix // "" = has left
	journal []Write
	bare    map[string]time.Time
	busy    bool
	firm    string // id of the rule on which it has a firm lease
}

type shared struct {
	*world
	t       fataler
	d       draw
	clients []*client
	past    []snapshot
	limit   time.Time // time does not pass beyond this: a call in flight would have timed out
	mood    mood
	story   []string
}

// mood is what is frequent in one schedule. With one for all, what needs much of one thing is hardly ever met.
type mood struct{ moves, losses, sleeps, pauses int }

// upTo draws from 0 to n, and n itself more often: faults are where everything takes as long as it may.
func (s *shared) upTo(n int) int { return min(s.d(2*n+1), n) }

// often draws something with n chances of 12.
func (s *shared) often(n int) bool { return s.d(12) >= 12-n }

type snapshot struct {
	at   time.Time
	view View
}

func newShared(d draw, t fataler) *shared {
	some := func(n ...int) int { return n[d(len(n))] }
	s := &shared{world: newWorld(), t: t, d: d, limit: t0.Add(10000 * time.Hour),
		mood: mood{moves: some(1, 3, 6), losses: some(0, 1, 4), sleeps: some(0, 2, 4), pauses: some(1, 4, 8)}}
	who := slices.Clone(people)
	for range 2 + d(2) {
		i := d(len(who))
		s.clients = append(s.clients, &client{me: who[i], addr: addrs[d(len(addrs))], bare: map[string]time.Time{}})
		who = slices.Delete(who, i, i+1)
	}
	if d(3) == 0 { // nobody's
		s.put(Rule{CIDR: addrs[d(len(addrs))], Tags: map[string]string{OwnerTag: alice.UserID}})
	}
	s.record()
	return s
}

var addrs = pfxs("198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32")

func (s *shared) record() { s.past = append(s.past, snapshot{s.now, s.view()}) }

func (s *shared) pass(d time.Duration) {
	if n := s.now.Add(d); n.Before(s.limit) {
		s.now = n
	} else {
		s.now = s.limit
	}
}

// read is as stale as EC2 may be, but not older than σ. What a rule is and each of its tags lag by themselves, also
// those that came in one call: AWS promises nothing else.
func (s *shared) read() View {
	v := s.recent().view
	v.Rules = slices.Clone(v.Rules)
	for i := range v.Rules {
		v.Rules[i].Tags = map[string]string{}
	}
	keys := []string{OwnerTag}
	for _, c := range s.clients {
		keys = append(keys, c.me.Key())
	}
	for _, key := range keys {
		was := s.recent().view
		for i, r := range v.Rules {
			j := slices.IndexFunc(was.Rules, func(t Rule) bool { return t.ID == r.ID })
			if j < 0 {
				continue
			}
			if value, there := was.Rules[j].Tags[key]; there {
				v.Rules[i].Tags[key] = value
			}
		}
	}
	v.AWS, v.Sent = s.now, s.now
	return v
}

// recent is a state that a read may still show.
func (s *shared) recent() snapshot {
	n := 1
	for n < len(s.past) && s.past[len(s.past)-n].at.Add(Sigma).After(s.now) {
		n++
	}
	return s.past[len(s.past)-1-s.upTo(n-1)]
}

func (s *shared) tell(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%8s ", s.now.Sub(t0))+fmt.Sprintf(format, args...))
}

func (s *shared) run() {
	for range 12 {
		if s.often(s.mood.pauses) {
			s.pass([]time.Duration{time.Duration(s.d(50)) * time.Second, time.Duration(s.d(13)) * time.Hour, 25 * time.Hour}[s.d(3)])
		}
		s.somebody(0)
	}
	for range 4 { // everybody stops moving
		for _, c := range s.clients {
			s.round(c, 9)
		}
		s.pass(D + time.Second)
	}
	for _, c := range s.clients {
		if !slices.ContainsFunc(s.view().Rules, func(r Rule) bool { return r.CIDR == c.addr && r.Tags[c.me.Key()] != "" }) {
			s.t.Fatalf("%s has no rule for %s in the end: %v", c.me.Key(), c.addr, s.view().Rules)
		}
	}
	wanted := map[netip.Prefix]bool{}
	for _, c := range s.clients {
		wanted[c.addr] = true
	}
	if len(s.rules) != len(wanted) {
		s.t.Fatalf("%d rules for %d addresses in the end", len(s.rules), len(wanted))
	}
}

// somebody makes a round, maybe elsewhere than before.
func (s *shared) somebody(depth int) {
	c := s.clients[s.d(len(s.clients))]
	if !c.busy && s.often(s.mood.moves) {
		c.addr, c.firm = addrs[s.d(len(addrs))], ""
	}
	s.round(c, depth)
}

func (s *shared) round(c *client, depth int) {
	if c.busy {
		return
	}
	c.busy = true
	defer func() { c.busy = false }()
	want := wants(Family{State: Known, Self: []netip.Prefix{c.addr}})
	for range 6 {
		have := Have{View: Overlay(s.read(), c.journal), Bare: c.bare}
		if depth == 9 {
			have.View = s.view() // calm: reads are fresh
		}
		plan := Plan(want, have, c.me, s.now)
		s.tell("%s at %s plans %s", c.me.Installation, c.addr, brief(plan))
		c.firm = ""
		for _, ch := range plan.List {
			moving := slices.ContainsFunc(plan.List, func(o Change) bool { return o.Do == Move && o.Rule == ch.Rule })
			if ch.Firm && (ch.Do == Keep || ch.Do == Renew) && ch.CIDR == c.addr && !moving {
				c.firm = ch.Rule
			}
		}
		seen := map[string]time.Time{}
		for _, id := range plan.Bare {
			seen[id] = s.now
			if first, ok := c.bare[id]; ok {
				seen[id] = first
			}
		}
		c.bare = seen
		s.sleep(depth) // between plan and write
		res := Applier{API: sharedAPI{s, c, depth}, Wall: func() time.Time { return s.now }}.Apply(context.Background(), have, plan)
		c.journal = append(c.journal, res.Journal...)
		for _, o := range res.Outcomes {
			if (o.Do == Add || o.Do == Move) && o.Done && o.CIDR == c.addr {
				c.firm = o.Rule
			}
		}
		want.NoMove = want.NoMove || res.NoMove
		joined := slices.ContainsFunc(res.Outcomes, func(o Outcome) bool { return o.Do == Join && o.Done })
		if res.Err != nil || !res.Replan && !joined {
			return
		}
	}
}

// sleep is short mostly; in a long one others may do all that they like.
func (s *shared) sleep(depth int) {
	s.interrupt(depth, WriteWindow)
	if depth > 1 || !s.often(s.mood.sleeps) {
		return
	}
	for range 1 + s.d(4) {
		s.pass(time.Duration(s.d(50)) * time.Second)
		s.somebody(depth + 1)
	}
}

// interrupt lets somebody else act, and time pass.
func (s *shared) interrupt(depth int, upTo time.Duration) {
	if depth > 1 {
		return
	}
	if s.often(s.mood.pauses) {
		s.pass(time.Duration(s.upTo(int(upTo/time.Second))) * time.Second)
	}
	if s.d(2) == 0 {
		s.somebody(depth + 1)
	}
}

// sharedAPI is one client's way to EC2: each call may be held up for as long as an attempt can last.
type sharedAPI struct {
	s     *shared
	c     *client
	depth int
}

func (a sharedAPI) around(call func() error) error {
	s := a.s
	outer := s.limit
	if end := s.now.Add(AttemptTimeout); end.Before(outer) {
		s.limit = end
	}
	s.interrupt(a.depth, AttemptTimeout)
	firmBefore := map[*client]string{}
	for _, c := range s.clients {
		firmBefore[c] = c.firm
	}
	err := call()
	s.record()
	s.tell("%s %s: %v", a.c.me.Installation, s.calls[len(s.calls)-1], err)
	for c, id := range firmBefore {
		if c == a.c || id == "" {
			continue
		}
		r, ok := s.rules[id]
		l, leased := ParseLease(c.me.Key(), r.Tags[c.me.Key()])
		if ok && r.CIDR == c.addr && leased && l.Err == nil {
			continue
		}
		if l, _ := ParseLease(c.me.Key(), lastTag(s.past, id, c.me.Key())); !l.End.After(s.now) {
			continue // it ended: nobody promised anything
		}
		s.t.Fatalf("I4: %s uncovered %s on %s in %q; so far:\n%s", a.c.me.Key(), c.me.Key(), id, s.calls[len(s.calls)-1], strings.Join(s.story, "\n"))
	}
	s.interrupt(a.depth, AttemptTimeout)
	s.limit = outer
	if err == nil && a.depth < 9 && s.often(s.mood.losses) {
		return context.DeadlineExceeded // the answer is lost
	}
	return err
}

func lastTag(past []snapshot, id, key string) string {
	for _, p := range slices.Backward(past) {
		for _, r := range p.view.Rules {
			if v, ok := r.Tags[key]; ok && r.ID == id {
				return v
			}
		}
	}
	return ""
}

func (a sharedAPI) Authorize(ctx context.Context, g string, n NewRule) (r Rule, err error) {
	n.Tags = maps.Clone(n.Tags)
	return r, a.around(func() error { var err error; r, err = a.s.world.Authorize(ctx, g, n); return err })
}

func (a sharedAPI) Modify(ctx context.Context, g, id string, n NewRule) error {
	return a.around(func() error { return a.s.world.Modify(ctx, g, id, n) })
}

// Revoke also takes a source for an id, as EC2 does: TestMutants makes the program use that.
func (a sharedAPI) Revoke(ctx context.Context, g, id string) error {
	return a.around(func() error {
		for _, r := range a.s.rules {
			if r.CIDR.String() == id {
				return a.s.world.Revoke(ctx, g, r.ID)
			}
		}
		return a.s.world.Revoke(ctx, g, id)
	})
}

func (a sharedAPI) Tag(ctx context.Context, id, k, v string) error {
	return a.around(func() error { return a.s.world.Tag(ctx, id, k, v) })
}

func (a sharedAPI) Untag(ctx context.Context, id, k, v string) error {
	return a.around(func() error { return a.s.world.Untag(ctx, id, k, v) })
}
