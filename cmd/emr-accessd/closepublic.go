package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/spf13/cobra"
)

// closeFlags are the flags of close-public alone.
type closeFlags struct {
	yes, wait, dry bool
	restore        string
}

func (a *app) closeCommand() *cobra.Command {
	var f closeFlags
	cmd := &cobra.Command{
		Use:   "close-public CLUSTER",
		Short: "remove the rule that opens the SSH port to everybody, safely",
		Long: `Removes the rules that open exactly the port (22, or --port) to everybody, in the groups
of the cluster's nodes. The plan is shown first. Your own rule is put in place before
and must be certain; each rule is written to disk before it is removed, by its id; and
afterwards the port is tried. If it does not answer any more, the command that puts
the rule back is printed. Nothing is ever opened again without being asked for.

Rules that open more than the port (all traffic, a range) are shown and left alone.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not done yet (--dry-run, you
said no, your own rule is not certain, or public rules are left), 4 sign in again,
5 your address is not known for certain.`,
		Example: `  emr-accessd close-public j-2AXXXXXXGAPLF --dry-run
  emr-accessd close-public j-2AXXXXXXGAPLF --wait
  emr-accessd close-public --restore sgr-0123456789abcdef0`,
		Args: func(cmd *cobra.Command, args []string) error {
			if want := map[bool]int{true: 0, false: 1}[f.restore != ""]; len(args) != want {
				return usageError{errors.New("name one cluster, or a closed rule with --restore"), cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			a.status = newProgress(a.Err)
			if f.restore != "" {
				return a.restore(cmd.Context(), f)
			}
			return a.closePublic(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until your own rule is certain (up to a minute)")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "print the plan and the exact calls, change nothing")
	cmd.Flags().StringVar(&f.restore, "restore", "", "put back the closed `rule` (sgr-…)")
	return cmd
}

func (a *app) closePublic(ctx context.Context, arg string, f closeFlags) error {
	k, err := a.keeper()
	if err != nil {
		return err
	}
	targets, err := a.choose(ctx, []string{arg}, a.cfg.Rules.Lease, a.cfg.Rules.Lease)
	if err != nil {
		return err
	}
	if len(targets) > 1 {
		return hinted{fmt.Errorf("%d targets of the configuration are called %s", len(targets), arg), exitUsage, "give the cluster's id (j-…)"}
	}
	targets = a.asFlagged(k, targets) // else the daemon would take the own rule away
	rep, err := k.Round(ctx, keeper.Request{Targets: targets, DryRun: true})
	if err == nil {
		err = rep.Failed()
	}
	if err != nil {
		return err
	}
	c := &closing{app: a, keeper: k, target: targets[0], flags: f}
	if err := c.look(ctx); err != nil {
		return err
	}
	c.plan(ctx, rep)
	a.status.clear()
	if f.dry || len(c.answer.Close) == 0 {
		return c.finish()
	}
	if !a.flags.json || !f.yes {
		renderClosePlan(a.Err, c.answer)
	}
	if ok, err := a.confirm(ctx, "Close?", f.yes); err != nil {
		return err
	} else if !ok {
		return a.declined(c.answer)
	}
	if err := c.standFirst(ctx); err != nil {
		return err
	}
	err = c.close(ctx)
	c.answer.Applied = true
	if c.closed() > 0 {
		c.prove(ctx)
	}
	a.status.clear()
	if printErr := c.print(); err == nil {
		err = printErr
	}
	if err != nil {
		return err
	}
	return c.verdict(ctx)
}

// finish ends a run that changes nothing.
func (c *closing) finish() error {
	if err := c.print(); err != nil {
		return err
	}
	if len(c.answer.Close)+len(c.answer.Left) > 0 {
		return exitStatus(exitFindings)
	}
	return nil
}

func (c *closing) print() error {
	return c.app.print(c.answer, func(w io.Writer) { renderClose(w, c.answer) })
}

// standFirst makes a round and demands that the own rule is firm wherever the public one goes.
func (c *closing) standFirst(ctx context.Context) error {
	req := keeper.Request{Targets: []keeper.Target{c.target}}
	rep, err := c.keeper.Round(ctx, req)
	ready := func() bool { return err != nil || rep.Failed() != nil || !known(rep) || !rep.Pending() }
	// By this computer's monotonic clock: firm-from is AWS's time, and the two may differ.
	for begin := time.Now(); c.flags.wait && !ready() && ctx.Err() == nil && time.Since(begin) < waitLimit; {
		c.app.status.say("waiting until your own rule is certain")
		sleep(ctx, waitStep)
		rep, err = c.keeper.Round(ctx, req)
	}
	c.app.status.clear()
	if err != nil {
		return err
	}
	if err := c.app.verdict(rep, false); err != nil { // also an address that is not known
		return err
	}
	c.report = rep
	c.footings = footings(rep, c.keeper.Store.Installation(), c.found.Port)
	for _, r := range c.rules {
		if c.footing(r) == nil {
			return hinted{fmt.Errorf("%w in the groups of the nodes that %s opens, so nothing was closed", sgsync.ErrNoFooting, r.ID), exitFindings,
				"a rule that is shared with others is certain after half a minute: try again with --wait; a borrowed one never is (emr-accessd status)"}
		}
	}
	return nil
}

// footings are the own rules for the port that are certain to hold, by group. Other targets may want other ports there.
func footings(rep keeper.Report, installation string, port int) map[string][]sgsync.Footing {
	out := map[string][]sgsync.Footing{}
	for _, t := range rep.Targets {
		if t.Identity == nil {
			continue
		}
		for _, g := range t.Groups {
			for _, ch := range g.Changes {
				ours := ch.Role == string(sgsync.Self) && ch.Firm && ch.Port == port
				switch ch.Do {
				case "keep", "renew", "join", "move", "add":
				default:
					ours = false
				}
				if ours && g.Err == nil && confirmedIn(t, ch.CIDR) {
					out[g.ID] = append(out[g.ID], sgsync.Footing{Group: g.ID, Rule: ch.Rule, Holder: sgsync.Holder{UserID: t.Identity.UserID, Installation: installation}})
				}
			}
		}
	}
	return out
}
