package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/notify"
)

const (
	// lapseWarning is how long before the end of a rule its user is told that it ends for want of a sign-in: enough to
	// finish a meeting. Of a short lease it is a quarter.
	lapseWarning = 2 * time.Hour
	// standingAfter is how long sources must disagree, and setupAfter how long something must be refused, before it is
	// the user's business: a network in the middle of a change is not. That somebody has to sign in is certain at once.
	standingAfter = 10 * time.Minute
	setupAfter    = time.Minute
)

// matters are what only the user can settle, from the state that the last round has left. It is pure.
func matters(st *keeper.State, lease time.Duration, now time.Time) (ms []notify.Matter) {
	for _, t := range st.Status.Report.Targets {
		ms = append(ms, targetMatters(t, lease, now)...)
		for _, f := range []string{"ipv4", "ipv6"} {
			ms = append(ms, addressMatters(t, f)...)
		}
	}
	for group, times := range st.Lost {
		n := 0
		for _, at := range times {
			if age := now.Sub(at); age >= 0 && age < keeper.LostWindow {
				n++
			}
		}
		if n >= keeper.LostOften {
			ms = append(ms, notify.Matter{Key: "lost|" + group, Message: notify.Message{Title: "Somebody keeps removing your SSH rule",
				Text: fmt.Sprintf("The rule for your address in %s was removed %d times or more within a day, not by this computer. It was put back each time. Ask who looks after the group; `emr-accessd status --history` has the times.", group, n)}})
		}
	}
	return ms
}

// failures are the kinds of failures that only the user can settle, with what is said of them.
var failures = map[string]string{
	kindCredentials:   "Sign in to AWS to keep SSH to %s",
	kindPermission:    "A permission is missing for SSH to %s",
	kindQuota:         "No room for your SSH rule to %s",
	kindConfiguration: "SSH to %s cannot be kept as configured",
}

// targetMatters are those of one target: why it could not be kept, and what ends because of that.
func targetMatters(t keeper.TargetReport, lease time.Duration, now time.Time) (ms []notify.Matter) {
	if t.Error == nil {
		return nil
	}
	name, end := cmp.Or(t.Name, t.Target), ownEnd(t, now)
	lapses := t.Kind == kindCredentials && !end.IsZero() && end.Sub(now) < min(lapseWarning, lease/4)
	// Whoever gets no answer from AWS cannot tell whether the rest is settled.
	unclear := t.Kind == kindOffline || t.Kind == kindOther
	if lapses || unclear {
		ms = append(ms, notify.Matter{Key: "lapse|" + t.Target, Unclear: unclear, Message: notify.Message{Urgent: true,
			Title: fmt.Sprintf("SSH access to %s ends at %s", name, clock(end, now)), Text: unless(t.Hint)}})
	}
	for _, kind := range slices.Sorted(maps.Keys(failures)) {
		if t.Kind != kind && !unclear {
			continue
		}
		subject, text, after := t.Target, sentence(*t.Error, 160)+" "+t.Hint, setupAfter
		if kind == kindCredentials { // one sign-in is for all targets of a profile
			subject, text, after = t.Profile, t.Hint, 0
			if !end.IsZero() {
				text += fmt.Sprintf(" Until then your rule does not follow you; it stands until %s.", clock(end, now))
			}
		}
		ms = append(ms, notify.Matter{Key: kind + "|" + subject, After: after,
			Unclear: unclear || lapses && kind == kindCredentials, // the lapse says it, and more pressingly
			Message: notify.Message{Title: fmt.Sprintf(failures[kind], name), Text: text}})
	}
	return ms
}

// unless goes on after "SSH access ends": the hint mostly has the command to sign in.
func unless(hint string) string {
	if how, ok := strings.CutPrefix(hint, "Sign in: "); ok {
		return "… unless you sign in: " + how
	}
	return "… unless you sign in. " + hint
}

// sentence is the beginning of a text, ended like one.
func sentence(s string, longest int) string {
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "…"
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}

// ownEnd is when the first of the own live leases of a target ends; zero: there is none.
func ownEnd(t keeper.TargetReport, now time.Time) (end time.Time) {
	for _, g := range t.Groups {
		for _, r := range g.Rules {
			for _, l := range r.Leases {
				if l.Mine && l.End != nil && l.End.After(now) && (end.IsZero() || l.End.Before(end)) {
					end = *l.End
				}
			}
		}
	}
	return end
}

// addressMatters are those of the own address towards a target.
func addressMatters(t keeper.TargetReport, family string) []notify.Matter {
	v, ok := t.Verdicts[family]
	if !ok || v.State == string(ipwatch.Confirmed) || v.State == string(ipwatch.Absent) || v.State == "" {
		return nil
	}
	m := notify.Matter{Key: "address|" + family, After: standingAfter, Message: notify.Message{Title: "Your address is not clear, so SSH access does not follow it", Text: v.Why}}
	switch v.State {
	case string(ipwatch.Conflict):
	case string(ipwatch.SplitRoute):
		m.Title = "Traffic to the cluster leaves by another way, so SSH access does not follow it"
	default:
		m.Unclear = true // no network, a portal, a source that is down: nobody knows
	}
	return []notify.Matter{m}
}

// changeMatter is that the address has changed, from the record of the round; ok is false for any other record.
func changeMatter(r *keeper.Record) (m notify.Matter, ok bool) {
	if r == nil || r.Outcome == keeper.OutcomeFailed {
		return m, false
	}
	for _, a := range r.Addresses {
		if a.From != "" && a.To != "" && a.From != a.To {
			return notify.Matter{Key: "changed|" + r.At.Format(time.RFC3339Nano), Once: true,
				Message: notify.Message{Title: "SSH access follows you to " + a.To, Text: cmp.Or(strings.Join(changesText(*r), "; "), "the address was "+a.From)}}, true
		}
	}
	return m, false
}
