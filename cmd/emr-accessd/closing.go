package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// closeAnswer is the answer of close-public; its fields are a promise (docs/json.md).
type closeAnswer struct {
	Target     string       `json:"target"`
	Cluster    string       `json:"cluster"`
	Name       string       `json:"name"`
	Region     string       `json:"region"`
	Account    string       `json:"account"`
	Port       int          `json:"port"`
	Close      []closeRule  `json:"close"`
	Left       []leftRule   `json:"left"`
	SharedWith []string     `json:"shared_with"`
	Own        []ownRule    `json:"own"`
	Warnings   []string     `json:"warnings"`
	Applied    bool         `json:"applied"`
	Proof      *closedProof `json:"proof"`
}

// closeRule is a rule that is removed. State is planned, closed, gone (somebody else was first), failed, or
// unknown (the answer was lost, and the rule may go yet).
type closeRule struct {
	Rule        string  `json:"rule"`
	Group       string  `json:"group"`
	GroupName   string  `json:"group_name"`
	CIDR        string  `json:"cidr"`
	Description string  `json:"description"`
	State       string  `json:"state"`
	Error       *string `json:"error"`
	Call        string  `json:"call"`
	Restore     string  `json:"restore"`     // our own command that puts it back
	RestoreAWS  string  `json:"restore_aws"` // the same with the AWS CLI, for a POSIX shell
}

// leftRule is a public rule that stays.
type leftRule struct {
	Rule   string `json:"rule"`
	Group  string `json:"group"`
	Source string `json:"source"`
	Opens  string `json:"opens"`
	Why    string `json:"why"`
}

// ownRule is what a round would do for the own address first.
type ownRule struct {
	Do    string `json:"do"`
	Rule  string `json:"rule"`
	Group string `json:"group"`
	CIDR  string `json:"cidr"`
	Firm  bool   `json:"firm"`
}

// closing is one run of close-public.
type closing struct {
	app      *app
	keeper   *keeper.Keeper
	target   keeper.Target
	flags    closeFlags
	client   *awsclient.Client
	found    surveyed
	rules    []sgsync.Rule // to be closed
	report   keeper.Report
	footings map[string][]sgsync.Footing
	answer   closeAnswer
}

// look surveys the nodes that the target is about: the own rule covers no others.
func (c *closing) look(ctx context.Context) error {
	found, err := c.app.survey(ctx, c.target, c.target.Nodes)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		ids := ""
		for _, s := range found {
			ids += " " + s.cluster
		}
		return hinted{fmt.Errorf("%d clusters fit %s:%s", len(found), c.target.Label, ids), exitUsage, "give the id of the one you mean"}
	}
	c.found, c.client = found[0], c.app.client(c.target)
	return nil
}

// plan settles what is closed and what is left, and what the user should know before.
func (c *closing) plan(ctx context.Context, rep keeper.Report) {
	s := c.found
	c.answer = closeAnswer{Target: c.target.Label, Cluster: s.cluster, Name: s.name, Region: s.region, Account: s.account, Port: s.Port,
		Close: []closeRule{}, Left: []leftRule{}, SharedWith: []string{}, Own: []ownRule{}, Warnings: []string{}}
	byID := map[string]sgsync.Rule{}
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			byID[r.ID] = r
		}
	}
	for _, e := range sgsync.Audit(s.Survey).Reach {
		if e.Kind != sgsync.ReachPublic {
			continue
		}
		r := byID[e.Rule]
		ok, why := sgsync.Closable(r, s.Port)
		if r.PrefixList != "" {
			why = "its source is a prefix list, which other rules may use"
		}
		if !ok {
			c.answer.Left = append(c.answer.Left, leftRule{e.Rule, e.Group, e.Source, e.Ports(), why})
			continue
		}
		c.rules = append(c.rules, r)
		rec := c.record(r)
		c.answer.Close = append(c.answer.Close, closeRule{Rule: r.ID, Group: r.Group, GroupName: e.GroupName, CIDR: e.Source, Description: r.Description,
			State: "planned", Call: fmt.Sprintf("ec2:RevokeSecurityGroupIngress %s %s", r.Group, r.ID),
			Restore: "emr-accessd close-public --restore " + r.ID, RestoreAWS: awsRestore(rec)})
	}
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			for _, ch := range g.Changes {
				if ch.Role == string(sgsync.Self) && ch.Port == s.Port && ch.Do != "leave" && ch.Do != "remove" {
					c.answer.Own = append(c.answer.Own, ownRule{ch.Do, ch.Rule, g.ID, ch.CIDR, ch.Firm})
				}
			}
		}
	}
	for _, u := range s.Unseen {
		c.answer.Warnings = append(c.answer.Warnings, "could not look at "+u.What+": "+firstOf(u.Why, "needs "+u.Needs))
	}
	if len(c.rules) > 0 {
		c.shared(ctx)
	}
}

// maxDescribed bounds the calls that find out who shares a group; EMR's limits are not published.
const maxDescribed = 50

// shared names the other clusters that use a group whose rule goes: EMR's default groups are shared by all
// clusters of a VPC.
func (c *closing) shared(ctx context.Context) {
	c.app.status.say("looking who shares the groups")
	list, err := c.client.ListClusters(ctx, false)
	if err != nil {
		c.answer.Warnings = append(c.answer.Warnings, fmt.Sprintf("which other clusters use the same groups is not known: %v", err))
		return
	}
	for i, s := range list {
		if s.ID == c.found.cluster {
			continue
		}
		if i >= maxDescribed {
			c.answer.Warnings = append(c.answer.Warnings, fmt.Sprintf("only %d of %d active clusters were looked at for the same groups", maxDescribed, len(list)))
			return
		}
		cl, err := c.client.Cluster(ctx, s.ID)
		if err != nil {
			c.answer.Warnings = append(c.answer.Warnings, fmt.Sprintf("whether %s uses the same groups is not known: %v", s.ID, err))
			continue
		}
		has := groupsFromEMR(cl, allRoles)
		if slices.ContainsFunc(c.rules, func(r sgsync.Rule) bool { return slices.Contains(has, r.Group) }) {
			c.answer.SharedWith = append(c.answer.SharedWith, strings.TrimSpace(cl.ID+" "+cl.Name))
		}
	}
	slices.Sort(c.answer.SharedWith)
}

// confirmedIn reports whether a rule's range holds the confirmed own address.
func confirmedIn(t keeper.TargetReport, cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false
	}
	for _, v := range t.Verdicts {
		if addr, err := netip.ParseAddr(v.Address); err == nil && v.State == string(ipwatch.Confirmed) && p.Contains(addr) {
			return true
		}
	}
	return false
}

// footing finds the own rules that must stand when a public one goes: one for every node that the public one opens.
// nil: there is not one for each.
func (c *closing) footing(r sgsync.Rule) []sgsync.Footing {
	if fs := c.footings[r.Group]; len(fs) > 0 {
		return fs[:1] // on every node with the public one, and all that a group can have that is on no node
	}
	var chosen []sgsync.Footing
	for _, n := range c.found.Nodes {
		if !slices.Contains(n.Groups, r.Group) {
			continue
		}
		i := slices.IndexFunc(n.Groups, func(id string) bool { return len(c.footings[id]) > 0 })
		if i < 0 {
			return nil
		}
		if f := c.footings[n.Groups[i]][0]; !slices.Contains(chosen, f) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

func (c *closing) record(r sgsync.Rule) keeper.Closed {
	return keeper.Closed{ID: r.ID, Group: r.Group, Port: c.found.Port, CIDR: r.CIDR, Description: r.Description, Tags: r.Tags,
		Target: c.target.Label, Profile: c.target.Profile, Region: c.found.region, Account: c.found.account, Who: who(), At: time.Now().UTC().Round(0)}
}

// close removes the rules, one after the other. The first failure ends it.
func (c *closing) close(ctx context.Context) error {
	unlock, err := c.keeper.Store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	// The round opened another client, and a later one is newer than what survey used.
	c.client = c.app.client(c.target)
	closer := sgsync.Closer{Rules: c.client.Rules, Revoke: c.client.Revoke,
		Before: func(r sgsync.Rule) error { return c.keeper.Store.SaveClosed(c.record(r)) }}
	for i, r := range c.rules {
		c.app.status.say("closing " + r.ID)
		gone, err := closer.Close(ctx, r, c.found.Port, c.footing(r)...)
		state := &c.answer.Close[i]
		switch {
		case gone:
			state.State = "gone"
			c.forget(r)
		case err == nil:
			state.State = "closed"
			noteClosed(c.keeper.Store, "close", r.ID, c.record(r))
			c.forget(r)
		default:
			text := err.Error()
			state.State, state.Error = "failed", &text
			if errors.Is(err, sgsync.ErrUnsure) {
				state.State = "unknown"
			}
			return fmt.Errorf("%s: %w", r.ID, err)
		}
	}
	return nil
}

// noteClosed puts into the history that a public rule was closed or restored. It is a courtesy: the record of the rule itself
// is on disk already. The caller holds the lock.
func noteClosed(store *keeper.Store, do, rule string, rec keeper.Closed) {
	_ = store.Append(keeper.Record{At: time.Now().UTC().Round(0), By: "close-public", Outcome: keeper.OutcomeChanged,
		Changes: []keeper.RecordedChange{{Target: rec.Target, Group: rec.Group, Rule: rule, Do: do, CIDR: rec.CIDR.String(), Port: rec.Port}}})
}

// forget lets `status` warn of the rule no more.
func (c *closing) forget(r sgsync.Rule) {
	if err := c.keeper.Store.NotePublic(r.Group, r.ID, ""); err != nil {
		c.answer.Warnings = append(c.answer.Warnings, fmt.Sprintf("status shows %s until the next round: %v", r.ID, err))
	}
}

func (c *closing) closed() (n int) {
	for _, r := range c.answer.Close {
		if r.State == "closed" {
			n++
		}
	}
	return n
}
