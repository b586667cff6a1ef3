package main

import (
	"context"
	"fmt"
	"io"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

func (a *app) sweepCommand() *cobra.Command {
	var all, dry bool
	cmd := &cobra.Command{
		Use:   "sweep [CLUSTER…]",
		Short: "remove rules whose leases have ended, whoever made them",
		Long: `Looks at the groups of the targets of the configuration, or of these clusters, or
with --all at every group of the region, and removes the rules of emr-accessd whose
leases have all ended: those of computers that are gone for good. It needs no address
and opens nothing, so that it can run anywhere, as a cron job or in CI.

A rule with a live lease stays, and so do rules that emr-accessd did not make, ranges,
and rules that an administrator has tagged emr-accessd-provisioned.

Exit codes: 0 done or nothing to do, 1 failed, 2 usage or configuration, 3 there is
something to remove (--dry-run), 4 sign in again.`,
		Example: `  emr-accessd sweep --all --region eu-west-1 --dry-run
  emr-accessd policy --only sweep --all --region eu-west-1  # all that such a job may do`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if all && len(args) > 0 {
				return usageError{fmt.Errorf("--all is every group: it takes no clusters"), cmd.CommandPath()}
			}
			return a.sweep(cmd.Context(), args, all, dry)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every group of the region that holds a rule of emr-accessd")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what would be removed and the exact calls, change nothing")
	return cmd
}

func (a *app) sweep(ctx context.Context, args []string, all, dry bool) error {
	a.status = newProgress(a.Err)
	k, err := a.keeper()
	if err != nil {
		return err
	}
	req := keeper.SweepRequest{All: all, DryRun: dry}
	if req.Targets, err = a.choose(ctx, args, minLease, a.cfg.Rules.Lease); err != nil {
		return err
	}
	if all && len(k.Targets) == 0 {
		req.Targets = []keeper.Target{a.here()}
	}
	rep, err := k.SweepEnded(ctx, req)
	a.status.clear()
	if err != nil {
		return err
	}
	if err := a.print(rep, func(w io.Writer) { renderTidied(w, rep, "nothing to remove") }); err != nil {
		return err
	}
	return a.verdict(rep, dry)
}

// here stands for the region and account that the AWS settings name.
func (a *app) here() keeper.Target {
	return keeper.Target{Label: "default", Profile: a.flags.profile, Region: a.flags.region, Account: a.flags.account}
}
