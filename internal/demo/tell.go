package demo

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// textWidth is the column at which times stand.
const textWidth = 74

// line writes one line of the story. A story that nobody reads is still checked, so a failed write is no error.
func (s *story) line(format string, args ...any) { fmt.Fprintf(s.o.Out, format+"\n", args...) }

// tell writes a line of a step.
func (s *story) tell(format string, args ...any) { s.line("   "+format, args...) }

// heading begins a step.
func (s *story) heading(n int, title string) {
	s.line("")
	s.line("%s", s.bold(fmt.Sprintf("%d  %s", n, title)))
}

func (s *story) bold(text string) string {
	if !s.o.Color {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// command shows a command that is run now.
func (s *story) command(c string) { s.tell("%s", s.bold("$ "+c)) }

// timed writes a line with the time that it took at its end.
func (s *story) timed(took time.Duration, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.tell("%s%s%8s", text, strings.Repeat(" ", max(1, textWidth-utf8.RuneCountInString(text))), seconds(took))
}

// short is a path as seen from the world's folder, in which the commands run.
func (s *story) short(path string) string {
	rel, err := filepath.Rel(s.w.dir, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// seconds is a duration for people.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func (s *story) opening() {
	s.line("A simulated AWS, a real SSH server behind a gate, and a laptop that moves. Everything is on this")
	s.line("computer's loopback addresses: no AWS account is used, and nothing leaves this computer. The gate reads")
	s.line("the security group's rules over the API and drops every connection that they do not admit.")
	if !s.w.real {
		s.line("This system has no loopback addresses but 127.0.0.1: where a laptop is, the gate and the echoes are told")
		s.line("by the demo and do not see it on the wire.")
	}
}

// table prints the rules that admit somebody, the six rules of EMR for its own nodes as one line.
func (s *story) table(rules []Rule) {
	type row struct{ ports, source, whose, id string }
	var rows []row
	between := 0
	for _, r := range rules {
		switch {
		case r.Egress || r.Group == s.w.cloud.core:
		case r.SourceGroup != "":
			between++
		default:
			rows = append(rows, row{r.ports(), r.source(), s.w.cloud.whose[r.ID], r.ID})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.whose, b.whose) })
	rows = append([]row{{"all", "the cluster's own nodes", "EMR", fmt.Sprintf("%d rules", between)}}, rows...)
	s.tell("%-10s %-24s %-16s %s", "PORT", "SOURCE", "WHOSE", "RULE")
	for _, r := range rows {
		s.tell("%-10s %-24s %-16s %s", r.ports, r.source, r.whose, r.id)
	}
}

func (s *story) closing(steps int) {
	writes := map[string]int{}
	total := 0
	for _, c := range s.w.sim.Calls() {
		if c.Write() && c.Code == "" {
			writes[c.Action]++
			total++
		}
	}
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(writes)) {
		parts = append(parts, fmt.Sprintf("%d %s", writes[action], action))
	}
	s.line("")
	s.line("%s", s.bold(fmt.Sprintf("All %d steps were observed, in %s.", steps, seconds(time.Since(s.began)))))
	s.line("The gate let %d connections through and dropped %d. AWS took %d writes:", s.w.gate.admitted.Load(), s.w.gate.dropped.Load(), total)
	s.line("%s.", strings.Join(parts, ", "))
	s.line("Next: `emr-accessd demo --serve` keeps such a world up, to try every command in it (and the aws CLI).")
}
