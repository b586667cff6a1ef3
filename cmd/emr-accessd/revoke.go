package main

import (
	"fmt"
	"io"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

func (a *app) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke [CLUSTER…]",
		Short: "give back all of this computer's rules",
		Long: `Removes every rule that this installation holds, or its lease where others hold the
rule too. They are found by tag, also those of targets that have left the
configuration and after the local state was lost. With arguments only the groups
of these clusters are looked at. Nobody else's rule is touched.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			a.status = newProgress(a.Err)
			k, err := a.keeper()
			if err != nil {
				return err
			}
			if len(args) == 0 && len(k.Targets) == 0 {
				k.Targets = []keeper.Target{{Label: "default", Profile: a.flags.profile, Region: a.flags.region}}
			}
			targets, err := a.choose(cmd.Context(), args, time.Hour, a.cfg.Rules.Lease)
			if err != nil {
				return err
			}
			rep, err := k.Round(cmd.Context(), keeper.Request{Targets: targets, Release: true})
			a.status.clear()
			if err != nil {
				return err
			}
			if err := a.print(rep, func(w io.Writer) { renderRevoke(w, rep) }); err != nil {
				return err
			}
			if k.Store.Running() && k.Store.Paused(time.Now()) == nil && rep.Failed() == nil {
				fmt.Fprintln(a.Err, "emr-accessd: hint: the daemon runs and will authorize your address again; first pause it (emr-accessd pause) or stop it (emr-accessd stop)")
			}
			return a.verdict(rep, false)
		},
	}
}
