package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"golang.org/x/term"
)

// picked has the user pick a cluster from the list of those that are active: nothing is picked for anybody, also not
// the only one.
func (a *app) picked(ctx context.Context, life, lease time.Duration) ([]keeper.Target, error) {
	if a.In == nil || !term.IsTerminal(int(a.In.Fd())) {
		return nil, usageError{errors.New("no cluster is named, and there is no terminal to pick one on; `emr-accessd clusters` lists them"), "emr-accessd connect"}
	}
	configured, err := a.targets()
	if err != nil {
		return nil, err
	}
	rows, places, err := a.rowsOf(ctx, configured)
	a.status.clear()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, hinted{errors.New("there is no active cluster"), exitFailed, "look elsewhere with --region and --profile"}
	}
	row, err := a.choice(ctx, rows, "emr-accessd connect")
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(configured, func(t keeper.Target) bool { return t.Cluster == row.ID }); i >= 0 {
		return configured[i : i+1], nil
	}
	t := config.DefaultTarget()
	t.Cluster = row.ID
	k, err := a.unlisted(ctx, t, life, lease)
	place := places[row.ID]
	k.Profile, k.Region = cmp.Or(place.Profile, k.Profile), cmp.Or(place.Region, k.Region)
	return []keeper.Target{k}, err
}

// rowsOf lists the active clusters in the places of the configuration, or in the one that the flags name, with the place of each.
// A place that cannot be looked at is told, unless it is the only one.
func (a *app) rowsOf(ctx context.Context, configured []keeper.Target) (rows []clusterRow, places map[string]keeper.Target, err error) {
	if len(configured) == 0 {
		configured = []keeper.Target{a.here()}
	}
	places = map[string]keeper.Target{}
	looked := map[[2]string]bool{}
	for _, t := range configured {
		key := [2]string{t.Profile, t.Region}
		if looked[key] {
			continue
		}
		looked[key] = true
		a.status.say("listing clusters")
		found, ferr := a.inventory(ctx, t, false)
		if ferr != nil {
			err = errors.Join(err, ferr)
		}
		for _, r := range found {
			places[r.ID] = t
		}
		rows = append(rows, found...)
	}
	if len(rows) > 0 && err != nil {
		a.status.clear()
		fmt.Fprintf(a.Err, "emr-accessd: warning: not all places could be looked at: %s\n", printable(err.Error()))
		err = nil
	}
	return rows, places, err
}
