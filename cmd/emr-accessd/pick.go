package main

import (
	"cmp"
	"context"
	"errors"
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
	rows, err := a.everywhere(ctx, configured, false)
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
	k.Profile, k.Region = cmp.Or(row.place.Profile, k.Profile), cmp.Or(row.place.Region, k.Region)
	return []keeper.Target{k}, err
}
