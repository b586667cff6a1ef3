package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// statusAnswer is `status --json`; docs/json.md describes it.
type statusAnswer struct {
	Running    bool                  `json:"running"`
	Paused     *keeper.Pause         `json:"paused"`
	Targets    []keeper.TargetReport `json:"targets"`
	LastRound  *time.Time            `json:"last_round"`
	NextRound  *time.Time            `json:"next_round"`
	LastChange *time.Time            `json:"last_change"`
	LastError  *string               `json:"last_error"`
	Identity   *keeper.Identity      `json:"identity"`
	Identities []keeper.Identity     `json:"identities"`
	Warnings   []string              `json:"warnings"`
	Config     string                `json:"config"`
	StateDir   string                `json:"state_dir"`
	Noticing   []string              `json:"noticing"`

	empty  bool // the configuration has no target
	unsure bool // the last round could not do all that it was to do
}

func (a *app) statusCommand() *cobra.Command {
	var watch, history bool
	var since string
	var n int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "your address, groups, rules and leases, the last change and the next check",
		Long: `Shows what the last round found and did, from the local state: no AWS call is made.
"sync" looks anew, "ip" asks for the address now.

--watch keeps showing it: redrawn in place on a terminal until q or Ctrl-C, else one
line for each change. --history shows what has changed, why, and how long it took.`,
		Example: `  emr-accessd status
  emr-accessd status --watch
  emr-accessd status --watch --json >>changes.jsonl
  emr-accessd status --history --since 24h
  emr-accessd status --history -n 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := cmd.Flags().Changed
			switch {
			case watch && history:
				return usageError{errors.New("--watch shows the last changes too; use one of --watch and --history"), cmd.CommandPath()}
			case !history && (set("since") || set("number")):
				return usageError{errors.New("--since and -n belong to --history"), cmd.CommandPath()}
			case n < 0:
				return usageError{fmt.Errorf("-n %d: use a number of changes", n), cmd.CommandPath()}
			}
			if err := a.load(); err != nil {
				return err
			}
			store, err := a.store()
			if err != nil {
				return err
			}
			switch {
			case watch:
				return a.watchStatus(cmd.Context(), store)
			case history:
				return a.history(store, since, n)
			}
			ans := a.statusOf(store)
			a.noteService(cmd.Context(), ans.Running)
			return a.print(ans, func(w io.Writer) { renderStatus(w, ans, time.Now()) })
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "keep showing it, until q or Ctrl-C")
	cmd.Flags().BoolVar(&history, "history", false, "show what has changed, the latest last")
	cmd.Flags().StringVar(&since, "since", "", "with --history: how far back, as `24h`, 7d or a day")
	cmd.Flags().IntVarP(&n, "number", "n", 0, "with --history: the last `N` changes")
	return cmd
}

func (a *app) statusOf(store *keeper.Store) statusAnswer {
	st, warning := store.Load()
	s := st.Status
	ans := statusAnswer{Running: store.Running(), Paused: store.Paused(time.Now()), Targets: s.Report.Targets, LastRound: instant(s.LastRound), NextRound: instant(s.NextRound),
		LastChange: instant(s.Changed), Identities: s.Identity, Config: a.cfg.Path, StateDir: store.Dir(), Warnings: []string{}, Noticing: append([]string{}, s.Noticing...)}
	ans.empty, ans.unsure = len(a.cfg.Targets) == 0, len(s.Report.Warnings) > 0
	if s.LastError != "" {
		ans.LastError = &s.LastError
	}
	if ans.Targets == nil {
		ans.Targets = []keeper.TargetReport{}
	}
	if len(s.Identity) > 0 {
		ans.Identity = &s.Identity[0]
	}
	if warning != "" {
		ans.Warnings = append(ans.Warnings, warning)
	}
	ans.Warnings = append(ans.Warnings, config.Warnings(a.cfg)...)
	ans.Warnings = append(ans.Warnings, s.Report.Warnings...)
	for _, id := range s.Identity {
		if id.Endpoint != "" {
			ans.Warnings = append(ans.Warnings, fmt.Sprintf("AWS calls go to %s, which is not AWS's own endpoint", id.Endpoint))
		}
	}
	for _, t := range s.Report.Targets {
		ans.Warnings = append(ans.Warnings, t.Warnings...)
		for _, g := range t.Groups {
			if len(g.Public) > 0 {
				ans.Warnings = append(ans.Warnings, fmt.Sprintf("%s: open to the world: %s", g.ID, strings.Join(g.Public, ", ")))
			}
		}
	}
	slices.Sort(ans.Warnings)
	ans.Warnings = slices.Compact(ans.Warnings)
	return ans
}

// nothing says what comes after all rules were given back; "" while there is something to show.
func (s statusAnswer) nothing() string {
	const given = "no rule is kept now: all were given back"
	switch {
	case s.LastRound == nil || len(s.Targets) > 0 || s.LastError != nil || s.unsure:
		return ""
	case s.empty || s.Paused != nil:
		return given
	case s.Running:
		return given + "; the next round puts those of the configuration back, unless you pause it (emr-accessd pause)"
	}
	return given + "; `emr-accessd sync` puts those of the configuration back"
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

func renderStatus(w io.Writer, s statusAnswer, now time.Time) {
	if s.Running {
		fmt.Fprintln(w, "daemon: running")
	} else {
		fmt.Fprintln(w, "daemon: not running (emr-accessd install sets it up, emr-accessd run runs it here)")
	}
	if s.Paused != nil {
		fmt.Fprintln(w, pausedUntil(*s.Paused, now))
	}
	if s.LastRound == nil {
		fmt.Fprintln(w, "no round has been made yet")
		if s.empty {
			fmt.Fprintln(w, "no target is configured: `emr-accessd init` writes a configuration for a cluster that you pick")
		}
	} else {
		fmt.Fprintf(w, "last round %s", ago(*s.LastRound, now))
		if s.LastChange != nil {
			fmt.Fprintf(w, ", last change %s", ago(*s.LastChange, now))
		}
		if s.Running && s.NextRound != nil && s.Paused == nil {
			fmt.Fprintf(w, ", next round %s", due(*s.NextRound, now))
		}
		fmt.Fprintln(w)
		if text := s.nothing(); text != "" {
			fmt.Fprintln(w, text)
		}
	}
	if s.Running {
		for _, n := range s.Noticing {
			fmt.Fprintln(w, printable(n))
		}
	}
	if s.Identity != nil {
		fmt.Fprintf(w, "AWS: account %s, %s\n", printable(s.Identity.Account), printable(s.Identity.ARN))
	}
	for _, t := range s.Targets {
		fmt.Fprintln(w)
		renderHead(w, t)
		if t.Error != nil {
			fmt.Fprintf(w, "  failed: %s\n", printable(*t.Error))
			if t.Hint != "" {
				fmt.Fprintf(w, "  hint: %s\n", printable(t.Hint))
			}
		}
		for _, f := range []string{"ipv4", "ipv6"} {
			if v, ok := t.Verdicts[f]; ok && (f == "ipv4" || v.State != string(ipwatch.Absent)) {
				fmt.Fprintf(w, "  %s\n", printable(v.Why))
			}
		}
		for _, g := range t.Groups {
			fmt.Fprintf(w, "  %s in %s\n", g.ID, g.Region)
			if len(g.Clusters) > 1 {
				fmt.Fprintf(w, "    a group of %d of your clusters: its rules open the port on %s\n", len(g.Clusters), printable(strings.Join(g.Clusters, ", ")))
			}
			renderRules(w, g, now)
		}
		renderReach(w, t)
	}
	if len(s.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", printable(warning))
	}
}

func renderRules(w io.Writer, g keeper.GroupReport, now time.Time) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range g.Rules {
		for i, l := range r.Leases {
			rule := []string{"", "", ""}
			if i == 0 {
				rule = []string{r.Rule, r.CIDR, fmt.Sprintf("port %d", r.Port)}
			}
			who := printable(l.Who)
			if l.Mine {
				who += " (this computer)"
			}
			end := "ended"
			switch {
			case l.Problem != "":
				end = l.Problem
			case l.Live && l.End != nil:
				end = "until " + l.End.Local().Format("Mon 15:04")
				if !l.Firm {
					end += ", pending"
				}
			}
			fmt.Fprintf(tw, "    %s\t%s\t%s\n", strings.Join(rule, "\t"), who, end)
		}
		if len(r.Leases) == 0 {
			fmt.Fprintf(tw, "    %s\t%s\tport %d\tnobody\t\n", r.Rule, r.CIDR, r.Port)
		}
	}
	_ = tw.Flush()
	if len(g.Rules) == 0 {
		fmt.Fprintln(w, "    no rule of emr-accessd")
	}
}
