package main

import (
	"context"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// groups reads the rules of all groups on the nodes, and of those that should be there.
func (s *surveyor) groups(ctx context.Context, own, wanted []string) error {
	ids := slices.Clone(wanted)
	for _, n := range s.Nodes {
		ids = append(ids, n.Groups...)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		s.say("reading the rules of " + id)
		g := sgsync.AuditGroup{ID: id, Cluster: slices.Contains(own, id)}
		view, err := s.c.Rules(ctx, id)
		if err != nil {
			if err := s.miss("the rules of "+id, err); err != nil {
				return err
			}
			g.Unread = true
		} else if s.Now.IsZero() {
			s.Now = view.AWS
		}
		g.Rules = view.Rules
		if g.Name, err = s.groupName(ctx, id); err != nil {
			return err
		}
		s.Groups = append(s.Groups, g)
	}
	for _, id := range s.referenced() {
		g := sgsync.AuditGroup{ID: id, Cluster: slices.Contains(own, id)}
		var err error
		if g.Name, err = s.groupName(ctx, id); err != nil {
			return err
		}
		if g.Members, err = s.members(ctx, id); err != nil {
			return err
		}
		if i := slices.IndexFunc(s.Groups, func(o sgsync.AuditGroup) bool { return o.ID == id }); i >= 0 {
			s.Groups[i].Members = g.Members
			continue
		}
		g.Away = g.Name == "" && len(g.Members) == 0 // every group has a name
		s.Groups = append(s.Groups, g)
	}
	return nil
}

func (s *surveyor) groupName(ctx context.Context, id string) (string, error) {
	for _, g := range s.Groups {
		if g.ID == id {
			return g.Name, nil
		}
	}
	g, err := s.c.Group(ctx, id)
	if kind, _ := awsclient.KindOf(err); kind == awsclient.NotFound {
		return "", nil // a group of another account, or one that is gone: EC2 keeps the reference
	}
	if err != nil {
		return "", s.lack("the names of groups", err)
	}
	return g.Name, nil
}

// members lists who is in a group that rules refer to.
func (s *surveyor) members(ctx context.Context, id string) (out []sgsync.AuditMember, err error) {
	found, err := s.c.InterfacesIn(ctx, id)
	if err != nil {
		return nil, s.miss("who is in the groups that rules refer to", err)
	}
	for _, i := range found {
		m := sgsync.AuditMember{Name: i.Instance}
		if m.Name == "" {
			m.Name = i.ID
		}
		m.Addrs = slices.Concat(i.Private4, i.V6) // a reference means private addresses
		out = append(out, m)
	}
	return out, nil
}

// referenced are the groups that the rules name as a source.
func (s *surveyor) referenced() (ids []string) {
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			if r.SourceGroup != "" {
				ids = append(ids, r.SourceGroup)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// rest resolves the prefix lists and asks for EMR's setting.
func (s *surveyor) rest(ctx context.Context) error {
	var ids []string
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			if r.PrefixList != "" {
				ids = append(ids, r.PrefixList)
			}
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 0 {
		s.say("reading prefix lists")
		lists, err := s.c.PrefixLists(ctx, ids)
		if err != nil {
			if err := s.lack("the names and sizes of prefix lists "+strings.Join(ids, ", "), err); err != nil {
				return err
			}
			lists = nil
		}
		for _, id := range ids {
			i := slices.IndexFunc(lists, func(l sgsync.PrefixList) bool { return l.ID == id })
			l := sgsync.PrefixList{ID: id}
			if i >= 0 {
				l = lists[i]
			}
			if err := s.c.PrefixListEntries(ctx, &l); err != nil {
				l.Entries, l.Unread = nil, true
				if err := s.miss("the entries of prefix list "+id, err); err != nil {
					return err
				}
			}
			s.Lists = append(s.Lists, l)
		}
	}
	b, err := s.c.PublicBlock(ctx)
	if err != nil {
		return s.lack("EMR's block public access setting", err)
	}
	s.Block = &b
	return nil
}
