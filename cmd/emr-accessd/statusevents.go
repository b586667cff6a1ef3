package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// statusEvent is one line of `status --watch --json`; docs/json.md describes it. Fields that do not belong to an event's
// kind are left out.
type statusEvent struct {
	At      time.Time      `json:"at"`
	Event   string         `json:"event"` // status, history, daemon, pause, lease, reach or warning
	Status  *statusAnswer  `json:"status,omitempty"`
	Record  *keeper.Record `json:"record,omitempty"`
	Running *bool          `json:"running,omitempty"`
	Paused  *keeper.Pause  `json:"paused,omitempty"`
	Target  string         `json:"target,omitempty"`
	Group   string         `json:"group,omitempty"`
	Rule    string         `json:"rule,omitempty"`
	CIDR    string         `json:"cidr,omitempty"`
	Who     string         `json:"who,omitempty"`
	Reach   *keeper.Reach  `json:"reach,omitempty"`
	Text    string         `json:"text,omitempty"`
	Gone    bool           `json:"gone,omitempty"` // the pause, the lease or the warning has ended
}

// changesSince tells what is new in a view. It is pure, and tells the same in the same order.
func changesSince(old, now statusView, at time.Time) (events []statusEvent) {
	add := func(e statusEvent) {
		e.At = at
		events = append(events, e)
	}
	if running := now.answer.Running; running != old.answer.Running {
		add(statusEvent{Event: "daemon", Running: &running})
	}
	if p := now.answer.Paused; !reflect.DeepEqual(p, old.answer.Paused) {
		add(statusEvent{Event: "pause", Paused: p, Gone: p == nil})
	}
	for _, r := range newRecords(old.recent, now.recent) {
		if r.Outcome != keeper.OutcomePaused && r.Outcome != keeper.OutcomeResumed { // told above
			add(statusEvent{Event: "history", Record: &r})
		}
	}
	before, after := shares(old.answer), shares(now.answer)
	for _, s := range after {
		if !slices.Contains(before, s) {
			add(s.event(false))
		}
	}
	for _, s := range before {
		if !slices.Contains(after, s) {
			add(s.event(true))
		}
	}
	for _, t := range now.answer.Targets {
		i := slices.IndexFunc(old.answer.Targets, func(o keeper.TargetReport) bool { return o.Target == t.Target })
		if t.Reach != nil && (i < 0 || old.answer.Targets[i].Reach == nil || *old.answer.Targets[i].Reach != *t.Reach) {
			add(statusEvent{Event: "reach", Target: t.Target, Reach: t.Reach})
		}
	}
	for _, w := range now.answer.Warnings {
		if !slices.Contains(old.answer.Warnings, w) {
			add(statusEvent{Event: "warning", Text: w})
		}
	}
	for _, w := range old.answer.Warnings {
		if !slices.Contains(now.answer.Warnings, w) {
			add(statusEvent{Event: "warning", Text: w, Gone: true})
		}
	}
	return events
}

// newRecords are the records behind the last one that was there already.
func newRecords(old, now []keeper.Record) []keeper.Record {
	if len(old) == 0 {
		return now
	}
	last := old[len(old)-1]
	for i, r := range slices.Backward(now) {
		if reflect.DeepEqual(r, last) {
			return now[i+1:]
		}
	}
	var news []keeper.Record
	for _, r := range now { // the file was taken away, or the clock put back
		if r.At.After(last.At) {
			news = append(news, r)
		}
	}
	return news
}

// share is somebody else's live lease on a rule of ours.
type share struct{ target, group, rule, cidr, who, user string }

func (s share) event(gone bool) statusEvent {
	return statusEvent{Event: "lease", Target: s.target, Group: s.group, Rule: s.rule, CIDR: s.cidr, Who: cmp.Or(s.who, s.user), Gone: gone}
}

func shares(s statusAnswer) (all []share) {
	for _, t := range s.Targets {
		for _, g := range t.Groups {
			for _, r := range g.Rules {
				for _, l := range r.Leases {
					if r.Mine && !l.Mine && l.Live {
						all = append(all, share{t.Target, g.ID, r.Rule, r.CIDR, l.Who, l.UserID})
					}
				}
			}
		}
	}
	return all
}

// text is an event in one line for people.
func (e statusEvent) text() string {
	what := ""
	switch e.Event {
	case "status":
		what = e.summary()
	case "history":
		what = recordText(*e.Record, e.At)
		if e.Record.Hint != "" {
			what += ". " + e.Record.Hint
		}
	case "daemon":
		what = "the daemon has ended"
		if *e.Running {
			what = "the daemon runs"
		}
	case "pause":
		what = "not paused any more"
		if e.Paused != nil {
			what = pausedUntil(*e.Paused, e.At)
		}
	case "lease":
		what = fmt.Sprintf("%s shares the rule for %s in %s", e.Who, host(e.CIDR), e.Group)
		if e.Gone {
			what = fmt.Sprintf("%s has left the rule for %s in %s", e.Who, host(e.CIDR), e.Group)
		}
	case "reach":
		what = e.Target + ": " + e.Reach.Why
	case "warning":
		what = "warning: " + e.Text
		if e.Gone {
			what = "no longer: " + e.Text
		}
	}
	return e.At.Local().Format(time.DateTime) + "  " + printable(what) + "\n"
}

// summary is the first line: how things stand.
func (e statusEvent) summary() string {
	s := e.Status
	what := "no daemon runs"
	if s.Running {
		what = "the daemon runs"
	}
	if s.Paused != nil {
		what += ", " + pausedUntil(*s.Paused, e.At)
	}
	for _, f := range []string{"ipv4", "ipv6"} {
		for _, t := range s.Targets {
			if v := t.Verdicts[f]; v.Address != "" {
				what += fmt.Sprintf(", %s may reach %s", v.Address, t.Target)
			} else if unknownState(v.State) {
				what += fmt.Sprintf(", %s address not known towards %s (%s)", familyWord(f), t.Target, v.State)
			}
			if t.Error != nil && f == "ipv4" {
				what += ", failed: " + *t.Error
			}
		}
	}
	return what
}
