package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// shownChanges is how many of the last changes a live view has at most.
const shownChanges = 12

// statusView is what the live view shows.
type statusView struct {
	answer statusAnswer
	recent []keeper.Record // the oldest first
}

// frame is the live view as lines for a terminal of so many columns and rows. What needs the user comes first, and what
// there is no room for is left out from the end. It is pure.
func (v statusView) frame(now time.Time, width, height int) []string {
	width = max(width-1, 1) // a full last column makes some terminals begin a new line
	lines := []string{v.headline(now)}
	for _, s := range attention(v.answer, now) {
		for i, line := range wrap(s, width-2, 3) {
			lines = append(lines, []string{"! ", "  "}[min(i, 1)]+line)
		}
	}
	for _, s := range addressLines(v.answer) {
		lines = append(lines, wrap(s, width, 2)...)
	}
	const foot = 1
	for _, s := range allot(v.sections(now), height-len(lines)-foot) {
		lines = append(lines, s...)
	}
	if len(lines) > height-foot {
		lines = lines[:max(0, height-foot)]
	}
	lines = append(lines, "q ends")
	for i := range lines {
		lines[i] = fit(printable(lines[i]), width)
	}
	return lines
}

// sections are the parts of the view that may be cut, the most useful first.
func (v statusView) sections(now time.Time) []section {
	targets, changes := section{floor: 4}, section{heading: "Last changes", floor: 2, newest: true}
	for _, t := range v.answer.Targets {
		targets.lines = append(targets.lines, targetLines(t, now)...)
	}
	if len(v.answer.Targets) == 0 {
		targets.lines = []string{"no target has been looked at yet"}
		if v.answer.empty {
			targets.lines = []string{"no target is configured: `emr-accessd init` writes a configuration"}
		}
	}
	for _, r := range slices.Backward(v.recent[max(0, len(v.recent)-shownChanges):]) {
		if len(v.answer.Targets) == 1 { // then every change is of this one
			r.Changes = slices.Clone(r.Changes)
			for i := range r.Changes {
				r.Changes[i].Target = ""
			}
		}
		changes.lines = append(changes.lines, "  "+pad(clock(r.At, now), len("Mon 15:04"))+"  "+recordText(r, now))
	}
	warnings, noticing := section{heading: "Warnings"}, section{heading: "How a change is noticed"}
	for _, w := range v.answer.Warnings {
		warnings.lines = append(warnings.lines, "  "+w)
	}
	if v.answer.Running {
		for _, n := range v.answer.Noticing {
			noticing.lines = append(noticing.lines, "  "+n)
		}
	}
	return []section{targets, changes, warnings, noticing}
}

// section is a part of the view that may be cut.
type section struct {
	heading string
	lines   []string
	floor   int  // so many lines are shown before a later section gets any
	newest  bool // what is cut is old, and needs no word
}

// allot gives sections their lines within a number of rows, an empty line before each: first every floor, then all that
// there is room for.
func allot(sections []section, rows int) [][]string {
	given := make([]int, len(sections))
	give := func(i, most int) {
		for given[i] < min(most, len(sections[i].lines)) {
			cost := 1
			if given[i] == 0 {
				cost = 2 + min(1, len(sections[i].heading))
			}
			if cost > rows {
				return
			}
			given[i]++
			rows -= cost
		}
	}
	for i, s := range sections {
		give(i, s.floor)
	}
	for i, s := range sections {
		give(i, len(s.lines))
	}
	out := make([][]string, len(sections))
	for i, s := range sections {
		n := given[i]
		if n == 0 {
			continue
		}
		out[i] = []string{""}
		if s.heading != "" {
			out[i] = append(out[i], s.heading)
		}
		if n < len(s.lines) && !s.newest {
			n--
			out[i] = append(append(out[i], s.lines[:n]...), fmt.Sprintf("  … and %s: make the window higher", plural(len(s.lines)-n, "more line")))
			continue
		}
		out[i] = append(out[i], s.lines[:n]...)
	}
	return out
}

// headline says whether anybody keeps the rules, and when he looks next.
func (v statusView) headline(now time.Time) string {
	s := v.answer
	if !s.Running {
		return "emr-accessd: no daemon runs"
	}
	line := "emr-accessd runs"
	switch {
	case s.Paused != nil:
	case s.NextRound == nil:
		line += ", a round is due"
	default:
		left := s.NextRound.Sub(now).Round(time.Second)
		if left <= 0 {
			line += ", looking now"
		} else {
			line += fmt.Sprintf(", next check in %d:%02d", int(left.Minutes()), int(left.Seconds())%60)
		}
	}
	return line
}

// attention says what needs the user, the most pressing first.
func attention(s statusAnswer, now time.Time) (out []string) {
	add := func(line string) {
		if line = printable(line); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	if s.Paused != nil {
		add(pausedUntil(*s.Paused, now))
	}
	if text := s.nothing(); text != "" {
		add(text)
	}
	if !s.Running {
		add("your rules do not follow you: `emr-accessd start` starts the service, `emr-accessd install` sets it up")
	}
	for _, t := range s.Targets {
		if t.Error != nil {
			line := *t.Error
			if !strings.Contains(line, t.Target) {
				line = t.Target + ": " + line
			}
			if t.Hint != "" {
				line += ". " + t.Hint
			}
			add(line)
		}
		for _, f := range []string{"ipv4", "ipv6"} {
			if v, ok := t.Verdicts[f]; ok && unknownState(v.State) {
				add(v.Why)
			}
		}
		if t.Reach != nil && t.Reach.State != keeper.ReachOpen {
			add(t.Reach.Why)
		}
	}
	return out
}

func unknownState(state string) bool {
	return state != "" && state != string(ipwatch.Confirmed) && state != string(ipwatch.Absent)
}

// addressLines say what the own addresses are, and how that is known; with the target where they differ.
func addressLines(s statusAnswer) (lines []string) {
	for _, f := range []string{"ipv4", "ipv6"} {
		of := map[string][]string{}
		var order []string
		for _, t := range s.Targets {
			v, ok := t.Verdicts[f]
			if !ok || v.Address == "" {
				continue
			}
			line := fmt.Sprintf("%s: %s", v.Address, v.Why)
			if of[line] == nil {
				order = append(order, line)
			}
			of[line] = append(of[line], t.Target)
		}
		for _, line := range order {
			if len(order) > 1 {
				line += " (towards " + strings.Join(of[line], ", ") + ")"
			}
			lines = append(lines, printable(line))
		}
	}
	return lines
}

// targetLines show a target with its groups, and who holds which rule.
func targetLines(t keeper.TargetReport, now time.Time) []string {
	var head strings.Builder
	renderHead(&head, t)
	lines := []string{strings.TrimSuffix(head.String(), "\n")}
	for _, g := range t.Groups {
		lines = append(lines, fmt.Sprintf("  %s in %s", g.ID, g.Region))
		rules := slices.Clone(g.Rules)
		slices.SortStableFunc(rules, func(a, b keeper.RuleReport) int { return cmp.Compare(rank(a), rank(b)) })
		wide := 0
		for _, r := range rules {
			wide = max(wide, len(host(r.CIDR)))
		}
		for _, r := range rules {
			lines = append(lines, fmt.Sprintf("    %s  port %d  %s", pad(host(r.CIDR), wide), r.Port, holders(r, now)))
		}
		if len(rules) == 0 {
			lines = append(lines, "    no rule of emr-accessd")
		}
	}
	return lines
}

func rank(r keeper.RuleReport) int {
	if r.Mine {
		return 0
	}
	return 1
}

// holders says who holds leases on a rule: this computer first.
func holders(r keeper.RuleReport, now time.Time) string {
	var mine, others []string
	for _, l := range r.Leases {
		who := cmp.Or(printable(l.Who), l.UserID)
		if l.Mine {
			who = "you"
		}
		switch {
		case l.Problem != "":
			who += " (" + l.Problem + ")"
		case !l.Live:
			who += " (ended)"
		case l.End != nil && l.Mine:
			who += fmt.Sprintf(" until %s (%s)", clock(*l.End, now), ago(*l.End, now))
			if !l.Firm {
				who += ", pending"
			}
		case l.End != nil:
			who += " until " + clock(*l.End, now)
		}
		if l.Mine {
			mine = append(mine, who)
		} else {
			others = append(others, who)
		}
	}
	switch {
	case len(r.Leases) == 0:
		return "nobody"
	case len(mine) > 0 && len(others) > 0:
		return strings.Join(mine, ", ") + "; shared with " + strings.Join(others, ", ")
	}
	return strings.Join(append(mine, others...), ", ")
}
