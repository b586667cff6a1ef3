package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/spf13/cobra"
)

func (a *app) syncCommand() *cobra.Command {
	var dry, wait bool
	cmd := &cobra.Command{
		Use:   "sync [CLUSTER…]",
		Short: "one round: bring the rules in step with your address now",
		Long: `Looks up your public address and the clusters' security groups, and adds, moves or
removes your own rules so that they fit. Without arguments it does so for every
target of the configuration. A cluster that is not in the configuration is kept
for one lease (24 h); the first round after that gives it back. So is a rule for
another --port or --group than the configuration has.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 changes are pending
(--dry-run), 4 sign in again, 5 your address is not known for certain.`,
		Example: `  emr-accessd sync j-2AXXXXXXGAPLF --dry-run
  emr-accessd sync j-2AXXXXXXGAPLF --wait && ssh hadoop@…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			return a.sync(cmd.Context(), args, dry, wait)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the plan and the exact calls, change nothing")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until a shared rule is certainly yours too (up to a minute)")
	return cmd
}

func (a *app) sync(ctx context.Context, args []string, dry, wait bool) error {
	a.status = newProgress(a.Err)
	k, err := a.keeper()
	if err != nil {
		return err
	}
	targets, err := a.choose(ctx, args, a.cfg.Rules.Lease, a.cfg.Rules.Lease)
	if err != nil {
		return err
	}
	targets = a.asFlagged(k, targets)
	a.notePause(k.Store)
	rep, err := k.Round(ctx, keeper.Request{Targets: targets, DryRun: dry})
	// By this computer's monotonic clock: firm-from is AWS's time, and the two may differ.
	for begin := time.Now(); wait && !dry && err == nil && rep.Failed() == nil && rep.Pending() && ctx.Err() == nil && time.Since(begin) < waitLimit; {
		a.status.say("waiting until the shared rule is certainly yours too")
		sleep(ctx, waitStep)
		rep, err = k.Round(ctx, keeper.Request{Targets: targets})
	}
	if err == nil && !dry {
		rep = k.Prove(ctx, rep)
	}
	a.status.clear()
	if err != nil {
		return err
	}
	if err := a.print(rep, func(w io.Writer) { renderReport(w, rep) }); err != nil {
		return err
	}
	return a.verdict(rep, dry)
}

// A shared rule is firm after D; waitLimit leaves room for the rounds themselves.
const (
	waitStep  = 5 * time.Second
	waitLimit = sgsync.D + 20*time.Second
)

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// print writes the answer: JSON or text. Text that a reader has had enough of is no failure.
func (a *app) print(v any, human func(io.Writer)) error {
	var text bytes.Buffer
	if !a.flags.json {
		human(&text)
		if _, err := a.Out.Write(text.Bytes()); !readerGone(err) {
			return err
		}
		return nil
	}
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(a.Out, escaped(text.String()))
	return err
}

// printLine prints an answer of many as one line of JSON.
func (a *app) printLine(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.Out, escaped(string(line))+"\n")
	return err
}

// escaped writes what a terminal could take for a command, or a reader for another order, as JSON escapes:
// encoding/json leaves C1 controls and bidirectional marks as they are.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// verdict turns a report into the command's end. Every failed target is told; the first decides the code.
func (a *app) verdict(rep keeper.Report, dry bool) error {
	failed := 0
	for _, t := range rep.Targets {
		if t.Err != nil {
			failed++
		}
	}
	if failed > 1 {
		for _, t := range rep.Targets {
			if t.Err != nil {
				fmt.Fprintf(a.Err, "emr-accessd: error: %s\n", printable(named(t).Error()))
			}
		}
		return hinted{fmt.Errorf("%d of %d targets failed", failed, len(rep.Targets)), exitCode(rep.Failed()), firstHint(rep.Failed())}
	}
	for _, t := range rep.Targets {
		if t.Err != nil {
			return named(t)
		}
	}
	if !known(rep) {
		return hinted{fmt.Errorf("your address is not known for certain, so no rule was added or moved: %s", whyUnknown(rep)), exitAddress,
			"`emr-accessd ip` shows what each source says"}
	}
	if dry && rep.Pending() {
		return exitStatus(exitFindings)
	}
	return nil
}

// named is a target's failure, with the target's name.
func named(t keeper.TargetReport) error {
	if strings.Contains(t.Err.Error(), t.Target) {
		return t.Err
	}
	return fmt.Errorf("%s: %w", t.Target, t.Err)
}

func firstHint(err error) string {
	if hs := hints(err); len(hs) > 0 {
		return hs[0]
	}
	return ""
}

// known reports whether every target has a confirmed address in some family.
func known(rep keeper.Report) bool {
	for _, t := range rep.Targets {
		ok := len(t.Verdicts) == 0
		for _, v := range t.Verdicts {
			ok = ok || v.State == string(ipwatch.Confirmed)
		}
		if !ok {
			return false
		}
	}
	return true
}

func whyUnknown(rep keeper.Report) string {
	for _, t := range rep.Targets {
		for _, f := range []string{"ipv4", "ipv6"} {
			if v, ok := t.Verdicts[f]; ok && v.State != string(ipwatch.Confirmed) && v.State != string(ipwatch.Absent) {
				return v.Why
			}
		}
	}
	for _, t := range rep.Targets {
		for _, f := range []string{"ipv4", "ipv6"} {
			if v, ok := t.Verdicts[f]; ok && v.State != string(ipwatch.Confirmed) {
				return v.Why
			}
		}
	}
	return "no address was found"
}
