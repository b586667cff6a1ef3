package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// historyAnswer is `status --history --json`; docs/json.md describes it.
type historyAnswer struct {
	Records []keeper.Record `json:"records"`
	Skipped int             `json:"skipped"` // lines that could not be read
}

// history shows what has changed.
func (a *app) history(store *keeper.Store, since string, n int) error {
	now := time.Now()
	from, err := parseSince(since, now)
	if err != nil {
		return usageError{err, "emr-accessd status"}
	}
	recs, skipped, err := store.History(from, n)
	if err != nil {
		return err
	}
	ans := historyAnswer{recs, skipped}
	return a.print(ans, func(w io.Writer) { renderHistory(w, ans, now) })
}

// parseSince reads how far to look back: "90m", "24h", "7d", or a day or time as such. "" is for ever.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q: use a time back such as 24h or 7d, or a day such as %s", s, now.Format(time.DateOnly))
}

func renderHistory(w io.Writer, h historyAnswer, now time.Time) {
	if len(h.Records) == 0 {
		fmt.Fprintln(w, "nothing has changed in this time")
	}
	for _, r := range h.Records {
		fmt.Fprintf(w, "%s  %s\n", r.At.Local().Format(time.DateTime), recordText(r, now))
		if r.Hint != "" {
			fmt.Fprintf(w, "%s  hint: %s\n", strings.Repeat(" ", len(time.DateTime)), printable(r.Hint))
		}
	}
	if h.Skipped > 0 {
		fmt.Fprintf(w, "note: %d lines of the history could not be read\n", h.Skipped)
	}
}

// recordText is a record in one line: what, and in brackets why and how long it took.
func recordText(r keeper.Record, now time.Time) string {
	var what string
	switch r.Outcome {
	case keeper.OutcomeFailed:
		what = strings.Join(append(changesText(r), "failed: "+r.Error), "; ")
	case keeper.OutcomeChanged:
		what = strings.Join(changesText(r), "; ")
	case keeper.OutcomeRecovered:
		what = "works again"
	case keeper.OutcomePaused:
		what = "paused"
		if r.Until != nil {
			what += " until " + clock(*r.Until, now)
		}
	case keeper.OutcomeResumed:
		what = "resumed"
	default:
		what = strings.Join(addressesText(r), "; ")
	}
	var notes []string
	if len(r.Lost) > 0 {
		notes = append(notes, "somebody else had removed "+strings.Join(r.Lost, ", "))
	} else if r.Why != "" {
		notes = append(notes, r.Why)
	}
	if r.By != "run" && r.Outcome != keeper.OutcomePaused && r.Outcome != keeper.OutcomeResumed {
		notes = append(notes, "by "+r.By)
	}
	if took := cmp.Or(r.MS.Written, r.MS.Total); took > 0 {
		notes = append(notes, fmt.Sprintf("%d ms", took))
	}
	if r.Calls > 0 {
		notes = append(notes, plural(r.Calls, "call"))
	}
	if len(notes) > 0 {
		what += " (" + strings.Join(notes, ", ") + ")"
	}
	return printable(what)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// changesText says what was done to rules, the same in several groups once.
func changesText(r keeper.Record) (parts []string) {
	for _, c := range r.Changes {
		did := cmp.Or(past[c.Do], c.Do) + " " + host(c.CIDR)
		if c.From != "" {
			did = "moved " + host(c.From) + " → " + host(c.CIDR)
		}
		if c.Target != "" {
			did += " for " + c.Target
		}
		if !slices.Contains(parts, did) {
			parts = append(parts, did)
		}
	}
	if r.More > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", r.More))
	}
	return parts
}

// addressesText says what became of the own address.
func addressesText(r keeper.Record) (parts []string) {
	for _, a := range r.Addresses {
		switch {
		case a.To == "":
			parts = append(parts, fmt.Sprintf("%s address not known (%s): %s", familyWord(a.Family), a.State, a.Why))
		case a.From == a.To:
			parts = append(parts, fmt.Sprintf("the address %s is known again", a.To))
		case a.From == "":
			parts = append(parts, fmt.Sprintf("the address is %s", a.To))
		default:
			parts = append(parts, fmt.Sprintf("the address changed from %s to %s", a.From, a.To))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, r.Outcome)
	}
	return parts
}

func familyWord(family string) string {
	if family == "ipv6" {
		return "IPv6"
	}
	return "IPv4"
}

// host is a range without the length that says "one address".
func host(cidr string) string {
	if p, err := netip.ParsePrefix(cidr); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return cidr
}

// clock is a time of day, with the day where it is another one.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch d := t.Sub(now); {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04")
	case d > -6*24*time.Hour && d < 6*24*time.Hour:
		return t.Format("Mon 15:04")
	}
	return t.Format("2006-01-02 15:04")
}
