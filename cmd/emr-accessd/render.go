package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// past and future say what a change did, or would do.
var past = map[string]string{"keep": "kept", "renew": "renewed", "join": "joined", "borrow": "borrowed", "move": "moved", "add": "added",
	"leave": "left", "remove": "removed", "purge": "purged", "close": "closed", "restore": "opened again"}

// renderReport prints a round for people. What was done in a group is told once, however many targets share it.
func renderReport(w io.Writer, rep keeper.Report) {
	var told groupsTold
	for _, t := range rep.Targets {
		renderHead(w, t)
		for _, f := range []string{"ipv4", "ipv6"} {
			v, ok := t.Verdicts[f]
			if !ok || f == "ipv6" && v.State == string(ipwatch.Absent) {
				continue
			}
			fmt.Fprintf(w, "  %s\n", printable(v.Why))
			for _, warning := range v.Warnings {
				fmt.Fprintf(w, "  note: %s\n", printable(warning))
			}
		}
		for _, g := range t.Groups {
			if told.already(g) {
				fmt.Fprintf(w, "  %s in %s: as above\n", g.ID, g.Region)
				continue
			}
			renderGroup(w, g, rep.Applied)
		}
		renderReach(w, t)
		for _, warning := range t.Warnings {
			fmt.Fprintf(w, "  note: %s\n", printable(warning))
		}
	}
	for _, warning := range rep.Warnings {
		fmt.Fprintf(w, "note: %s\n", printable(warning))
	}
}

// renderReach says what a connection to the port has shown.
func renderReach(w io.Writer, t keeper.TargetReport) {
	if t.Reach == nil {
		return
	}
	mark := ""
	if t.Reach.State != keeper.ReachOpen {
		mark = "warning: "
	}
	fmt.Fprintf(w, "  %s%s\n", mark, printable(t.Reach.Why))
}

func renderHead(w io.Writer, t keeper.TargetReport) {
	head := t.Target
	if t.Name != "" && t.Name != t.Target {
		head += " " + t.Name
	}
	if t.Cluster != "" && t.Cluster != t.Target {
		head += " " + t.Cluster
	}
	if t.State != "" {
		head += " (" + strings.ToLower(t.State) + ")"
	}
	fmt.Fprintln(w, printable(head))
}

func renderGroup(w io.Writer, g keeper.GroupReport, applied bool) {
	fmt.Fprintf(w, "  %s in %s\n", g.ID, g.Region)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range g.Changes {
		did := past[c.Do]
		if !applied && c.Do != "keep" && c.Do != "borrow" {
			did = "would " + c.Do
		}
		what := c.CIDR
		if c.From != "" {
			what = c.From + " → " + c.CIDR
		}
		note := ""
		if applied && c.FirmFrom != nil && !c.Firm {
			note = fmt.Sprintf("pending: certainly yours from %s", c.FirmFrom.Local().Format(time.TimeOnly))
		} else if c.Do != "keep" {
			note = c.Why
		}
		fmt.Fprintf(tw, "    %s\t%s\tport %d\t%s\t%s\n", did, what, c.Port, c.Rule, printable(note))
	}
	_ = tw.Flush()
	for _, c := range g.Changes {
		if c.Call != "" {
			fmt.Fprintf(w, "    call: %s\n", printable(c.Call))
		}
	}
	if len(g.Changes) == 0 && g.Err == nil {
		fmt.Fprintln(w, "    nothing changed")
	}
	if len(g.Public) > 0 {
		fmt.Fprintf(w, "    warning: open to the world: %s\n", strings.Join(g.Public, ", "))
	}
}

// groupsTold are the groups whose changes were shown. The same group with other changes is another round's.
type groupsTold []keeper.GroupReport

func (told *groupsTold) already(g keeper.GroupReport) bool {
	if slices.ContainsFunc(*told, func(o keeper.GroupReport) bool {
		return o.ID == g.ID && o.Region == g.Region && reflect.DeepEqual(o.Err, g.Err) && reflect.DeepEqual(o.Changes, g.Changes)
	}) {
		return true
	}
	*told = append(*told, g)
	return false
}

// renderTidied prints what was taken away; none says that there was nothing.
func renderTidied(w io.Writer, rep keeper.Report, none string) {
	n, told := 0, groupsTold{}
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			if len(g.Changes) == 0 && g.Err == nil || told.already(g) {
				continue
			}
			n += len(g.Changes)
			renderHead(w, t)
			renderGroup(w, g, rep.Applied)
		}
		for _, warning := range t.Warnings {
			fmt.Fprintf(w, "note: %s\n", printable(warning))
		}
	}
	if n == 0 && rep.Failed() == nil {
		fmt.Fprintln(w, none)
	}
	for _, warning := range rep.Warnings {
		fmt.Fprintf(w, "note: %s\n", printable(warning))
	}
}

// ago says how long ago a time was, as a person would.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < -2*time.Second:
		return "in " + span(-d)
	case d < 2*time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

// due says when something is to happen. What is late, or is under way, is due now.
func due(t, now time.Time) string {
	if t.Sub(now) < 2*time.Second {
		return "now"
	}
	return ago(t, now)
}

func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
