package main

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// The quota is not asked for: Service Quotas is one more service and permission for one number.
const (
	rulesQuota     = 60
	rulesQuotaFrom = "AWS's default; the account may have another limit, see VPC quota L-0EA8095F in Service Quotas"
)

// allRoles are those that a survey looks at unless --nodes says otherwise.
var allRoles = []string{awsclient.RolePrimary, awsclient.RoleCore, awsclient.RoleTask}

// surveyed is one cluster, or one plain security group, with all that is known about who gets in.
type surveyed struct {
	sgsync.Survey
	target                        keeper.Target
	cluster, name, state          string
	region, account, profile, arn string
}

// survey gathers what an audit of the nodes with these roles needs. A missing permission leaves a gap that is
// told; everything else that fails is an error.
func (a *app) survey(ctx context.Context, t keeper.Target, roles []string) ([]surveyed, error) {
	c := a.client(t)
	if c == nil {
		if _, err := a.open(ctx, t.Profile, t.Region); err != nil {
			return nil, err
		}
		c = a.client(t)
	}
	id := c.Identity()
	if t.Account != "" && t.Account != id.Account {
		return nil, &keeper.AccountError{Want: t.Account, Have: id.Account}
	}
	base := surveyed{target: t, region: id.Region, account: id.Account, profile: id.Profile, arn: id.ARN}
	base.Port, base.Quota, base.QuotaFrom = t.Port, rulesQuota, rulesQuotaFrom
	if t.SecurityGroup != "" {
		s := surveyor{surveyed: base, c: c, say: a.status.say}
		err := s.plainGroup(ctx, t.SecurityGroup)
		return []surveyed{s.surveyed}, err
	}
	ids := []string{t.Cluster}
	if t.Cluster == "" {
		var err error
		if ids, err = (cloud{c}).matching(ctx, t); err != nil {
			return nil, err
		}
	}
	var out []surveyed
	for _, id := range ids {
		s := surveyor{surveyed: base, c: c, say: a.status.say}
		if err := s.emr(ctx, id, roles); err != nil {
			return nil, err
		}
		out = append(out, s.surveyed)
	}
	return out, nil
}

type surveyor struct {
	surveyed
	c   *awsclient.Client
	say func(string)
}

// miss notes a gap, behind which somebody may get in whom the survey does not name. Only what another permission, or
// another try, mends is a gap; other errors come back.
func (s *surveyor) miss(what string, err error) error { return s.gap(sgsync.Unseen{What: what}, err) }

// lack notes a gap that nobody can get in by: a name, a setting.
func (s *surveyor) lack(what string, err error) error {
	return s.gap(sgsync.Unseen{What: what, Aside: true}, err)
}

func (s *surveyor) gap(u sgsync.Unseen, err error) error {
	e, ok := errors.AsType[*awsclient.Error](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case awsclient.Denied:
		u.Needs = e.Op
	case awsclient.Server, awsclient.Throttled, awsclient.NotFound:
		u.Why = e.Error()
	default:
		return err
	}
	if !slices.Contains(s.Unseen, u) {
		s.Unseen = append(s.Unseen, u)
	}
	return nil
}

// emr surveys a cluster.
func (s *surveyor) emr(ctx context.Context, id string, roles []string) error {
	s.say("looking up " + id)
	cl, err := s.c.Cluster(ctx, id)
	if err != nil {
		return err
	}
	s.cluster, s.name, s.state = cl.ID, cl.Name, cl.State
	if cl.Ended() {
		return keeper.ErrEnded
	}
	nodes, err := s.c.Nodes(ctx, cl, roles...)
	if err != nil {
		return err
	}
	if err := s.nodes(ctx, cl, nodes); err != nil {
		return err
	}
	own := slices.Concat([]string{cl.PrimaryGroup, cl.CoreGroup, cl.ServiceGroup}, cl.AdditionalPrimary, cl.AdditionalCore)
	wanted := groupsFromEMR(cl, roles)
	if err := s.groups(ctx, own, wanted); err != nil {
		return err
	}
	return s.rest(ctx)
}

// groupsFromEMR are the groups that EMR says the nodes of these roles have.
func groupsFromEMR(cl awsclient.Cluster, roles []string) (ids []string) {
	for _, role := range roles {
		managed, additional := cl.CoreGroup, cl.AdditionalCore
		if role == awsclient.RolePrimary {
			managed, additional = cl.PrimaryGroup, cl.AdditionalPrimary
		}
		for _, id := range append([]string{managed}, additional...) {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// nodes finds out which groups the nodes' interfaces really have: EMR only tells what a cluster was made with.
func (s *surveyor) nodes(ctx context.Context, cl awsclient.Cluster, nodes []awsclient.Node) error {
	s.say("reading network interfaces")
	var ids []string
	for _, n := range nodes {
		ids = append(ids, n.Instance)
	}
	var found []awsclient.Interface
	var err error
	unread := false
	if len(ids) > 0 {
		if found, err = s.c.InterfacesOf(ctx, ids); err != nil {
			unread = true
			if err = s.miss("all network interfaces of the nodes", err); err != nil {
				return err
			}
		}
	}
	for _, n := range nodes {
		an := sgsync.AuditNode{Instance: n.Instance, Role: n.Role, Public4: n.Public4, Private4: n.Private4, V6: n.V6, Groups: slices.Clone(n.Groups)}
		// Without the interfaces only the addresses of the first one are known, and of those the primary ones.
		an.Unclear = n.Detail != nil || unread
		for _, i := range found {
			if i.Instance != n.Instance {
				continue
			}
			an.Groups, an.Unclear = append(an.Groups, i.Groups...), false
			an.V6, an.Public4 = cmp.Or(an.V6, firstAddr(i.V6)), cmp.Or(an.Public4, firstAddr(i.Public4))
		}
		if len(an.Groups) == 0 {
			an.Groups = groupsFromEMR(cl, []string{n.Role})
			if n.Detail != nil {
				if err := s.miss("the groups on the nodes' interfaces (shown are those that EMR names)", n.Detail); err != nil {
					s.Unseen = append(s.Unseen, sgsync.Unseen{What: "the groups on the interfaces of " + n.Instance + " (shown are those that EMR names)", Why: err.Error()})
				}
			}
		}
		s.Nodes = append(s.Nodes, an)
	}
	return nil
}

// plainGroup surveys a security group and whatever it is attached to.
func (s *surveyor) plainGroup(ctx context.Context, id string) error {
	g, err := s.c.Group(ctx, id)
	if err != nil {
		return err
	}
	s.name, s.Plain = g.Name, id
	found, err := s.c.InterfacesIn(ctx, id)
	if err != nil {
		if err := s.miss("what the group is attached to", err); err != nil {
			return err
		}
		s.Nodes = []sgsync.AuditNode{{Instance: "unknown", Groups: []string{id}, Unclear: true}}
	}
	for _, i := range found {
		s.Nodes = append(s.Nodes, sgsync.AuditNode{Instance: cmp.Or(i.Instance, i.ID), Public4: firstAddr(i.Public4), Private4: firstAddr(i.Private4),
			V6: firstAddr(i.V6), Groups: i.Groups})
	}
	if err := s.groups(ctx, []string{id}, []string{id}); err != nil {
		return err
	}
	return s.rest(ctx)
}

// firstAddr is the zero Addr for none.
func firstAddr(list []netip.Addr) netip.Addr {
	if len(list) == 0 {
		return netip.Addr{}
	}
	return list[0]
}
