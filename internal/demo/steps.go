package demo

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// showWorld is step 1: what the program will find.
func (s *story) showWorld(ctx context.Context) error {
	rules, err := s.w.Rules(ctx)
	if err != nil {
		return err
	}
	for id, whose := range s.w.cloud.whose {
		if _, ok := find(rules, id); !ok {
			return fmt.Errorf("rule %s (%s) cannot be read over the API", id, whose)
		}
	}
	s.found = rules
	c, at := s.w.cloud, s.w.node.listen
	s.tell("cluster %s (%s), its primary node %s at %s", clusterName, c.cluster, c.instance, at.Addr())
	s.tell("sshd is on port %d, because nobody may listen on 22 without privileges: the target says port = %d", at.Port(), at.Port())
	s.tell("its security groups %s (%s) and %s (%s) hold:", c.names[c.master], c.master, c.names[c.additional], c.additional)
	s.line("")
	s.table(rules)
	return nil
}

// closedAtFirst is step 2.
func (s *story) closedAtFirst(ctx context.Context) error {
	return s.refused(ctx, home())
}

// startDaemon is step 3.
func (s *story) startDaemon(ctx context.Context) error {
	began := time.Now()
	d, err := s.start(ctx, s.w.alice, "run")
	if err != nil {
		return err
	}
	s.daemon = d
	s.command(d.name)
	r, took, err := s.awaitRule(ctx, began, d, home())
	if err != nil {
		return err
	}
	s.rule = r.ID
	s.timed(took, "rule %s admits %s to port %d, and nobody else", r.ID, r.CIDR, r.FromPort)
	s.tell("its description says %q", r.Description)
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{home(): {s.w.alice}}); err != nil {
		return err
	}
	return s.admitted(ctx, home())
}

// awaitRule waits for a rule for exactly this address.
func (s *story) awaitRule(ctx context.Context, since time.Time, c *child, a netip.Addr) (Rule, time.Duration, error) {
	var r Rule
	took, err := s.await(ctx, since, fmt.Sprintf("a rule for %s", a), c, func(ctx context.Context) (ok bool, err error) {
		rules, err := s.w.Rules(ctx)
		if err != nil {
			return false, err
		}
		r, ok = s.ruleFor(rules, a)
		return ok, nil
	})
	return r, took, err
}

// move is step 5: the rule follows the laptop, without a gap and under the same id.
func (s *story) move(ctx context.Context) error {
	s.command(fmt.Sprintf("echo %s > %s", office(), s.short(s.w.alice.SourcePath)))
	began := time.Now()
	if err := s.w.alice.Move(office()); err != nil {
		return err
	}
	r, took, err := s.awaitRule(ctx, began, s.daemon, office())
	if err != nil {
		return err
	}
	if r.ID != s.rule {
		return fmt.Errorf("%s has a rule of its own, %s, and %s was not moved", office(), r.ID, s.rule)
	}
	s.timed(took, "the same rule %s now admits %s", r.ID, r.CIDR)
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{office(): {s.w.alice}}); err != nil {
		return err
	}
	if err := s.refused(ctx, home()); err != nil {
		return err
	}
	return s.admitted(ctx, office())
}

// share is step 6: two people behind one address, and whoever leaves locks nobody out. It is bob who leaves, because the rule
// is alice's: what one has joined is not taken away within ten seconds, since the leases of others may not show yet.
func (s *story) share(ctx context.Context) error {
	alice, bob := s.w.alice, s.w.bob
	s.tell("bob works behind %s too, with his own AWS user and installation:", office())
	began, err := s.sync(ctx, bob)
	if err != nil {
		return err
	}
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{office(): {alice, bob}}); err != nil {
		return err
	}
	s.timed(time.Since(began), "no second rule: %s carries two leases now", s.rule)

	s.tell("bob leaves for the train, at %s:", train())
	s.command(fmt.Sprintf("echo %s > %s", train(), s.short(bob.SourcePath)))
	if err := bob.Move(train()); err != nil {
		return err
	}
	if began, err = s.sync(ctx, bob); err != nil {
		return err
	}
	rules, err := s.w.Rules(ctx)
	if err != nil {
		return err
	}
	r, ok := s.ruleFor(rules, train())
	switch _, stands := find(rules, s.rule); {
	case !stands:
		return fmt.Errorf("rule %s is gone, although alice holds it", s.rule)
	case !ok:
		return fmt.Errorf("there is no rule for %s among %s", train(), list(s.added(rules)))
	case r.ID == s.rule:
		return fmt.Errorf("rule %s was moved to %s, although alice holds it too", r.ID, train())
	}
	s.timed(time.Since(began), "a new rule %s admits %s", r.ID, r.CIDR)
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{office(): {alice}, train(): {bob}}); err != nil {
		return err
	}
	s.tell("rule %s stays, with alice's lease alone", s.rule)
	if err := s.admitted(ctx, office()); err != nil {
		return err
	}
	if err := s.admitted(ctx, train()); err != nil {
		return err
	}

	s.tell("bob has finished:")
	s.command(commandLine([]string{"revoke"}))
	began = time.Now()
	if _, err := s.must(ctx, bob, "revoke"); err != nil {
		return err
	}
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{office(): {alice}}); err != nil {
		return err
	}
	s.timed(time.Since(began), "rule %s is gone with its last lease", r.ID)
	if err := s.refused(ctx, train()); err != nil {
		return err
	}
	return s.admitted(ctx, office())
}

// sync makes one round of a laptop's program, and returns when it began.
func (s *story) sync(ctx context.Context, l *Laptop) (began time.Time, err error) {
	args := []string{"sync", s.w.Cluster()}
	s.command(commandLine(args))
	began = time.Now()
	_, err = s.must(ctx, l, args...)
	return began, err
}

// endWithin is how soon the daemon has to end when it is asked to.
const endWithin = time.Second

// giveBack is step 7.
func (s *story) giveBack(ctx context.Context) error {
	if s.daemon.ended() {
		return fmt.Errorf("the daemon has ended by itself with code %d; %s", s.daemon.code(), s.daemon.said())
	}
	took := s.daemon.stop()
	switch {
	case !politeEnd:
		s.timed(took, "the daemon is ended (this system knows no polite way to ask for it)")
	case s.daemon.code() != 0:
		return fmt.Errorf("the daemon ended with code %d on SIGTERM; %s", s.daemon.code(), s.daemon.said())
	case took > endWithin:
		return fmt.Errorf("the daemon took %s to end on SIGTERM, more than %s; %s", seconds(took), seconds(endWithin), s.daemon.said())
	default:
		s.timed(took, "SIGTERM: the daemon has ended; its rule stands until its lease ends")
	}
	if err := s.expectAdded(ctx, map[netip.Addr][]*Laptop{office(): {s.w.alice}}); err != nil {
		return err
	}
	s.command(commandLine([]string{"revoke"}))
	began := time.Now()
	if _, err := s.must(ctx, s.w.alice, "revoke"); err != nil {
		return err
	}
	if err := s.expectAdded(ctx, nil); err != nil {
		return err
	}
	s.timed(time.Since(began), "all %d rules of the groups are as they were found, and there is no other", len(s.found))
	return s.refused(ctx, office())
}
