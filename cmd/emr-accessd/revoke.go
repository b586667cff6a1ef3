package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

func (a *app) revokeCommand() *cobra.Command {
	var mine, dry bool
	cmd := &cobra.Command{
		Use:   "revoke [CLUSTER…]",
		Short: "give back all of this computer's rules",
		Long: `Removes every rule that this installation holds, or its lease where others hold the
rule too. They are found by tag, also those of targets that have left the
configuration and after the local state was lost. With arguments only the groups
of these clusters are looked at. Nobody else's rule is touched. A session that is open
does not bring the rule back; a daemon does, unless it is paused.

--all-mine also gives back what other computers hold in the name of the same AWS
user, in the regions of the configuration: those that are lost, and those that you
still use (their daemons come back for it; stop or pause them first).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if mine && len(args) > 0 {
				return usageError{errors.New("--all-mine is everything of yours: it takes no clusters"), cmd.CommandPath()}
			}
			return a.revoke(cmd.Context(), args, mine, dry)
		},
	}
	cmd.Flags().BoolVar(&mine, "all-mine", false, "also what other computers hold in the name of the same AWS user")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what would be given back and the exact calls, change nothing")
	return cmd
}

func (a *app) revoke(ctx context.Context, args []string, mine, dry bool) error {
	a.status = newLongProgress(a.Err)
	k, err := a.keeper()
	if err != nil {
		return err
	}
	if len(args) == 0 && len(k.Targets) == 0 {
		k.Targets = []keeper.Target{a.here()}
	}
	targets, err := a.choose(ctx, args, time.Hour, a.cfg.Rules.Lease)
	if err != nil {
		return err
	}
	targets = append(targets, sessionsTo(k.Store, targets)...)
	rep, err := a.giveBackAll(ctx, k, targets, mine, dry)
	a.status.clear()
	if err != nil {
		return err
	}
	if err := a.print(rep, func(w io.Writer) { renderTidied(w, rep, "nothing to give back") }); err != nil {
		return err
	}
	if !dry && k.Store.Running() && k.Store.Paused(time.Now()) == nil {
		fmt.Fprintln(a.Err, "emr-accessd: hint: the daemon runs and will authorize your address again; first pause it (emr-accessd pause) or stop it (emr-accessd stop)")
	}
	return a.verdict(rep, dry)
}

// sessionsTo are the temporary targets that bear the same names, for other nodes, ports or profiles: whoever names a cluster
// means those too, also where their time was over and no round has given them back.
func sessionsTo(store *keeper.Store, targets []keeper.Target) (more []keeper.Target) {
	st, _ := store.Load()
	for _, o := range st.OfSessions() {
		named := slices.ContainsFunc(targets, func(t keeper.Target) bool { return t.Label == o.Label })
		if named && !slices.ContainsFunc(targets, o.Same) {
			more = append(more, o)
		}
	}
	return more
}

// giveBackAll gives back what other computers of the user hold, too, before the state forgets where that may be. This one's
// own is given back whatever became of that: only then do the sessions that are open know of it.
func (a *app) giveBackAll(ctx context.Context, k *keeper.Keeper, targets []keeper.Target, mine, dry bool) (rep keeper.Report, err error) {
	if mine {
		if rep, err = k.ReleaseMine(ctx, nil, dry); dry {
			return rep, err
		}
	}
	own, failed := k.Round(ctx, keeper.Request{Targets: targets, Release: true, DryRun: dry})
	own.Targets = append(rep.Targets, own.Targets...)
	return own, cmp.Or(err, failed)
}
