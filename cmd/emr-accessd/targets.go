package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

var (
	clusterID = regexp.MustCompile(`^(?i)j-[0-9A-Z]{8,20}$`)
	groupID   = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
)

// targets are those of the configuration, with the flags over them.
func (a *app) targets() ([]keeper.Target, error) {
	var out []keeper.Target
	for _, t := range a.cfg.Targets {
		if err := a.flags.target(&t); err != nil {
			return nil, err
		}
		if err := a.checkTarget(t); err != nil {
			return nil, err
		}
		out = append(out, keeperTarget(t, a.cfg.Rules.Lease))
	}
	return out, nil
}

// written are the targets of the configuration without the flags: those that a daemon keeps.
func (a *app) written() (out []keeper.Target) {
	for _, t := range a.cfg.Targets {
		out = append(out, keeperTarget(t, a.cfg.Rules.Lease))
	}
	return out
}

// asFlagged tells what a round is about when flags may have made other targets of those of the configuration, such as for another
// port. No daemon keeps those, and the next round for everything would take them for ones that have left: so they are kept as a
// cluster that is not in the configuration is, and what is there stays as it is written. nil targets mean everything.
func (a *app) asFlagged(k *keeper.Keeper, targets []keeper.Target) (out []keeper.Target) {
	flagged := slices.Clone(k.Targets)
	for i, w := range a.written() { // in the same order
		if !w.Same(flagged[i]) {
			k.Targets[i] = w
		}
	}
	switch {
	case targets != nil:
	case slices.EqualFunc(flagged, k.Targets, keeper.Target.Same):
		return nil
	default:
		targets = flagged
	}
	for _, t := range targets {
		if i := slices.IndexFunc(k.Targets, t.Same); t.Until.IsZero() && i >= 0 {
			t = k.Targets[i] // with its own ranges, where a flag has made two of one
		} else if t.Until.IsZero() {
			t.Until = time.Now().Add(a.cfg.Rules.Lease).Round(0)
			t.Kept = t.Until
		}
		if !slices.ContainsFunc(out, t.Same) {
			out = append(out, t)
		}
	}
	return out
}

// checkTarget lets the configuration's own checks look at what flags made of a target.
func (a *app) checkTarget(t config.Target) error {
	c := a.cfg
	c.Targets = []config.Target{t}
	return c.Check()
}

func keeperTarget(t config.Target, lease time.Duration) keeper.Target {
	return keeper.Target{Label: targetLabel(t), Cluster: t.Cluster, NamePattern: t.Name, ClusterTags: t.Tags, SecurityGroup: t.SecurityGroup,
		Profile: t.Profile, Region: t.Region, Account: t.Account, Nodes: t.Nodes, Group: t.Group, Port: t.Port, Trusted: t.Trusted,
		Local: t.Address == config.AddressLocal, Lease: lease}
}

func targetLabel(t config.Target) string {
	switch {
	case t.Cluster != "":
		return t.Cluster
	case t.SecurityGroup != "":
		return t.SecurityGroup
	case t.Name != "":
		return t.Name
	}
	return fmt.Sprintf("tags %v", t.Tags)
}

// choose turns the arguments of a command into targets. What is not in the configuration becomes a
// temporary target that ends after life; nil arguments mean everything.
func (a *app) choose(ctx context.Context, args []string, life, lease time.Duration) ([]keeper.Target, error) {
	if len(args) == 0 {
		return nil, nil
	}
	configured, err := a.targets()
	if err != nil {
		return nil, err
	}
	var out []keeper.Target
	known := func(fits func(keeper.Target) bool) bool {
		found := slices.DeleteFunc(slices.Clone(configured), func(t keeper.Target) bool { return !fits(t) })
		out = append(out, found...)
		return len(found) > 0
	}
	for _, arg := range args {
		if known(func(t keeper.Target) bool { return t.Label == arg }) {
			continue
		}
		t := config.DefaultTarget()
		switch {
		case clusterID.MatchString(arg):
			t.Cluster = arg
		case groupID.MatchString(arg):
			t.SecurityGroup, t.Nodes, t.Group = arg, nil, ""
		default:
			id, err := a.byName(ctx, arg)
			if err != nil {
				return nil, err
			}
			if known(func(t keeper.Target) bool { return t.Cluster == id }) { // with its port, groups and account
				continue
			}
			t.Cluster = id
		}
		k, err := a.unlisted(ctx, t, life, lease)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// unlisted is a target that is not in the configuration, as far as it is known, with the flags over it. It ends after life.
func (a *app) unlisted(ctx context.Context, t config.Target, life, lease time.Duration) (_ keeper.Target, err error) {
	if err := a.flags.target(&t); err != nil {
		return keeper.Target{}, err
	}
	if err := a.checkTarget(t); err != nil {
		return keeper.Target{}, err
	}
	if t.Profile, t.Region, err = awsclient.Defaults(ctx, awsclient.Options{Profile: t.Profile, Region: t.Region}); err != nil {
		return keeper.Target{}, err
	}
	k := keeperTarget(t, lease)
	k.Until = time.Now().Add(life).Round(0)
	k.Kept = k.Until // a session's own is not
	return k, nil
}

// byName finds the one active cluster with a name. An ambiguous name is refused: opening the wrong
// cluster's firewall is worse than asking again.
func (a *app) byName(ctx context.Context, name string) (string, error) {
	if len(name) > 256 {
		return "", usageError{fmt.Errorf("%.20q… is no cluster id, group id or cluster name", name), ""}
	}
	c, err := awsclient.Open(ctx, awsclient.Options{Profile: a.flags.profile, Region: a.flags.region, UserAgent: "emr-accessd/" + version()})
	if err != nil {
		return "", err
	}
	defer c.Close()
	list, err := c.ListClusters(ctx, false)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(s awsclient.ClusterSummary) bool { return s.Name != name })
	switch len(list) {
	case 0:
		return "", hinted{fmt.Errorf("no active cluster is named %q in %s", name, c.Identity().Region), exitUsage,
			"give the cluster's id (j-…), or another --region or --profile; `emr-accessd clusters` shows them"}
	case 1:
		return list[0].ID, nil
	}
	ids := ""
	for _, s := range list {
		ids += " " + s.ID
	}
	return "", hinted{fmt.Errorf("%d active clusters are named %q:%s", len(list), name, ids), exitUsage, "give the id of the one you mean"}
}
