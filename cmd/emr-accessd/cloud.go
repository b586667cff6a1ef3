package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// cloud is awsclient as the keeper sees it: the two meet only here.
type cloud struct{ *awsclient.Client }

func (c cloud) Identity() keeper.Identity {
	id := c.Client.Identity()
	return keeper.Identity{Profile: id.Profile, Region: id.Region, Account: id.Account, ARN: id.ARN, UserID: id.UserID, Endpoint: id.Endpoint, Unstable: id.Unstable}
}

func (c cloud) Host() string { return c.EC2Host() }

func (c cloud) Tagged(ctx context.Context, key string) ([]sgsync.Rule, error) {
	v, err := c.RulesByTag(ctx, key)
	return v.Rules, err
}

// errNoAdditional: groups cannot be attached to a running cluster, only their rules edited (EMR guide,
// "Working with Amazon EMR-managed security groups").
var errNoAdditional = errors.New("the cluster has no additional security group, and none can be attached to a running cluster")

// errNoGroup: a cluster that was made a moment ago.
var errNoGroup = errors.New("EMR does not tell the cluster's security group yet")

// Resolve finds the groups and nodes of a target. Groups come by id from the cluster's own description:
// their names differ between accounts and years.
func (c cloud) Resolve(ctx context.Context, t keeper.Target, was keeper.Before) (keeper.Place, error) {
	switch {
	case t.SecurityGroup != "":
		g, err := c.Group(ctx, t.SecurityGroup)
		if err != nil {
			return keeper.Place{}, err
		}
		return keeper.Place{Name: g.Name, Groups: []string{g.ID}}, nil
	case t.Cluster == "":
		return c.resolvePattern(ctx, t, was)
	}
	stood, err := c.stand(ctx, []string{t.Cluster}, was)
	if err != nil {
		return keeper.Place{}, err
	}
	if p, ok := stood[t.Cluster]; ok && len(p.Groups) == len(was.Place.Groups) && len(p.Nodes) == len(was.Place.Nodes) {
		p.Looks = was.Place.Looks + 1
		return p, nil
	}
	return c.resolveCluster(ctx, t, t.Cluster)
}

// matching lists the active clusters that a name pattern and tags select.
func (c cloud) matching(ctx context.Context, t keeper.Target) (ids []string, err error) {
	list, err := c.ListClusters(ctx, false)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if t.NamePattern != "" {
			if !matches(t.NamePattern, s.Name) {
				continue
			}
		}
		if len(t.ClusterTags) > 0 {
			cl, err := c.Cluster(ctx, s.ID)
			if err != nil {
				return nil, err
			}
			if !hasTags(cl.Tags, t.ClusterTags) {
				continue
			}
		}
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// matches reports whether a name fits a pattern in which * stands for any text.
func matches(pattern, name string) bool {
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	ok, err := regexp.MatchString(`(?s)^`+expr+`$`, name)
	return err == nil && ok
}

func hasTags(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func (c cloud) resolveCluster(ctx context.Context, t keeper.Target, id string) (keeper.Place, error) {
	cl, err := c.Cluster(ctx, id)
	if err != nil {
		return keeper.Place{}, err
	}
	p := keeper.Place{Cluster: cl.ID, Name: cl.Name, State: cl.State, KeyName: cl.KeyName, Ended: cl.Ended()}
	if p.Groups, err = groupsOf(cl, t); err != nil {
		return keeper.Place{}, fmt.Errorf("%s: %w", id, err)
	}
	if p.Ended {
		return p, nil
	}
	p.Uses = map[string][]string{}
	for _, g := range p.Groups {
		p.Uses[g] = []string{cl.ID}
	}
	nodes, err := c.Nodes(ctx, cl, t.Nodes...)
	if err != nil {
		return keeper.Place{}, err
	}
	p.Nodes = nodesOf(cl.ID, nodes)
	for _, n := range nodes {
		p.Unclear6 = p.Unclear6 || n.Detail != nil && !n.V6.IsValid()
		if n.Detail != nil && len(p.Warnings) == 0 {
			p.Warnings = append(p.Warnings, fmt.Sprintf("the nodes' IPv6 addresses are not known: %v", n.Detail))
		}
	}
	return p, nil
}

func nodesOf(cluster string, nodes []awsclient.Node) (out []keeper.Node) {
	for _, n := range nodes {
		out = append(out, keeper.Node{Cluster: cluster, Instance: n.Instance, Role: n.Role, State: n.State, Public4: n.Public4, Private4: n.Private4, V6: n.V6})
	}
	return out
}

// groupsOf chooses the groups of a cluster that a target is about.
func groupsOf(cl awsclient.Cluster, t keeper.Target) (ids []string, err error) {
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, role := range t.Nodes {
		managed, additional := cl.CoreGroup, cl.AdditionalCore
		if role == awsclient.RolePrimary {
			managed, additional = cl.PrimaryGroup, cl.AdditionalPrimary
		}
		switch {
		case t.Group != "additional":
			add(managed)
		case len(additional) == 0 && cl.Ended(): // then that is what there is to say
		case len(additional) == 0:
			return nil, errNoAdditional
		default:
			add(additional[0])
		}
	}
	if len(ids) == 0 && !cl.Ended() {
		return nil, errNoGroup
	}
	return ids, nil
}
