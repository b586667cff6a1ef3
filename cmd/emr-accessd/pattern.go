package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// resolvePattern finds the clusters that match now. When AWS has no room to list them or to describe more of them, those that
// are known are returned with the error: nobody should be shut out for the others, and a search that begins anew each time
// would hardly end where many clusters match. Any other refusal leaves nothing.
func (c cloud) resolvePattern(ctx context.Context, t keeper.Target, was keeper.Before) (keeper.Place, error) {
	ids, refused := c.matching(ctx, t)
	if refused != nil {
		if !transient(refused) {
			return keeper.Place{}, refused
		}
		ids = was.Place.Clusters
	}
	if len(ids) == 1 && was.Place.Cluster != ids[0] {
		was.Stand = false // its name and state were not kept while there were others
	}
	stood, err := c.stand(ctx, ids, was)
	if err != nil {
		return keeper.Place{}, errors.Join(refused, err)
	}
	all := keeper.Place{Uses: map[string][]string{}, Unlisted: refused != nil, Partial: refused != nil && was.Place.Partial}
	if len(stood) > 0 {
		all.Looks = was.Place.Looks + 1
	}
	for _, id := range ids {
		p, ok := stood[id]
		var err error
		if !ok && refused == nil {
			p, err = c.resolveCluster(ctx, t, id)
			ok = err == nil
		}
		switch {
		case errors.Is(err, errNoAdditional) || errors.Is(err, errNoGroup):
			all.Warnings = append(all.Warnings, err.Error()) // one odd cluster does not stop the others
			continue
		case err != nil && !transient(err):
			return keeper.Place{}, err
		case err != nil:
			refused = err // the next would be refused too
		}
		if !ok {
			all.Partial = true
			if p = partOf(was.Place, id); !was.Keep || len(p.Groups) == 0 {
				continue
			}
			p.Unclear6 = was.Place.Unclear6 || len(p.Nodes) == 0 // an older program did not note whose nodes they are
		}
		if p.Ended {
			continue
		}
		all.Clusters = append(all.Clusters, id)
		all.Unclear6 = all.Unclear6 || p.Unclear6
		for _, g := range p.Groups {
			if !slices.Contains(all.Groups, g) {
				all.Groups = append(all.Groups, g)
			}
			all.Uses[g] = append(all.Uses[g], id)
		}
		all.Nodes = append(all.Nodes, p.Nodes...)
		all.Warnings = append(all.Warnings, p.Warnings...)
		if len(ids) == 1 {
			all.Cluster, all.Name, all.State, all.KeyName = p.Cluster, p.Name, p.State, p.KeyName
		}
	}
	if len(ids) == 0 && refused == nil {
		all.Warnings = append(all.Warnings, fmt.Sprintf("no cluster matches %s now", t.Label))
	}
	return all, refused
}
