package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)

func at(d time.Duration) *time.Time { t := noon.Add(d); return &t }

// oneView is a daemon that keeps one rule, which a colleague shares.
func oneView() statusView {
	return statusView{
		answer: statusAnswer{Running: true, NextRound: at(12*time.Minute + 5*time.Second), Warnings: []string{"rules.lease is long"}, Noticing: []string{"By events."},
			Targets: []keeper.TargetReport{{Target: "j-1", Name: "nightly", State: "WAITING",
				Verdicts: map[string]keeper.Verdict{"ipv4": {State: "confirmed", Address: "198.51.100.7", Why: "AWS and Cloudflare agree."}, "ipv6": {State: "absent"}},
				Groups: []keeper.GroupReport{{ID: "sg-1", Region: "eu-west-1", Rules: []keeper.RuleReport{
					{Rule: "sgr-2", CIDR: "203.0.113.9/32", Port: 22, Leases: []keeper.LeaseReport{{Who: "carol@desk", Live: true, End: at(time.Hour)}}},
					{Rule: "sgr-1", CIDR: "198.51.100.7/32", Port: 22, Mine: true, Leases: []keeper.LeaseReport{
						{Who: "bob@desk", Live: true, Firm: true, End: at(30 * time.Minute)},
						{Who: "alice@laptop", Mine: true, Live: true, Firm: true, End: at(11 * time.Hour)}}},
				}}}}}},
		recent: []keeper.Record{
			{At: noon.Add(-time.Hour), By: "sync", Outcome: keeper.OutcomeFailed, Error: "no usable AWS credentials"},
			{At: noon.Add(-time.Minute), By: "run", Why: "wlan0 has another address", Outcome: keeper.OutcomeChanged, Calls: 6, MS: keeper.Milestones{Written: 812},
				Changes: []keeper.RecordedChange{{Target: "j-1", Group: "sg-1", Rule: "sgr-1", Do: "move", CIDR: "198.51.100.7/32", From: "203.0.113.9/32", Port: 22}}},
		},
	}
}

func wantLines(t *testing.T, got []string, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFrame(t *testing.T) {
	v := oneView()
	wantLines(t, v.frame(noon, 100, 40), `
emr-accessd runs, next check in 12:05
198.51.100.7: AWS and Cloudflare agree.

j-1 nightly (waiting)
  sg-1 in eu-west-1
    198.51.100.7  port 22  you until 23:00 (in 11 h); shared with bob@desk until 12:30
    203.0.113.9   port 22  carol@desk until 13:00

Last changes
  11:59      moved 203.0.113.9 → 198.51.100.7 (wlan0 has another address, 812 ms, 6 calls)
  11:00      failed: no usable AWS credentials (by sync)

Warnings
  rules.lease is long

How a change is noticed
  By events.
q ends`)
	// A sign-in that is missing, a conflict and a pause come first, and the height is kept to.
	text := "no usable AWS credentials"
	tr := &v.answer.Targets[0]
	tr.Error, tr.Kind, tr.Hint = &text, kindCredentials, "Sign in: `aws sso login --profile work`"
	tr.Verdicts["ipv4"] = keeper.Verdict{State: "conflict", Why: "AWS says 192.0.2.1, Cloudflare 192.0.2.2."}
	v.answer.Paused = &keeper.Pause{Since: noon, Until: noon.Add(time.Hour)}
	wantLines(t, v.frame(noon, 60, 14), `
emr-accessd runs
! paused until Sun 13:00 (in 60 min); emr-accessd resume
  ends it earlier
! j-1: no usable AWS credentials. Sign in: `+"`aws sso login"+`
  --profile work`+"`"+`
! AWS says 192.0.2.1, Cloudflare 192.0.2.2.

j-1 nightly (waiting)
  sg-1 in eu-west-1
    198.51.100.7  port 22  you until 23:00 (in 11 h); shar…
    203.0.113.9   port 22  carol@desk until 13:00
q ends`)
}

// However narrow the window and hostile the texts: no line is too wide, the frame is never too high, and nothing
// reaches the terminal but text.
func TestFrameFits(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "名前です", "👩‍👩‍👧", hostile, "a\x1b[2Jb\nc\u202ed"}))
	verdict := rapid.Custom(func(t *rapid.T) keeper.Verdict {
		return keeper.Verdict{State: rapid.SampledFrom([]string{"confirmed", "conflict", "absent", ""}).Draw(t, "state"), Address: text.Draw(t, "address"), Why: text.Draw(t, "why")}
	})
	rule := rapid.Custom(func(t *rapid.T) keeper.RuleReport {
		return keeper.RuleReport{Rule: text.Draw(t, "rule"), CIDR: text.Draw(t, "cidr"), Mine: rapid.Bool().Draw(t, "mine"), Leases: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) keeper.LeaseReport {
			return keeper.LeaseReport{Who: text.Draw(t, "who"), UserID: text.Draw(t, "user"), Mine: rapid.Bool().Draw(t, "mine"), Live: rapid.Bool().Draw(t, "live"), End: at(time.Hour), Problem: text.Draw(t, "problem")}
		}), 0, 3).Draw(t, "leases")}
	})
	rapid.Check(t, func(t *rapid.T) {
		v := statusView{answer: statusAnswer{Running: rapid.Bool().Draw(t, "running"), Warnings: rapid.SliceOfN(text, 0, 3).Draw(t, "warnings"), Noticing: rapid.SliceOfN(text, 0, 3).Draw(t, "noticing")}}
		for range rapid.IntRange(0, 3).Draw(t, "targets") {
			tr := keeper.TargetReport{Target: text.Draw(t, "target"), Name: text.Draw(t, "name"), Verdicts: map[string]keeper.Verdict{"ipv4": verdict.Draw(t, "v4")},
				Groups: []keeper.GroupReport{{ID: text.Draw(t, "group"), Rules: rapid.SliceOfN(rule, 0, 4).Draw(t, "rules")}}}
			if e := text.Draw(t, "error"); e != "" {
				tr.Error, tr.Hint = &e, text.Draw(t, "hint")
			}
			v.answer.Targets = append(v.answer.Targets, tr)
		}
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			v.recent = append(v.recent, keeper.Record{At: noon, Outcome: rapid.SampledFrom([]string{"changed", "failed", "unknown", "", "x"}).Draw(t, "outcome"), Why: text.Draw(t, "why"),
				Error: text.Draw(t, "error"), Changes: []keeper.RecordedChange{{Do: text.Draw(t, "do"), CIDR: text.Draw(t, "cidr"), From: text.Draw(t, "from")}}})
		}
		width, height := rapid.IntRange(1, 120).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "height")
		lines := v.frame(noon, width, height)
		if len(lines) > height {
			t.Fatalf("%d lines in %d rows", len(lines), height)
		}
		for _, l := range lines {
			if cells(l) > max(width-1, 1) || printable(l) != l {
				t.Fatalf("%q has %d cells of %d", l, cells(l), width)
			}
		}
	})
}

func TestChangesSince(t *testing.T) {
	old, now := oneView(), oneView()
	if got := changesSince(old, now, noon); len(got) != 0 {
		t.Fatalf("nothing is new: %v", got)
	}
	now.answer.Running = false
	now.answer.Paused = &keeper.Pause{Since: noon}
	now.answer.Warnings = []string{"another"}
	rule := &now.answer.Targets[0].Groups[0].Rules[1]
	rule.Leases = slices.Replace(rule.Leases, 0, 1, keeper.LeaseReport{Who: "dave\x1b[2J@desk", Live: true})
	now.answer.Targets[0].Reach = &keeper.Reach{State: keeper.ReachOpen, Why: "203.0.113.10:22 answers."}
	now.recent = append(slices.Clone(now.recent[1:]), keeper.Record{At: noon, By: "run", Outcome: keeper.OutcomeRecovered}, keeper.Record{At: noon, Outcome: keeper.OutcomePaused})
	var text string
	for _, e := range changesSince(old, now, noon) {
		text += e.text()
	}
	wantLines(t, strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "2026-11-22 12:00:00  ", "")), "\n"), `
the daemon has ended
paused until you run: emr-accessd resume
works again
dave·[2J@desk shares the rule for 198.51.100.7 in sg-1
bob@desk has left the rule for 198.51.100.7 in sg-1
j-1: 203.0.113.10:22 answers.
warning: another
no longer: rules.lease is long`)
}

// No record is told twice, and none is missed, also when the file is put aside.
func TestNewRecords(t *testing.T) {
	rec := func(n int) keeper.Record {
		return keeper.Record{At: noon.Add(time.Duration(n/2) * time.Second), Calls: n}
	}
	var all []keeper.Record
	for i := range 10 {
		all = append(all, rec(i))
	}
	for _, tt := range []struct{ old, now, want []keeper.Record }{
		{nil, all[:2], all[:2]}, {all[:2], all[:2], []keeper.Record{}}, {all[:2], all[:5], all[2:5]}, {all[:5], all[4:6], all[5:6]},
		{all[:5], all[6:8], all[6:8]}, {all[:5], nil, nil}, {all[:5], all[:2], nil},
	} {
		if got := newRecords(tt.old, tt.now); !cmp.Equal(got, tt.want) {
			t.Errorf("%v → %v: %v", tt.old, tt.now, got)
		}
	}
}

func TestParseSince(t *testing.T) {
	for s, want := range map[string]time.Time{"": {}, "24h": noon.Add(-24 * time.Hour), "7d": noon.AddDate(0, 0, -7), "2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local),
		"2026-11-20T10:30": time.Date(2026, 11, 20, 10, 30, 0, 0, time.Local), "2026-11-20T10:30:00Z": time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)} {
		if got, err := parseSince(s, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"x", "-1h", "-1d", "99999999d", "yesterday", "2026-13-01"} {
		if got, err := parseSince(s, noon); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}
