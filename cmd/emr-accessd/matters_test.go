package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/notify"
)

// stateWith is a state whose targets failed in these ways, each with an own rule until some time.
func stateWith(kind string, end time.Duration, names ...string) *keeper.State {
	st := &keeper.State{}
	for _, n := range names {
		t := keeper.TargetReport{Target: n, Name: "nightly", Profile: "work", Kind: kind, Hint: "Sign in: `aws sso login --profile work`",
			Groups: []keeper.GroupReport{{ID: "sg-1", Rules: []keeper.RuleReport{{Mine: true, Leases: []keeper.LeaseReport{{Mine: true, Live: true, End: at(end)}, {Live: true, End: at(time.Minute)}}}}}}}
		if kind != "" {
			text := "no usable AWS credentials"
			t.Error = &text
		}
		st.Status.Report.Targets = append(st.Status.Report.Targets, t)
	}
	return st
}

func saying(ms []notify.Matter) string {
	var lines []string
	for _, m := range ms {
		line := m.Key
		if m.Unclear {
			line += "?"
		} else {
			line += fmt.Sprintf(" %q %q", m.Title, m.Text)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestMatters(t *testing.T) {
	verdict := func(state string) *keeper.State {
		st := stateWith("", 0, "j-1")
		st.Status.Report.Targets[0].Verdicts = map[string]keeper.Verdict{"ipv4": {State: state, Why: "They differ."}, "ipv6": {State: "absent"}}
		return st
	}
	lost := &keeper.State{Lost: map[string][]time.Time{"sg-1": {noon.Add(-25 * time.Hour), noon.Add(-3 * time.Hour), noon.Add(-2 * time.Hour), noon}, "sg-2": {noon}}}
	for name, tt := range map[string]struct {
		st   *keeper.State
		want string
	}{
		"all is well": {stateWith("", time.Hour, "j-1"), ""},
		"sign-in": {stateWith(kindCredentials, 12*time.Hour, "j-1"),
			"credentials|work \"Sign in to AWS to keep SSH to nightly\" \"Sign in: `aws sso login --profile work` Until then your rule does not follow you; it stands until Mon 00:00.\""},
		"lapse": {stateWith(kindCredentials, time.Hour, "j-1"),
			"lapse|j-1 \"SSH access to nightly ends at 13:00\" \"… unless you sign in: `aws sso login --profile work`\"\ncredentials|work?"},
		"lapsed": {stateWith(kindCredentials, -time.Hour, "j-1"), "credentials|work \"Sign in to AWS to keep SSH to nightly\" \"Sign in: `aws sso login --profile work`\""},
		"permission": {stateWith(kindPermission, time.Hour, "j-1"),
			"permission|j-1 \"A permission is missing for SSH to nightly\" \"no usable AWS credentials. Sign in: `aws sso login --profile work`\""},
		"no answer":      {stateWith(kindOffline, time.Hour, "j-1"), "lapse|j-1?\nconfiguration|j-1?\ncredentials|work?\npermission|j-1?\nquota|j-1?"},
		"ended":          {stateWith(kindEnded, time.Hour, "j-1"), ""},
		"conflict":       {verdict("conflict"), "address|ipv4 \"Your address is not clear, so SSH access does not follow it\" \"They differ.\""},
		"split route":    {verdict("split-route"), "address|ipv4 \"Traffic to the cluster leaves by another way, so SSH access does not follow it\" \"They differ.\""},
		"captive portal": {verdict("captive"), "address|ipv4?"},
		"confirmed":      {verdict("confirmed"), ""},
		"removed again": {lost, "lost|sg-1 \"Somebody keeps removing your SSH rule\" \"The rule for your address in sg-1 was removed 3 times or more within a day, not by this computer. " +
			"It was put back each time. Ask who looks after the group; `emr-accessd status --history` has the times.\""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := saying(matters(tt.st, 24*time.Hour, noon)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	// One sign-in is told once, however many targets need it.
	ms := matters(stateWith(kindCredentials, 12*time.Hour, "j-1", "j-2"), 24*time.Hour, noon)
	_, mem := notify.Decide(notify.Memory{}, ms, noon)
	if tell, _ := notify.Decide(mem, ms, noon.Add(setupAfter)); len(tell) != 1 {
		t.Errorf("told %s", saying(tell))
	}
}

func TestChangeMatter(t *testing.T) {
	rec := &keeper.Record{At: noon, Outcome: keeper.OutcomeChanged, Addresses: []keeper.AddressNote{{Family: "ipv4", From: "203.0.113.9", To: "198.51.100.7"}},
		Changes: []keeper.RecordedChange{{Target: "j-1", Do: "move", CIDR: "198.51.100.7/32", From: "203.0.113.9/32"}}}
	m, ok := changeMatter(rec)
	if !ok || m.Title != "SSH access follows you to 198.51.100.7" || m.Text != "moved 203.0.113.9 → 198.51.100.7 for j-1" {
		t.Errorf("%v %v", ok, m)
	}
	for _, r := range []*keeper.Record{nil, {Outcome: keeper.OutcomeChanged}, {Outcome: keeper.OutcomeFailed, Addresses: rec.Addresses},
		{Outcome: keeper.OutcomeUnknown, Addresses: []keeper.AddressNote{{From: "203.0.113.9"}}}, {Addresses: []keeper.AddressNote{{From: "203.0.113.9", To: "203.0.113.9"}}}} {
		if m, ok := changeMatter(r); ok {
			t.Errorf("%+v: %v", r, m)
		}
	}
}
