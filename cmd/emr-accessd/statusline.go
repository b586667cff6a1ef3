package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// maxStatusLine keeps what `systemctl status` shows to a line or two, in bytes.
const maxStatusLine = 300

// statusLine is what the daemon does now, in one line for `systemctl status`.
func statusLine(store *keeper.Store, now time.Time) string {
	st, _ := store.Load()
	return statusOfRound(st.Status, store.Paused(now), now)
}

func statusOfRound(s keeper.Status, p *keeper.Pause, now time.Time) string {
	switch {
	case p != nil:
		return cutLine(pausedUntil(*p, now))
	case s.LastError != "":
		return cutLine("no round could be made: " + s.LastError)
	case s.LastRound.IsZero():
		return "looking at your address for the first time"
	case len(s.Report.Targets) == 0:
		return "no rule is kept now"
	}
	var said []string
	for _, t := range s.Report.Targets {
		if line := statusOfTarget(t); !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return cutLine(strings.Join(said, "; "))
}

// statusOfTarget says which address is open in which groups, or why none is.
func statusOfTarget(t keeper.TargetReport) string {
	if t.Error != nil {
		return t.Target + ": " + *t.Error
	}
	var addresses, why, groups []string
	for _, family := range []string{"ipv4", "ipv6"} {
		v := t.Verdicts[family]
		if v.Address != "" {
			addresses = append(addresses, v.Address)
		} else if v.Why != "" && v.State != string(ipwatch.Absent) {
			why = append(why, strings.TrimSpace(v.Why))
		}
	}
	for _, g := range t.Groups {
		if g.Error != nil {
			return t.Target + ": " + g.ID + ": " + *g.Error
		}
		groups = append(groups, g.ID)
	}
	if len(addresses) == 0 {
		return t.Target + ": " + strings.Join(why, " ")
	}
	return fmt.Sprintf("%s in %s (%s)", strings.Join(addresses, " and "), strings.Join(groups, ", "), t.Target)
}

// cutLine makes one line that is safe to show.
func cutLine(s string) string {
	s = printable(s)
	if len(s) <= maxStatusLine {
		return s
	}
	cut := maxStatusLine
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
