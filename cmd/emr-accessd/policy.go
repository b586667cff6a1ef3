package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// policyFlags are the flags of policy alone.
type policyFlags struct {
	with, only     []string
	offline, check bool
	all            bool // every group of the regions, not those of the targets
}

func (a *app) policyCommand() *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:   "policy [CLUSTER…]",
		Short: "print the least IAM policy for your configuration, or check what you lack",
		Long: `Prints, as JSON, the least IAM policy under which emr-accessd can do its work for the
targets of the configuration, or for these clusters. Groups are named by their
ids; --offline asks nobody and leaves wildcards for what it does not know, and --all
names no group or cluster at all: what "sweep --all" needs.

The policy can be given to everybody alike: it says "rules and leases of one's own"
by the variable aws:userid. docs/security.md says what IAM can enforce and what not.

  rules      keep your own address authorized
  connect    read host keys from the console, and the cluster's key pair
  clusters   list clusters: targets by name, "clusters" and "init"
  audit      see who can reach a node: "audit", and "close-public" before it closes
  sweep      remove leases that have ended, also those of others
  doctor     see network ACLs, route tables and interfaces

--check asks whether you have these permissions, by dry runs that change nothing and
by reading where AWS knows no dry run, and ends with 3 when something is missing.`,
		Example: `  emr-accessd policy > policy.json
  emr-accessd policy --with connect,audit j-2AXXXXXXGAPLF
  emr-accessd policy --only sweep --all --region eu-west-1  # for a cron job that only cleans up
  emr-accessd policy --check`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			features, err := f.features()
			if err != nil {
				return usageError{err, cmd.CommandPath()}
			}
			if f.offline && f.check {
				return usageError{errors.New("--check asks AWS, and --offline asks nobody"), cmd.CommandPath()}
			}
			if f.all && (f.check || len(args) > 0) {
				return usageError{errors.New("--all is every group: it takes no clusters, and there is no one group to --check"), cmd.CommandPath()}
			}
			if f.check {
				return a.checkPolicy(cmd.Context(), args, features)
			}
			return a.policy(cmd.Context(), args, features, f)
		},
	}
	cmd.Flags().StringSliceVar(&f.with, "with", nil, "further `features`: connect, clusters, audit, sweep, doctor, or all")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "these `features` and not the rules")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "ask nobody; wildcards for what is not in the configuration")
	cmd.Flags().BoolVar(&f.all, "all", false, "every group and cluster of the regions of the configuration, or of --region")
	cmd.Flags().BoolVar(&f.check, "check", false, "say which of these permissions you lack")
	return cmd
}

func (f policyFlags) features() ([]iampolicy.Feature, error) {
	names := append([]string{string(iampolicy.Rules)}, f.with...)
	if len(f.only) > 0 {
		if len(f.with) > 0 {
			return nil, errors.New("--only and --with exclude each other")
		}
		names = f.only
	}
	if slices.Contains(names, "all") {
		return iampolicy.Features(), nil
	}
	return iampolicy.ParseFeatures(names)
}

func (a *app) policy(ctx context.Context, args []string, features []iampolicy.Feature, f policyFlags) error {
	a.status = newProgress(a.Err)
	need := iampolicy.Need{Features: features, TagKeys: slices.Sorted(maps.Keys(a.cfg.Rules.Tags))}
	targets, err := a.policyTargets(ctx, args, f.offline)
	if err != nil {
		return err
	}
	if f.all {
		targets = everyCluster(targets)
	}
	for _, t := range targets {
		p, err := a.policyPlace(ctx, t, f.offline)
		if err != nil {
			return named(keeper.TargetReport{Target: t.Label, Err: err})
		}
		// A sweep of everything finds rules by their tags and looks at no cluster.
		p.Listed = p.Listed && !(f.all && slices.Equal(features, []iampolicy.Feature{iampolicy.Sweep}))
		need.Places = merge(need.Places, p)
	}
	a.status.clear()
	doc := iampolicy.Policy(need)
	if size := doc.Size(); size > iampolicy.MaxSize {
		fmt.Fprintf(a.Err, "emr-accessd: warning: the policy has %d characters, and IAM allows a managed policy %d: print one for each part of your targets (emr-accessd policy CLUSTER…)\n", size, iampolicy.MaxSize)
	}
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// policyTargets are the targets that a policy is about. Without any it is about every cluster of the region that
// the AWS settings name.
func (a *app) policyTargets(ctx context.Context, args []string, offline bool) ([]keeper.Target, error) {
	if len(args) > 0 && offline {
		for _, arg := range args {
			if !clusterID.MatchString(arg) && !groupID.MatchString(arg) {
				return nil, usageError{fmt.Errorf("--offline looks no name up, and %.40q is no id", arg), ""}
			}
		}
	}
	targets, err := a.choose(ctx, args, minLease, a.cfg.Rules.Lease)
	if err != nil {
		return nil, err
	}
	if targets == nil {
		if targets, err = a.targets(); err != nil {
			return nil, err
		}
	}
	if len(targets) == 0 {
		targets = everyCluster([]keeper.Target{a.here()})
	}
	return targets, nil
}

// everyCluster stands for all clusters of the regions of targets.
func everyCluster(targets []keeper.Target) (out []keeper.Target) {
	for _, t := range targets {
		place := keeper.Target{Label: "every cluster", Profile: t.Profile, Region: t.Region, Account: t.Account}
		if !slices.ContainsFunc(out, func(o keeper.Target) bool { return o.Profile == place.Profile && o.Region == place.Region }) {
			out = append(out, place)
		}
	}
	return out
}

// policyPlace is where a target is, as far as IAM can name it.
func (a *app) policyPlace(ctx context.Context, t keeper.Target, offline bool) (iampolicy.Place, error) {
	p := iampolicy.Place{Account: t.Account, Region: t.Region, Plain: t.SecurityGroup != "", Listed: t.Cluster == "" && t.SecurityGroup == ""}
	if t.Cluster != "" {
		p.Clusters = []string{t.Cluster}
	}
	if t.SecurityGroup != "" {
		p.Groups = []string{t.SecurityGroup}
	}
	if offline {
		if p.Region == "" {
			_, p.Region, _ = awsclient.Defaults(ctx, awsclient.Options{Profile: t.Profile}) // not set: any region
		}
		return p, nil
	}
	a.status.say("looking up " + t.Label)
	c, err := a.open(ctx, t.Profile, t.Region)
	if err != nil {
		return p, offlineHint(err)
	}
	id := c.Identity()
	if t.Account != "" && t.Account != id.Account {
		return p, &keeper.AccountError{Want: t.Account, Have: id.Account}
	}
	p.Account, p.Region = id.Account, id.Region
	if t.Cluster == "" && t.NamePattern == "" && len(t.ClusterTags) == 0 {
		return p, nil
	}
	place, err := c.Resolve(ctx, t, keeper.Before{})
	if err != nil {
		return p, offlineHint(err)
	}
	if p.Groups = place.Groups; len(p.Groups) == 0 {
		fmt.Fprintf(a.Err, "emr-accessd: note: no group of %s is known now, so the policy allows any group of the account and region\n", printable(t.Label))
	}
	return p, nil
}

// offlineHint: who has no permission yet cannot look up what to ask for.
func offlineHint(err error) error {
	if kind, ok := awsclient.KindOf(err); ok && (kind == awsclient.Denied || kind == awsclient.Credentials || kind == awsclient.Offline) {
		return hinted{err, exitCode(err), "`emr-accessd policy --offline` prints a policy with wildcards, without asking AWS"}
	}
	return err
}

// merge adds a place to those of other accounts and regions. A group that one target does not know is any group.
func merge(places []iampolicy.Place, p iampolicy.Place) []iampolicy.Place {
	i := slices.IndexFunc(places, func(o iampolicy.Place) bool { return o.Account == p.Account && o.Region == p.Region })
	if i < 0 {
		return append(places, p)
	}
	o := &places[i]
	if len(o.Groups) == 0 || len(p.Groups) == 0 {
		o.Groups = nil
	} else {
		o.Groups = append(slices.Clone(o.Groups), p.Groups...)
		slices.Sort(o.Groups)
		o.Groups = slices.Compact(o.Groups)
	}
	o.Clusters = append(slices.Clone(o.Clusters), p.Clusters...)
	o.Listed, o.Plain = o.Listed || p.Listed, o.Plain || p.Plain
	return places
}
