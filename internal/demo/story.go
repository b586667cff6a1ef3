package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// DefaultPatience is the longest that anything in the story may take. Each step needs about a second.
const DefaultPatience = 10 * time.Second

// look is how often the story looks whether something has happened; times are told to this precision.
const look = 20 * time.Millisecond

// Options say how a story is told or a world is served.
type Options struct {
	// Program is the path of the emr-accessd binary that is run as child processes. Serve does not need it.
	Program string
	// Args come before the arguments of each child.
	Args []string
	// Env are further variables for the children.
	Env []string
	// Out is where the story goes; with Serve, the lines for a shell.
	Out io.Writer
	// Err is where Serve explains itself to people.
	Err io.Writer
	// Dir is where the world keeps its files; "" is a temporary folder, removed at the end.
	Dir string
	// Color sets off the headings with the terminal's bold face.
	Color bool
	// Patience is the longest that anything may take; 0 is DefaultPatience.
	Patience time.Duration
	// AlwaysOpen makes the gate admit everybody, which the story must notice.
	AlwaysOpen bool
}

// story is the telling of one story.
type story struct {
	o        Options
	w        *World
	began    time.Time
	children []*child
	daemon   *child

	found []Rule // all rules before the program touched anything
	rule  string // the id of alice's rule
}

// Story makes a world, lets the program work in it, and tells what happens. It returns an error when a step was not
// observed: a gate that lets in whom it should not is one, as is a rule that does not come. It takes some seconds, and
// everything that it started has ended when it returns.
func Story(ctx context.Context, o Options) (err error) {
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if err := checkProgram(o.Program); err != nil {
		return err
	}
	s := &story{o: o, began: time.Now()}
	if s.w, err = NewWorld(ctx, WorldOptions{Dir: o.Dir, AlwaysOpen: o.AlwaysOpen}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.w.Close()) }()
	defer s.stopAll()
	s.opening()
	steps := []struct {
		title string
		tell  func(context.Context) error
	}{
		{"An EMR cluster in a simulated AWS", s.showWorld},
		{"The laptop is at " + home().String() + ", and the cluster is closed to it", s.closedAtFirst},
		{"emr-accessd runs, and its rule appears", s.startDaemon},
		{"A session, with the host key verified", s.connect},
		{"The laptop moves to " + office().String(), s.move},
		{"A colleague behind the same address", s.share},
		{"Everything is given back", s.giveBack},
	}
	for i, step := range steps {
		s.heading(i+1, step.title)
		if err := step.tell(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.title, err)
		}
	}
	s.closing(len(steps))
	return nil
}

// await looks again and again until seen reports that something has happened, and returns how long it took since the
// given time. c is the child that should make it happen; its early end is an error.
func (s *story) await(ctx context.Context, since time.Time, what string, c *child, seen func(context.Context) (bool, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Patience, errPatience)
	defer cancel()
	for {
		ok, err := seen(ctx)
		if ok && err == nil {
			return time.Since(since), nil
		}
		switch {
		case errors.Is(context.Cause(ctx), errPatience):
			return 0, fmt.Errorf("%s: not seen within %v: %w; %s", what, s.o.Patience, errPatience, c.said())
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err != nil:
			return 0, fmt.Errorf("%s: %w", what, err)
		case c.ended():
			return 0, fmt.Errorf("%s: the program ended with code %d before; %s", what, c.code(), c.said())
		}
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
}

// refused checks that the gate drops connections from an address.
func (s *story) refused(ctx context.Context, from netip.Addr) error {
	switch err := s.w.Knock(ctx, from); {
	case err == nil:
		return fmt.Errorf("the gate let %s in, although it should not be admitted", from)
	case !errors.Is(err, ErrDropped):
		return fmt.Errorf("connect from %s: %w", from, err)
	}
	s.tell("connection from %s: dropped by the gate", from)
	return nil
}

// admitted checks that the gate lets connections from an address through to the SSH server.
func (s *story) admitted(ctx context.Context, from netip.Addr) error {
	if err := s.w.Knock(ctx, from); err != nil {
		return fmt.Errorf("connect from %s: %w", from, err)
	}
	s.tell("connection from %s: through to the SSH server", from)
	return nil
}

// ruleFor returns the rule for exactly this address on the SSH port, if there is one.
func (s *story) ruleFor(rules []Rule, a netip.Addr) (Rule, bool) {
	port := int(s.w.node.listen.Port())
	for _, r := range rules {
		if r.Group == s.w.cloud.master && !r.Egress && r.Protocol == "tcp" && r.FromPort == port && r.ToPort == port &&
			r.CIDR == netip.PrefixFrom(a, a.BitLen()) {
			return r, true
		}
	}
	return Rule{}, false
}

// added returns the rules that were not there when the story began.
func (s *story) added(rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		if _, old := find(s.found, r.ID); !old {
			out = append(out, r)
		}
	}
	return out
}

// expectAdded checks that exactly the rules for these addresses stand beside those that were found, and that each
// carries the leases of exactly these people.
func (s *story) expectAdded(ctx context.Context, want map[netip.Addr][]*Laptop) error {
	rules, err := s.w.Rules(ctx)
	if err != nil {
		return err
	}
	if err := unchanged(s.found, rules); err != nil {
		return err
	}
	if added := s.added(rules); len(added) != len(want) {
		return fmt.Errorf("%d rules stand beside those that were found, not %d: %s", len(added), len(want), list(added))
	}
	for a, people := range want {
		r, ok := s.ruleFor(rules, a)
		if !ok {
			return fmt.Errorf("there is no rule for %s among %s", a, list(s.added(rules)))
		}
		for _, l := range []*Laptop{s.w.alice, s.w.bob} {
			held, should := holds(r, l), false
			for _, p := range people {
				should = should || p == l
			}
			if held != should {
				return fmt.Errorf("rule %s for %s: %s holds a lease: %t, should be %t", r.ID, a, l.Name, held, should)
			}
		}
	}
	return nil
}
