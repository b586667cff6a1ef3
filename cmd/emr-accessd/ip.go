package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/spf13/cobra"
)

// ipAnswer is `ip --json`; docs/json.md describes it.
type ipAnswer struct {
	Verdicts map[string]ipVerdict `json:"verdicts"`
	Outside  []ipSighting         `json:"outside"` // triggers: what unauthenticated servers see
	Notes    []string             `json:"notes"`   // what this system does not offer
}

// ipSighting is what one server that looks from outside said. It is a trigger and no evidence.
type ipSighting struct {
	By      string  `json:"by"`
	Family  string  `json:"family"`
	Address string  `json:"address"`
	Error   *string `json:"error"`
	TookMS  float64 `json:"took_ms"`
}

type ipVerdict struct {
	State    string       `json:"state"`
	Address  string       `json:"address"`
	Why      string       `json:"why"`
	Remedy   string       `json:"remedy,omitempty"`
	Warnings []string     `json:"warnings"`
	Answers  []ipResponse `json:"answers"`
}

type ipResponse struct {
	Source   string  `json:"source"`
	Operator string  `json:"operator"`
	Address  string  `json:"address"`
	Error    *string `json:"error"`
	TookMS   float64 `json:"took_ms"`
}

func (a *app) ipCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "ip",
		Short: "what each source says your public address is, and what is concluded",
		Long: `Asks every source at once, over a fresh direct connection, and shows each answer. An
address is believed when at least two operators agree, AWS among them. Then it
shows what would notice a change: each server that looks at you from outside
(those only ever make somebody look again), and what this system does not offer.
No AWS API call is made and nothing is changed. Exit code 5 when no address is
confirmed.

With --watch it goes on and shows the system's events as they come, what is made
of them, and each new verdict, until Ctrl-C: the lines to put into a bug report.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(); err != nil {
				return err
			}
			det, err := a.detector()
			if err != nil {
				return fmt.Errorf("%w: %w", errConfig, err)
			}
			if watch {
				return a.watchIP(cmd.Context(), det)
			}
			return a.ip(cmd.Context(), det)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show events and verdicts as they come")
	return cmd
}

func (a *app) ip(ctx context.Context, det *ipwatch.Detector) error {
	a.status = newProgress(a.Err)
	a.status.say("asking for the public address")
	ans, confirmed := ipAnswer{Verdicts: map[string]ipVerdict{}, Outside: []ipSighting{}, Notes: []string{}}, false
	families := []ipwatch.Family{ipwatch.V4, ipwatch.V6}
	n := a.notice(det, nil, func() []ipwatch.Family { return families }, nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, f := range families {
		wg.Go(func() {
			v := det.Conclude(det.ObserveAll(ctx, f), []netip.Addr{})
			mu.Lock()
			defer mu.Unlock()
			ans.Verdicts[f.String()] = answerOf(v)
			confirmed = confirmed || v.State == ipwatch.Confirmed
		})
	}
	wg.Go(func() { ans.Outside = n.lookAll(ctx) })
	wg.Wait()
	ans.Notes = n.probeSystem(ctx)
	a.status.clear()
	if err := a.print(ans, func(w io.Writer) { renderIP(w, ans) }); err != nil {
		return err
	}
	if !confirmed {
		return exitStatus(exitAddress)
	}
	return nil
}

func answerOf(v ipwatch.Verdict) ipVerdict {
	out := ipVerdict{State: string(v.State), Why: v.Why, Remedy: v.Remedy, Warnings: append([]string{}, v.Warnings...), Answers: []ipResponse{}}
	if v.Addr.IsValid() {
		out.Address = v.Addr.String()
	}
	for _, an := range v.Answers {
		r := ipResponse{Source: an.Source.Name, Operator: an.Source.Operator, TookMS: float64(an.Took.Round(100*time.Microsecond)) / 1e6}
		if an.Addr.IsValid() && an.Err == nil {
			r.Address = an.Addr.String()
		}
		if an.Err != nil {
			text := an.Err.Error()
			r.Error = &text
		}
		out.Answers = append(out.Answers, r)
	}
	return out
}

func renderIP(w io.Writer, ans ipAnswer) {
	for _, f := range []string{"ipv4", "ipv6"} {
		v := ans.Verdicts[f]
		fmt.Fprintf(w, "%s: %s", f, v.State)
		if v.Address != "" {
			fmt.Fprintf(w, " %s", v.Address)
		}
		fmt.Fprintf(w, "\n  %s\n", printable(v.Why))
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, r := range v.Answers {
			said := r.Address
			if r.Error != nil {
				said = printable(*r.Error)
			}
			fmt.Fprintf(tw, "  %s\t%s\t%s\t%.0f ms\n", r.Operator, printable(r.Source), said, r.TookMS)
		}
		_ = tw.Flush()
		for _, warning := range v.Warnings {
			fmt.Fprintf(w, "  note: %s\n", printable(warning))
		}
	}
	fmt.Fprintln(w, "what would notice a change (never believed, it only makes somebody look again):")
	if len(ans.Notes) == 0 {
		fmt.Fprintln(w, "  the system's own events, and waking up")
	}
	for _, n := range ans.Notes {
		fmt.Fprintf(w, "  %s\n", printable(n))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range ans.Outside {
		said := "sees " + o.Address
		if o.Error != nil {
			said = *o.Error
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%.0f ms\n", printable(o.By), o.Family, printable(said), o.TookMS)
	}
	_ = tw.Flush()
}
