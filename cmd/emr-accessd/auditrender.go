package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// renderAudit prints an audit for people: who gets in first, then what to look at.
func renderAudit(w io.Writer, r auditAnswer) {
	for i, t := range r.Targets {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: port %d\n", printable(auditTitle(t)), t.Port)
		if t.Error != nil {
			fmt.Fprintf(w, "  failed: %s\n", printable(*t.Error))
			continue
		}
		fmt.Fprintf(w, "  %s\n\n", rolesText(t.Nodes, nil))
		renderAuditReach(w, t)
		if t.From != nil {
			fmt.Fprintf(w, "\n  %s\n", printable(t.From.Why))
		}
		renderFindings(w, t.Findings)
		renderQuota(w, t.Quota)
	}
}

func auditTitle(t auditTarget) string {
	title := t.Target
	for _, more := range []string{t.Cluster, t.Name} {
		if more != "" && more != t.Target {
			title += " " + more
		}
	}
	if t.State != "" {
		title += " (" + strings.ToLower(t.State) + ")"
	}
	if t.Region != "" {
		title += " in " + t.Region
	}
	return title
}

// rolesText counts nodes by role; only those with these ids, unless ids is nil.
func rolesText(nodes []sgsync.AuditNode, ids []string) string {
	var parts []string
	for _, role := range append(slices.Clone(allRoles), "") {
		n := 0
		for _, node := range nodes {
			if node.Role == role && (ids == nil || slices.Contains(ids, node.Instance)) {
				n++
			}
		}
		word := role + " node"
		if role == "" {
			word = "interface"
		}
		switch {
		case n == 1:
			parts = append(parts, "1 "+word)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, word))
		}
	}
	if len(parts) == 0 {
		return "no node"
	}
	return strings.Join(parts, ", ")
}

func renderAuditReach(w io.Writer, t auditTarget) {
	switch {
	case len(t.Reach) == 0 && !t.Complete:
		fmt.Fprintf(w, "  who can reach port %d is not known: not everything could be read\n", t.Port)
		return
	case len(t.Reach) == 0:
		fmt.Fprintf(w, "  nobody can reach port %d: no rule admits anybody\n", t.Port)
		return
	case !t.Complete:
		fmt.Fprintf(w, "  not everything could be read: others than those who are named here may reach port %d\n", t.Port)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  WHO\tSOURCE\tOPENS\tTO\tBY RULE\tNOTE")
	for _, e := range t.Reach {
		source := e.Source
		if e.SourceName != "" {
			source += " " + e.SourceName
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Who), printable(source), e.Ports(), rolesText(t.Nodes, e.Nodes), e.Rule, printable(reachNote(e)))
	}
	_ = tw.Flush()
	for _, e := range t.Reach {
		if e.Kind == sgsync.ReachList && len(e.Sources) > 0 {
			fmt.Fprintf(w, "  %s holds %s\n", e.Source, shorten(e.Sources))
		}
	}
}

// shownSources is how many networks of a list are shown; --json has them all.
const shownSources = 6

func shorten(list []string) string {
	if len(list) > shownSources {
		return strings.Join(list[:shownSources], ", ") + fmt.Sprintf(" and %d more", len(list)-shownSources)
	}
	return strings.Join(list, ", ")
}

// reachNote says whose a rule is, as far as it tells.
func reachNote(e sgsync.Reach) string {
	var parts []string
	switch {
	case !e.Effective:
		parts = append(parts, "no node has such an address")
	case e.Kind == sgsync.ReachPublic && !e.Exposed:
		parts = append(parts, "no node has a public address of its own")
	}
	switch {
	case len(e.Holders) > 0:
		parts = append(parts, "held by "+strings.Join(e.Holders, ", "))
	case e.Managed:
		parts = append(parts, "of emr-accessd, held by nobody")
	case e.Description != "":
		parts = append(parts, fmt.Sprintf("%q", e.Description))
	}
	return strings.Join(parts, "; ")
}

func renderFindings(w io.Writer, findings []sgsync.Finding) {
	if len(findings) == 0 {
		fmt.Fprintln(w, "\n  nothing to look at")
		return
	}
	fmt.Fprintln(w, "\n  FINDINGS")
	for _, f := range findings {
		fmt.Fprintf(w, "  %-7s %s: %s\n", f.Severity, f.ID, printable(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(w, "          %s\n", printable(f.Remedy))
		}
	}
}

func renderQuota(w io.Writer, gauges []sgsync.Gauge) {
	if len(gauges) == 0 {
		return
	}
	fmt.Fprintln(w, "\n  RULES")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range gauges {
		fmt.Fprintf(tw, "  %s\t%s\t%d IPv4, %d IPv6 of %d\n", g.Group, printable(g.Name), g.IPv4, g.IPv6, g.Limit)
	}
	_ = tw.Flush()
	fmt.Fprintf(w, "  The limit is %s.\n", printable(gauges[0].From))
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
