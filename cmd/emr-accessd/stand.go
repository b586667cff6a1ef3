package main

import (
	"context"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// stand returns those of the clusters that are where they were found before: all of their nodes run, in the same groups. One
// call to EC2 tells that for many clusters, and none to EMR. A cluster keeps its groups as long as it lives, and an instance
// its id.
func (c cloud) stand(ctx context.Context, ids []string, was keeper.Before) (map[string]keeper.Place, error) {
	if !was.Stand || was.Place.Unclear6 {
		return nil, nil
	}
	before := map[string]keeper.Place{}
	var instances []string
	for _, id := range ids {
		if p := partOf(was.Place, id); complete(p) {
			before[id] = p
			for _, n := range p.Nodes {
				instances = append(instances, n.Instance)
			}
		}
	}
	running, err := c.Running(ctx, instances)
	if kind, _ := awsclient.KindOf(err); err != nil && kind == awsclient.Denied {
		return nil, nil // EMR tells the rest, without IPv6
	}
	if err != nil {
		return nil, err
	}
	stood := map[string]keeper.Place{}
	for id, p := range before {
		if stands(&p, running) {
			stood[id] = p
		}
	}
	return stood, nil
}

// partOf is what a place has of one cluster.
func partOf(was keeper.Place, id string) keeper.Place {
	p := keeper.Place{Cluster: id, Uses: map[string][]string{}}
	if was.Cluster == id {
		p.Name, p.State, p.KeyName = was.Name, was.State, was.KeyName
	}
	for _, g := range was.Groups {
		if slices.Contains(was.Uses[g], id) {
			p.Groups = append(p.Groups, g)
			p.Uses[g] = []string{id}
		}
	}
	for _, n := range was.Nodes {
		if n.Cluster == id {
			p.Nodes = append(p.Nodes, n)
		}
	}
	return p
}

// complete reports whether a cluster ran with all of its primary nodes, of which there are one or three. Of several clusters the
// state is not kept.
func complete(p keeper.Place) bool {
	runs := p.State == "" || p.State == "RUNNING" || p.State == "WAITING"
	starting := slices.ContainsFunc(p.Nodes, func(n keeper.Node) bool { return n.State != "RUNNING" })
	return runs && !starting && len(p.Groups) > 0 && (len(p.Nodes) == 1 || len(p.Nodes) == 3)
}

// stands compares a cluster with what runs, and takes over the nodes' addresses.
func stands(p *keeper.Place, running map[string]awsclient.Node) bool {
	used := map[string]bool{}
	for i := range p.Nodes {
		n, ok := running[p.Nodes[i].Instance]
		if !ok || !slices.ContainsFunc(n.Groups, func(g string) bool { return slices.Contains(p.Groups, g) }) {
			return false
		}
		for _, g := range n.Groups {
			used[g] = true
		}
		p.Nodes[i].Public4, p.Nodes[i].Private4, p.Nodes[i].V6 = n.Public4, n.Private4, n.V6
	}
	return !slices.ContainsFunc(p.Groups, func(g string) bool { return !used[g] })
}
