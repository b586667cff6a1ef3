package sgsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Closable reports whether close-public may remove the rule: it opens exactly the port, by tcp, to a source
// that is public, and carries no tag of this program. leave says why a public rule is not closable; both are
// zero for a rule that is not public at all.
func Closable(r Rule, port int) (closable bool, leave string) {
	switch {
	case !r.Public(port):
		return false, ""
	case r.Protocol == "-1":
		return false, "it opens all traffic, which somebody may need for other ports"
	case r.Protocol != "tcp" || r.FromPort != port || r.ToPort != port:
		return false, fmt.Sprintf("it opens ports %d-%d, which somebody may need for other ports", r.FromPort, r.ToPort)
	case r.Tags[OwnerTag] != "" || len(r.Leases()) > 0 || provisioned(r):
		return false, "it carries tags of emr-accessd; somebody set them on purpose"
	}
	return true, ""
}

// Errors of [Closer.Close]. Nothing was removed, but for ErrUnsure.
var (
	// ErrNotPublic: what was planned is not what is there any more.
	ErrNotPublic = errors.New("the rule has changed since it was looked at")
	// ErrUnsure: the answer was lost and the rule is seen still. It may go yet, so the way back must be at hand.
	ErrUnsure = errors.New("it is not known whether the rule was removed")
	// ErrNoFooting: the own rule that must stand first does not.
	ErrNoFooting = errors.New("your own rule does not stand for certain")
)

// Footing is the own rule that must stand, firm, when the public one goes.
type Footing struct {
	Group, Rule string
	Holder      Holder // the lease on it is of this installation: what another computer of the user holds follows that one's address
}

// stands reports whether the view holds the rule for the port, with a firm lease of the installation that lives for D more. A public
// rule is no footing.
func (f Footing) stands(v View, port int) bool {
	for _, r := range v.Rules {
		if r.ID != f.Rule || r.Group != f.Group || !r.Managed() || !r.reaches(port) {
			continue
		}
		for _, l := range r.Leases() {
			if l.Holder == f.Holder && l.Strange(v.AWS) == "" && l.Live(v.AWS.Add(D)) && !v.AWS.Before(l.FirmFrom) {
				return true
			}
		}
	}
	return false
}

// Closer removes public rules. It is the one write of this program to rules without its tags, so it shares
// nothing with [Applier] and has its own guard.
type Closer struct {
	Rules  func(ctx context.Context, group string) (View, error)
	Revoke func(ctx context.Context, group, id string) error
	// Wall is the laptop's wall clock without a monotonic reading. nil is the real one.
	Wall func() time.Time
	// Before is called when the guard has passed, with the rule as it was read an instant ago. An error stops.
	Before func(Rule) error
}

// Close removes one rule by its id, if it is still exactly what the user was shown, still public, and every
// footing stands: a public rule may open nodes that have no group of an own rule in common. gone reports that
// somebody else removed it first.
func (c Closer) Close(ctx context.Context, shown Rule, port int, own ...Footing) (gone bool, err error) {
	wall := c.Wall
	if wall == nil {
		wall = func() time.Time { return time.Now().Round(0) }
	}
	view, err := c.Rules(ctx, shown.Group)
	if err != nil {
		return false, err
	}
	views := map[string]View{shown.Group: view}
	for _, f := range own {
		if _, read := views[f.Group]; read {
			continue
		}
		if views[f.Group], err = c.Rules(ctx, f.Group); err != nil {
			return false, err
		}
	}
	found, err := guard(view, shown, port)
	if err != nil || found == nil {
		return found == nil && err == nil, err
	}
	if len(own) == 0 || slices.ContainsFunc(own, func(f Footing) bool { return !f.stands(views[f.Group], port) }) {
		return false, fmt.Errorf("%w: %s was not removed", ErrNoFooting, shown.ID)
	}
	if c.Before != nil {
		if err := c.Before(*found); err != nil {
			return false, fmt.Errorf("could not record the rule before removing it: %w", err)
		}
	}
	for _, v := range views { // last of all: what comes before takes time
		if age := wall().Sub(v.Sent); age < 0 || age > WriteWindow {
			return false, ErrStale
		}
	}
	bounded, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	err = c.Revoke(bounded, shown.Group, shown.ID)
	if errors.Is(err, ErrGone) {
		return true, nil
	}
	if unsure(err) { // the answer was lost: only another look tells whether it acted
		// Interrupted or not: the user must know.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), AttemptTimeout)
		defer cancel()
		if v, lookErr := c.Rules(late, shown.Group); lookErr == nil {
			if left, guardErr := guard(v, shown, port); left == nil && guardErr == nil {
				return false, nil
			}
		}
		return false, fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return false, err
}

// guard finds the rule that was shown, unchanged in all that EC2 tells rules apart by. nil without an error:
// it is gone.
func guard(v View, shown Rule, port int) (*Rule, error) {
	for _, r := range v.Rules {
		if r.ID != shown.ID {
			continue
		}
		same := r.Group == shown.Group && r.Protocol == shown.Protocol && r.FromPort == shown.FromPort && r.ToPort == shown.ToPort &&
			r.CIDR == shown.CIDR && r.SourceGroup == "" && r.PrefixList == ""
		if ok, _ := Closable(r, port); !same || !ok || v.Group != shown.Group {
			return nil, fmt.Errorf("%w: %s", ErrNotPublic, shown.ID)
		}
		return &r, nil
	}
	return nil, nil
}
