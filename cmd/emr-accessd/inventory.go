package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// roles are the roles of nodes, in the order in which people name them.
var roles = []string{awsclient.RolePrimary, awsclient.RoleCore, awsclient.RoleTask}

// The ways in which a primary node can be reached.
const (
	reachPublic  = "public"  // it has a public address
	reachPrivate = "private" // through a VPN or Direct Connect only
	reachUnknown = "unknown" // it has no node yet, or not any more
)

// lookups bounds the clusters that are looked up at once: EMR's limits are per account, and not published.
const lookups = 4

// inventory looks at all clusters in a place. What cannot be found out about one of them is told with it.
func (a *app) inventory(ctx context.Context, place keeper.Target, all bool) ([]clusterRow, error) {
	opened, err := a.open(ctx, place.Profile, place.Region)
	if err != nil {
		return nil, err
	}
	id := opened.Identity()
	if place.Account != "" && place.Account != id.Account {
		return nil, &keeper.AccountError{Want: place.Account, Have: id.Account}
	}
	client := a.client(place)
	list, err := client.ListClusters(ctx, all)
	if err != nil {
		return nil, err
	}
	rows := make([]clusterRow, len(list))
	errs := make([]error, len(list))
	limit := make(chan struct{}, lookups)
	var wg sync.WaitGroup
	for i, s := range list {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			rows[i] = clusterRow{ID: s.ID, Name: s.Name, State: s.State, Created: instant(s.Created), Profile: id.Profile, Region: id.Region, Account: id.Account,
				Nodes: map[string]int{}, Reach: reachUnknown, Primary: []string{}, Groups: clusterGroups{AdditionalPrimary: []string{}, AdditionalCore: []string{}}, Targets: []string{}}
			if err := look(ctx, client, &rows[i]); err != nil {
				kind, _ := awsclient.KindOf(err)
				if kind != awsclient.Denied && kind != awsclient.NotFound {
					errs[i] = err
				}
				rows[i].Problem = err.Error()
			}
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// look fills in what EMR and EC2 know of a cluster.
func look(ctx context.Context, client *awsclient.Client, r *clusterRow) error {
	cl, err := client.Cluster(ctx, r.ID)
	if err != nil {
		return err
	}
	r.Name, r.State, r.Release, r.KeyName, r.tags = cl.Name, cl.State, cl.Release, cl.KeyName, cl.Tags
	r.Groups.Primary, r.Groups.Core = cl.PrimaryGroup, cl.CoreGroup
	r.Groups.AdditionalPrimary = append(r.Groups.AdditionalPrimary, cl.AdditionalPrimary...)
	r.Groups.AdditionalCore = append(r.Groups.AdditionalCore, cl.AdditionalCore...)
	if !cl.Active() {
		return nil
	}
	nodes, err := client.Nodes(ctx, cl, roles...)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		r.Nodes[n.Role]++
		if n.Role != awsclient.RolePrimary {
			continue
		}
		if r.Reach == reachUnknown {
			r.Reach = reachPrivate
		}
		for _, a := range []netip.Addr{n.Public4, n.V6} {
			if a.IsValid() {
				r.Reach = reachPublic
				r.Primary = append(r.Primary, a.String())
			}
		}
	}
	return nil
}
