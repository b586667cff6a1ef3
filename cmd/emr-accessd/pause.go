package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// pauseAnswer is `pause --json`; docs/json.md describes it.
type pauseAnswer struct {
	Paused *keeper.Pause `json:"paused"`
}

// roundUnderWay is what a pause and its end wait for.
const roundUnderWay = "waiting for the end of the round that is under way"

func (a *app) pauseCommand() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "pause [TIME]",
		Short: "stop the daemon from changing rules, for a while or until you resume",
		Long: `The daemon asks nobody for your address and changes no rule until the time is over
or you run "resume"; it may be started and stopped in the meantime. Its rules stay,
but their leases are not renewed: after they have ended, others take the rules away
("revoke" does that at once).

What you ask for yourself is done all the same: sync, connect, revoke. A session that
is open goes on, but its rule does not follow your address and is not renewed.`,
		Example: `  emr-accessd pause 2h                      # or --for 2h
  emr-accessd pause && emr-accessd revoke   # away until "emr-accessd resume"`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			limited := cmd.Flags().Changed("for")
			if len(args) > 0 {
				if limited {
					return usageError{fmt.Errorf("%s and --for %v: one time is enough", args[0], life), cmd.CommandPath()}
				}
				var err error
				if life, err = time.ParseDuration(args[0]); err != nil {
					return usageError{fmt.Errorf("%q is no time to pause for, such as 10m or 2h", args[0]), cmd.CommandPath()}
				}
				limited = true
			}
			now := time.Now().Round(0)
			p := keeper.Pause{Since: now}
			if limited {
				if life <= 0 {
					return usageError{fmt.Errorf("to pause for %v: want a time to come, such as 2h", life), cmd.CommandPath()}
				}
				p.Until = now.Add(life)
			}
			store, err := a.store()
			if err != nil {
				return err
			}
			a.status = newProgress(a.Err)
			a.status.say(roundUnderWay)
			err = store.Pause(cmd.Context(), p)
			a.status.clear()
			if err != nil {
				return err
			}
			ans := pauseAnswer{store.Paused(now)}
			return a.print(ans, func(w io.Writer) {
				fmt.Fprintln(w, pausedUntil(*ans.Paused, now))
				if !store.Running() {
					fmt.Fprintln(w, "no daemon runs now; one that is started stays paused")
				}
			})
		},
	}
	cmd.Flags().DurationVar(&life, "for", 0, "how long (default: until you resume)")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "end a pause, and bring the rules in step with your address now",
		Long: `Ends what "pause" began and makes one round, as "sync" does. The daemon goes on by
itself within a minute.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(); err != nil {
				return err
			}
			a.status = newProgress(a.Err)
			k, err := a.keeper()
			if err != nil {
				return err
			}
			a.status.say(roundUnderWay)
			was, err := k.Store.Resume(cmd.Context())
			a.status.clear()
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintln(a.Err, "emr-accessd: note: it was not paused")
			}
			rep, err := k.Round(cmd.Context(), keeper.Request{Targets: a.asFlagged(k, nil)})
			a.status.clear()
			if errors.Is(err, keeper.ErrNothing) {
				rep, err = keeper.Report{Targets: []keeper.TargetReport{}}, nil
			}
			if err != nil {
				return err
			}
			if err := a.print(rep, func(w io.Writer) { renderReport(w, rep) }); err != nil {
				return err
			}
			return a.verdict(rep, false)
		},
	}
}

// pausedUntil says that and how long the daemon is paused.
func pausedUntil(p keeper.Pause, now time.Time) string {
	switch {
	case p.Problem != "":
		return "paused: " + printable(p.Problem) + " (emr-accessd resume ends it)"
	case p.Until.IsZero():
		return "paused until you run: emr-accessd resume"
	}
	return fmt.Sprintf("paused until %s (%s); emr-accessd resume ends it earlier", p.Until.Local().Format("Mon 15:04"), ago(p.Until, now))
}

// notePause reminds whoever asks for a rule that nobody will keep it in step.
func (a *app) notePause(s *keeper.Store) {
	if p := s.Paused(time.Now()); p != nil {
		fmt.Fprintf(a.Err, "emr-accessd: note: the daemon is %s; until then no rule follows your address\n", pausedUntil(*p, time.Now()))
	}
}
