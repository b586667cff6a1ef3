package main

import (
	"errors"
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
	err     error
}

func newDoctorPage(w io.Writer) *doctorPage {
	f, ok := w.(*os.File)
	_, plain := os.LookupEnv("NO_COLOR") // https://no-color.org
	return &doctorPage{w: w, colour: ok && term.IsTerminal(int(f.Fd())) && !(plain && os.Getenv("NO_COLOR") != "") && os.Getenv("TERM") != "dumb"}
}

// The widths of the columns: a state and a check's name.
const (
	stateWidth = 7
	checkWidth = 13
)

func (p *doctorPage) check(c doctorCheck) {
	if c.Subject != p.subject {
		if p.subject != "" {
			p.line("")
		}
		p.subject = c.Subject
		p.line(printable(c.Subject))
	}
	mark := fmt.Sprintf("%-*s", stateWidth, c.State)
	if code := map[string]string{stateOK: "32", stateBad: "31;1", stateUnknown: "33", stateSkipped: "2"}[c.State]; p.colour && code != "" {
		mark = "\x1b[" + code + "m" + mark + "\x1b[0m"
	}
	p.line(fmt.Sprintf("  %s  %-*s  %s", mark, checkWidth, label(c.Check), printable(c.Seen)))
	if c.Remedy != "" && c.State != stateOK {
		p.line(strings.Repeat(" ", 2+stateWidth+2+checkWidth+2) + "→ " + printable(c.Remedy))
	}
}

func (p *doctorPage) end(a doctorAnswer) error {
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
	if _, err := fmt.Fprintln(p.w, s); err != nil {
		p.err = errors.Join(p.err, err)
	}
}
