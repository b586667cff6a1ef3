package main

import (
	"fmt"
	"io"
	"strings"
)

// renderClosePlan shows what would be closed, before anybody is asked.
func renderClosePlan(w io.Writer, r closeAnswer) {
	renderCloseHead(w, r)
	for _, c := range r.Close {
		fmt.Fprintf(w, "  close  %s\n", closeLine(c))
	}
	renderLeft(w, r)
	if len(r.Close) == 0 {
		return
	}
	for _, o := range r.Own {
		switch {
		case o.Do == "borrow":
			fmt.Fprintf(w, "  first  your own address %s: a rule that is not yours admits it, and may go without notice; that is not enough\n", o.CIDR)
		case o.Do == "keep" && o.Firm:
			fmt.Fprintf(w, "  first  your own rule stands: %s %s in %s\n", o.CIDR, printable(o.Rule), printable(o.Group))
		default:
			fmt.Fprintf(w, "  first  your own rule: %s %s in %s, and certain before anything is closed\n", o.Do, o.CIDR, printable(o.Group))
		}
	}
	if len(r.Own) == 0 {
		fmt.Fprintln(w, "  first  your own rule: your address is not known for certain now, and without it nothing is closed")
	}
	fmt.Fprintln(w, "  Sessions that came in through a rule for everybody may be cut at once, yours and others': EC2 does not")
	fmt.Fprintln(w, "  track such connections where outgoing traffic is open to everybody too. Logging in again works.")
	fmt.Fprintln(w, "  Whoever has no rule of his own is shut out.")
	if len(r.SharedWith) > 0 {
		fmt.Fprintf(w, "  The same groups are used by %s.\n", printable(strings.Join(r.SharedWith, ", ")))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "  note: %s\n", printable(warning))
	}
}

func renderCloseHead(w io.Writer, r closeAnswer) {
	head := r.Target
	if r.Name != "" && r.Name != r.Target {
		head += " " + r.Name
	}
	fmt.Fprintf(w, "%s in %s: port %d\n", printable(head), printable(r.Region), r.Port)
	if len(r.Close) == 0 {
		fmt.Fprintln(w, "  no rule opens exactly this port to everybody")
	}
}

func closeLine(c closeRule) string {
	line := fmt.Sprintf("%s  %s  in %s", c.Rule, c.CIDR, c.Group)
	if c.GroupName != "" {
		line += " " + c.GroupName
	}
	if c.Description != "" {
		line += fmt.Sprintf("  %q", c.Description)
	}
	return printable(line)
}

func renderLeft(w io.Writer, r closeAnswer) {
	for _, l := range r.Left {
		fmt.Fprintf(w, "  left   %s\n", printable(fmt.Sprintf("%s  %s  %s in %s: %s", l.Rule, l.Source, l.Opens, l.Group, l.Why)))
	}
}

// renderClose prints the answer.
func renderClose(w io.Writer, r closeAnswer) {
	if !r.Applied {
		renderClosePlan(w, r)
		for _, c := range r.Close {
			fmt.Fprintf(w, "  call: %s\n", printable(c.Call))
		}
		return
	}
	for _, c := range r.Close {
		switch c.State {
		case "gone":
			fmt.Fprintf(w, "gone already: %s\n", closeLine(c))
		case "closed":
			fmt.Fprintf(w, "closed %s\n  to put it back: %s\n", closeLine(c), printable(c.Restore))
		case "unknown":
			fmt.Fprintf(w, "perhaps closed: %s\n  to put it back: %s\n", closeLine(c), printable(c.Restore))
		default:
			fmt.Fprintf(w, "not closed: %s\n", closeLine(c))
		}
	}
	renderLeft(w, r)
	if r.Proof != nil {
		fmt.Fprintln(w, printable(r.Proof.Because))
	}
}
