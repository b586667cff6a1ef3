package keeper_test

import (
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A round for some targets neither delays nor hides what is the matter with the others.
func TestPartialRound(t *testing.T) {
	setup := func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, target("j-2"))
	}
	inLab(t, func(l *lab) {
		setup(l)
		l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.good(keeper.Request{Targets: l.Targets[1:]})
		l.good(keeper.Request{})
		due := l.state().Status.NextRound
		time.Sleep(time.Second)
		l.good(keeper.Request{Targets: l.Targets[1:]})
		if next := l.state().Status.NextRound; !next.Equal(due) {
			t.Errorf("the next round was due at %v, and now at %v", due, next)
		}
	})
	inLab(t, func(l *lab) {
		setup(l)
		l.world.fail = failing("resolve j-1", errBroken)
		l.round(keeper.Request{})
		l.round(keeper.Request{})
		l.good(keeper.Request{Targets: l.Targets[1:]})
		if st := l.state(); st.Failures != 2 || st.Status.LastError == "" {
			t.Errorf("%d failures, %q", st.Failures, st.Status.LastError)
		}
		l.world.fail = nil
		l.good(keeper.Request{})
		if st := l.state(); st.Failures != 0 || st.Status.LastError != "" {
			t.Errorf("%d failures, %q", st.Failures, st.Status.LastError)
		}
	})
}

// shown tells what the status shows: the targets with the rules in their groups.
func shown(l *lab) (lines []string) {
	for _, t := range l.state().Status.Report.Targets {
		line := t.Target
		if t.Error != nil {
			line += " failed"
		}
		for _, g := range t.Groups {
			for _, r := range g.Rules {
				line += " " + r.Rule + " " + r.CIDR
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestStatusReport(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		web := as(target("j-1"), func(t *keeper.Target) { t.Port = 8443 }) // the same label twice
		l.Targets = append(l.Targets, web, target("j-2"))
		l.good(keeper.Request{})
		both := "sgr-1-1 192.0.2.1/32 sgr-1-2 192.0.2.1/32"
		l.want("status", shown(l), "j-1 "+both, "j-1 "+both, "j-2 sgr-2-1 192.0.2.1/32")

		l.v4(at(office)) // a partial round replaces its targets, in their places
		l.good(keeper.Request{Targets: l.Targets[:2]})
		both = "sgr-1-1 192.0.2.2/32 sgr-1-2 192.0.2.2/32"
		l.want("status", shown(l), "j-1 "+both, "j-1 "+both, "j-2 sgr-2-1 192.0.2.1/32")

		l.world.fail = failing("resolve j-2", errBroken) // what could not be looked at is shown as it was
		rep := l.round(keeper.Request{})
		l.want("status", shown(l), "j-1 "+both, "j-1 "+both, "j-2 failed sgr-2-1 192.0.2.1/32")
		if g := rep.Targets[2].Groups; g == nil || len(g) > 0 {
			t.Errorf("the report itself shows what was not read: %+v", g)
		}
		l.world.fail = nil
		l.good(keeper.Request{Release: true})
		l.want("status after a release", shown(l))
	})
}

// A round that finds the rules of a group in order says what they are, and who else holds them.
func TestRulesInReport(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.world.put("sg-1", "10.0.0.0/8")
		other := l.world.put("sg-1", "192.0.2.9/32", bobs(time.Hour)...)
		l.world.edit(other, ruleOn(443))
		rules := l.good(keeper.Request{}).Targets[0].Groups[0].Rules
		if len(rules) != 1 || rules[0].Rule != id || rules[0].Owner != "AIDABOB" || !rules[0].Mine || len(rules[0].Leases) != 2 {
			t.Fatalf("rules: %+v", rules)
		}
		for _, lease := range rules[0].Leases {
			if lease.Mine != (lease.Who == "alice@laptop") || !lease.Live || lease.Firm == lease.Mine || lease.End == nil || lease.Problem != "" {
				t.Errorf("lease: %+v", lease)
			}
		}
		l.world.edit(id, func(r *sgsync.Rule) bool { r.Tags[sgsync.LeasePrefix+"AIDAX-x"] = "nonsense"; return true })
		rep := l.good(keeper.Request{})
		if w := rep.Targets[0].Warnings; len(w) != 1 {
			t.Errorf("warnings: %q", w)
		}
	})
}

// Rules that could not be read are shown as they were, and not as gone.
func TestStatusKeepsUnreadRules(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.world.fail = failing("rules sg-1", errBroken)
		l.round(keeper.Request{})
		l.want("status", shown(l), "j-1 failed sgr-1-1 192.0.2.1/32")
		time.Sleep(time.Minute) // what is laid over reads is over
		l.world.edit("sgr-1-1", func(*sgsync.Rule) bool { return false })
		l.world.fail = failing("authorize", errBroken) // read, and gone
		l.round(keeper.Request{})
		l.want("status", shown(l), "j-1 failed")
	})
}
