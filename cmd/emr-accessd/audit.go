package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/spf13/cobra"
)

// auditAnswer is the answer of audit; its fields are a promise (docs/json.md).
type auditAnswer struct {
	Targets []auditTarget `json:"targets"`
	At      time.Time     `json:"at"`
}

// auditTarget is one cluster, or one plain security group.
type auditTarget struct {
	Target  string  `json:"target"`
	Cluster string  `json:"cluster"`
	Name    string  `json:"name"`
	State   string  `json:"state"`
	Region  string  `json:"region"`
	Account string  `json:"account"`
	Error   *string `json:"error"`
	sgsync.AuditResult

	err error
	by  string // who looked
}

func (a *app) auditCommand() *cobra.Command {
	var from, html string
	cmd := &cobra.Command{
		Use:   "audit [CLUSTER…]",
		Short: "who can really reach the port, by which rule",
		Long: `Looks at every security group on the network interfaces of the clusters' nodes and
tells who can reach the port (22, or --port): port ranges, all-traffic rules, IPv6,
prefix lists and references to other groups included. Then it lists what a person
should look at: rules open to everybody, leases of computers that are gone, groups
that are nearly full, EMR's block public access setting. It changes nothing.

Looks at primary, core and task nodes; --nodes narrows that. A security group
(sg-…) is looked at with everything that it is attached to.

Exit codes: 0 nothing to look at, 3 findings, 1 failed, 2 usage or configuration,
4 sign in again. Findings of severity "info" do not count.`,
		Example: `  emr-accessd audit j-2AXXXXXXGAPLF
  emr-accessd audit j-2AXXXXXXGAPLF --from 192.0.2.12
  emr-accessd audit --html report.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			var addr netip.Addr
			if cmd.Flags().Changed("from") {
				var err error
				if addr, err = netip.ParseAddr(from); err != nil || addr.Zone() != "" {
					return usageError{fmt.Errorf("--from %q is no address, such as 192.0.2.12", from), cmd.CommandPath()}
				}
			}
			return a.audit(cmd.Context(), args, addr, html)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "tell by which rules this `address` gets in")
	cmd.Flags().StringVar(&html, "html", "", "also write a report for a browser to this `file`")
	return cmd
}

func (a *app) audit(ctx context.Context, args []string, from netip.Addr, html string) error {
	a.status = newProgress(a.Err)
	targets, err := a.choose(ctx, args, time.Hour, a.cfg.Rules.Lease)
	if err == nil && len(args) == 0 {
		targets, err = a.targets()
	}
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return keeper.ErrNothing
	}
	answer := auditAnswer{At: time.Now().UTC().Round(0), Targets: []auditTarget{}}
	for _, t := range targets {
		answer.Targets = append(answer.Targets, a.auditOne(ctx, t, from)...)
	}
	a.status.clear()
	if err := a.print(answer, func(w io.Writer) { renderAudit(w, answer) }); err != nil {
		return err
	}
	if html != "" {
		var page bytes.Buffer
		if err := renderAuditHTML(&page, answer); err != nil {
			return err
		}
		// Only for the user: who may reach what is nobody else's business until he sends it.
		if err := replaceFile(html, page.Bytes()); err != nil {
			return fmt.Errorf("the report was not written: %w", err)
		}
		fmt.Fprintf(a.Err, "emr-accessd: the report is in %s\n", printable(html))
	}
	return answer.verdict()
}

func (a *app) auditOne(ctx context.Context, t keeper.Target, from netip.Addr) []auditTarget {
	roles := allRoles
	if a.flags.changed("nodes") {
		roles = t.Nodes
	}
	found, err := a.survey(ctx, t, roles)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no active cluster matches %s", t.Label)
	}
	if err != nil {
		text := err.Error()
		nothing := sgsync.Audit(sgsync.Survey{Port: t.Port})
		nothing.Complete = false
		return []auditTarget{{Target: t.Label, Cluster: t.Cluster, Region: t.Region, Error: &text, err: err, AuditResult: nothing}}
	}
	var out []auditTarget
	for _, s := range found {
		s.From = from
		if s.Now.IsZero() { // no group could be read
			s.Now = time.Now()
		}
		out = append(out, auditTarget{Target: t.Label, Cluster: s.cluster, Name: s.name, State: s.state, Region: s.region, Account: s.account,
			AuditResult: sgsync.Audit(s.Survey), by: s.arn})
	}
	return out
}

// verdict is the command's end: what failed wins over what was found.
func (r auditAnswer) verdict() error {
	var errs []error
	alarming := false
	for _, t := range r.Targets {
		if t.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.Target, t.err))
		}
		alarming = alarming || t.Alarming()
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if alarming {
		return exitStatus(exitFindings)
	}
	return nil
}
