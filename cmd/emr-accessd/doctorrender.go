package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// doctorPage shows checks as lines, under a heading for each subject.
type doctorPage struct {
	w       io.Writer
	colour  bool
	subject string
	skipped []doctorCheck // alike, and not shown yet
	err     error
}

func newDoctorPage(w io.Writer) *doctorPage {
	f, ok := w.(*os.File)
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" // https://no-color.org
	return &doctorPage{w: w, colour: ok && !plain && term.IsTerminal(int(f.Fd()))}
}

// The widths of the columns: a state and a check's name.
const (
	stateWidth = 7
	checkWidth = 13
)

func (p *doctorPage) check(c doctorCheck) {
	if n := len(p.skipped); n > 0 && (c.State != stateSkipped || c.Seen != p.skipped[n-1].Seen || c.Subject != p.subject) {
		p.flush()
	}
	if c.Subject != p.subject {
		if p.subject != "" {
			p.line("")
		}
		p.subject = c.Subject
		p.line(printable(c.Subject))
	}
	if c.State == stateSkipped {
		p.skipped = append(p.skipped, c)
		return
	}
	p.show(c.State, label(c.Check), c.Seen)
	indent := strings.Repeat(" ", 2+stateWidth+2+checkWidth+2)
	for _, n := range c.Notes {
		p.line(indent + "note: " + printable(n))
	}
	if c.Remedy != "" && c.State != stateOK {
		p.line(indent + "→ " + printable(c.Remedy))
	}
}

func (p *doctorPage) show(state, check, seen string) {
	mark := fmt.Sprintf("%-*s", stateWidth, state)
	if code := map[string]string{stateOK: "32", stateBad: "31;1", stateUnknown: "33", stateSkipped: "2"}[state]; p.colour && code != "" {
		mark = "\x1b[" + code + "m" + mark + "\x1b[0m"
	}
	p.line(fmt.Sprintf("  %s  %-*s  %s", mark, checkWidth, check, printable(seen)))
}

// flush shows what was skipped for one reason as one line.
func (p *doctorPage) flush() {
	switch n := len(p.skipped); n {
	case 0:
		return
	case 1:
		p.show(stateSkipped, label(p.skipped[0].Check), p.skipped[0].Seen)
	default:
		var names []string
		for _, c := range p.skipped {
			names = append(names, label(c.Check))
		}
		p.show(stateSkipped, fmt.Sprintf("%d checks", n), strings.Join(names, ", ")+": "+p.skipped[0].Seen)
	}
	p.skipped = nil
}

func (p *doctorPage) end(a doctorAnswer) error {
	p.flush()
	p.line("")
	switch {
	case a.WhatToDo != "":
		p.line("What to do: " + printable(a.WhatToDo))
	case a.Bad == 0:
		p.line("Nothing is in the way.")
	}
	p.line("Nothing was changed.")
	return p.err
}

func (p *doctorPage) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}
