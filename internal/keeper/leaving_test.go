package keeper_test

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func (l *lab) loseState() {
	l.Helper()
	if err := os.Remove(l.Store.Path("state.json")); err != nil {
		l.Fatal(err)
	}
}

// A temporary target is kept by the rounds of others, until it ends.
func TestTemporaryTarget(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{})
		tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-2-1 192.0.2.1/32:22 mine")
		if tt := l.state().Temporary; len(tt) != 1 || !tt[0].Until.Equal(tmp.Until) {
			t.Fatalf("temporary: %+v", tt)
		}

		time.Sleep(30 * time.Minute)
		l.v4(at(office))
		l.good(keeper.Request{})
		l.want("both follow", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-2-1 192.0.2.2/32:22 mine")

		tmp.Until = time.Now().Add(time.Hour) // the session goes on
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		short := as(tmp, func(t *keeper.Target) { t.Until = time.Now().Add(time.Minute) })
		l.good(keeper.Request{Targets: []keeper.Target{short}}) // another, shorter one does not end it
		time.Sleep(59 * time.Minute)
		l.good(keeper.Request{})
		l.want("before the end", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-2-1 192.0.2.2/32:22 mine")
		if next := l.state().Status.NextRound; next.After(tmp.Until) {
			t.Errorf("the next round is at %v, after the end at %v", next, tmp.Until)
		}
		time.Sleep(time.Minute)
		l.good(keeper.Request{})
		l.want("after it", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		if st := l.state(); len(st.Temporary) != 0 || len(st.Places) != 1 {
			t.Errorf("remembered: %+v %+v", st.Temporary, st.Places)
		}
	})
}

// What could not be found leaves nothing behind.
func TestTemporaryTargetThatFails(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		due := l.state().Status.NextRound
		tmp := as(target("j-none"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		if l.round(keeper.Request{Targets: []keeper.Target{tmp}}).Failed() == nil {
			t.Fatal("no error for a cluster that does not exist")
		}
		st := l.state()
		if len(st.Temporary) != 0 || st.Failures != 0 || st.Status.NextRound.After(due) {
			t.Errorf("temporary %+v, failures %d, next %v", st.Temporary, st.Failures, st.Status.NextRound)
		}
		l.good(keeper.Request{})
	})
}

// What a target leaves is given back: when it leaves the configuration, when its cluster has another group,
// and, found by tag, when the state was lost in between.
func TestDeparted(t *testing.T) {
	setup := func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, as(target("j-2"), func(t *keeper.Target) { t.Trusted = prefixes("198.51.100.0/28") }))
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
	}
	kept := "sgr-1-1 192.0.2.1/32:22 mine"
	inLab(t, func(l *lab) {
		setup(l)
		l.Targets = l.Targets[:1]
		l.good(keeper.Request{Targets: l.Targets}) // a partial round does not judge
		if n := len(l.rules()); n != 3 {
			t.Errorf("%d rules after a partial round", n)
		}
		l.good(keeper.Request{})
		l.want("rules", l.rules(), kept)
	})
	inLab(t, func(l *lab) { // it fails at first
		setup(l)
		l.Targets = l.Targets[:1]
		l.world.fail = failing("rules sg-2", errBroken)
		rep := l.good(keeper.Request{})
		if len(rep.Warnings) != 1 {
			t.Errorf("warnings: %q", rep.Warnings)
		}
		l.world.fail = nil
		l.good(keeper.Request{})
		l.want("rules", l.rules(), kept)
	})
	inLab(t, func(l *lab) { // its profile is gone: told, and forgotten when the leases have ended
		setup(l)
		l.Targets = l.Targets[:1]
		for key, rem := range l.state().Places {
			st := l.state()
			if rem.Target.Cluster == "j-2" {
				rem.Target.Profile = "gone"
				st.Places[key] = rem
				if err := l.Store.Save(st); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rep := l.good(keeper.Request{}); len(rep.Warnings) != 1 {
			t.Errorf("warnings: %q", rep.Warnings)
		}
		if st := l.state(); len(st.Places) != 2 {
			t.Errorf("forgotten too early: %+v", st.Places)
		}
		time.Sleep(8 * 24 * time.Hour)
		l.good(keeper.Request{})
		if st := l.state(); len(st.Places) != 1 {
			t.Errorf("places: %+v", st.Places)
		}
	})
	inLab(t, func(l *lab) { // another group
		l.good(keeper.Request{})
		l.world.cluster("j-1", "sg-new", "203.0.113.10", "")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-new-1 192.0.2.1/32:22 mine")
	})
	inLab(t, func(l *lab) {
		setup(l)
		l.loseState()
		l.Targets = l.Targets[:1]
		l.good(keeper.Request{})
		l.want("rules", l.rules(), kept)
	})
	inLab(t, func(l *lab) { // a target that cannot be found may lead to the group: nothing is judged until it is
		setup(l)
		l.loseState()
		delete(l.world.places, "j-2")
		l.round(keeper.Request{})
		if n := len(l.rules()); n != 3 {
			t.Errorf("%d rules left", n)
		}
	})
}

// Groups that a target has left are given back by a later round when one is cut short or fails, also where no daemon runs, which
// would look for them by tag.
func TestLeftGroups(t *testing.T) {
	const kept = "sgr-new-1 192.0.2.1/32:22 mine"
	setup := func(l *lab) keeper.Request {
		req := keeper.Request{Targets: []keeper.Target{as(target("j-1"), func(t *keeper.Target) { t.Until = time.Now().Add(30 * time.Hour) })}}
		l.Targets = nil
		l.good(req)
		l.world.cluster("j-1", "sg-new", "203.0.113.10", "")
		return req
	}
	inLab(t, func(l *lab) { // cut short
		req := setup(l)
		ctx, cancel := context.WithCancel(context.Background())
		l.world.fail = func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "rules") {
				cancel()
			}
			return nil
		}
		_, _ = l.Round(ctx, req)
		l.world.fail = nil
		l.good(req)
		l.want("rules", l.rules(), kept)
	})
	inLab(t, func(l *lab) { // it fails
		req := setup(l)
		l.world.fail = failing("revoke", errBroken)
		l.round(req)
		l.good(keeper.Request{Targets: req.Targets, DryRun: true})
		l.world.fail = nil
		time.Sleep(sgsync.W + sgsync.Sigma) // the call might still act
		l.good(req)
		l.want("rules", l.rules(), kept)
		l.took()
		l.good(req)
		if calls := l.took(); slices.Contains(calls, "rules sg-1") {
			t.Errorf("it is not done with the group: %q", calls)
		}
	})
	inLab(t, func(l *lab) { // all is given back meanwhile, in part at first
		req := setup(l)
		l.world.fail = failing("revoke", errBroken)
		l.round(req)
		req.Release = true
		l.world.fail = failing("revoke sgr-1-1", errBroken)
		if l.round(req).Failed() == nil {
			t.Fatal("no failure")
		}
		l.world.fail = failing("resolve", errBroken)
		l.good(req)
		l.want("rules", l.rules())
	})
	inLab(t, func(l *lab) { // the target's time is over
		req := setup(l)
		l.world.fail = failing("revoke", errBroken)
		l.round(req)
		l.world.fail = nil
		time.Sleep(31 * time.Hour)
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{Targets: []keeper.Target{as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })}})
		l.want("rules", l.rules(), "sgr-2-1 192.0.2.1/32:22 mine")
	})
}

// A rule whose adding had no answer is given back when its target leaves, also where another target keeps the group in use and the
// reads do not show the rule yet.
func TestDepartedBeforeItShows(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.Targets = append(l.Targets, as(target("j-1"), func(t *keeper.Target) { t.Port = 8443 }))
		l.world.lag = 9 * time.Second
		l.world.lose = losing("authorize")
		l.world.fail = func(_ context.Context, call string) error { // one try
			if strings.HasPrefix(call, "authorize") {
				l.world.fail = failing("rules", errBroken)
			}
			return nil
		}
		l.round(keeper.Request{})
		l.world.lose, l.world.fail = nil, nil
		l.Targets = l.Targets[:1]
		time.Sleep(time.Second)
		l.good(keeper.Request{})
		time.Sleep(sgsync.Sigma + time.Second)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
}

// A group in use that fails does not make each round look by tag.
func TestSweepBesidesAFailure(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(keeper.SweepEvery + time.Hour)
		l.world.fail = failing("tag ", errBroken)
		for range 3 {
			if l.round(keeper.Request{}).Failed() == nil {
				t.Fatal("no failure")
			}
			time.Sleep(time.Minute)
		}
		n := 0
		for _, call := range l.took() {
			if strings.HasPrefix(call, "tagged") {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%d looks by tag", n)
		}
	})
}

// Rules are looked for by tag once a day.
func TestSweepOnceADay(t *testing.T) {
	inLab(t, func(l *lab) {
		count := func() (n int) {
			for _, call := range l.took() {
				if call == "tagged eu-west-1" {
					n++
				}
			}
			return n
		}
		for day := range 3 {
			for range 24 {
				l.good(keeper.Request{})
				time.Sleep(time.Hour)
			}
			if n := count(); n != 1 {
				t.Errorf("day %d: rules were looked for %d times", day, n)
			}
		}
		id := l.world.put("sg-1", "192.0.2.50/32", "emr-accessd-owner", "AIDAALICE", l.key(), "2000-01-09T00:00:00Z 2000-01-01T00:00:00Z alice@laptop")
		l.world.edit(id, ruleOn(2222))
		l.good(keeper.Request{})
		l.want("a forgotten port", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
	inLab(t, func(l *lab) { // what could not be given back is looked for again at once
		l.world.regions["sg-old"] = "eu-west-1"
		l.world.put("sg-old", "192.0.2.50/32", "emr-accessd-owner", "AIDAALICE", l.key(), "2000-01-02T00:00:00Z 2000-01-01T00:00:00Z alice@laptop")
		l.world.fail = failing("revoke", errBroken)
		if rep := l.good(keeper.Request{}); len(rep.Warnings) != 1 {
			t.Errorf("warnings: %q", rep.Warnings)
		}
		l.world.fail = nil
		time.Sleep(time.Minute)
		l.good(keeper.Request{})
		l.want("a forgotten group", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
	inLab(t, func(l *lab) { // in another account nothing is looked for
		l.good(keeper.Request{})
		time.Sleep(25 * time.Hour)
		l.Targets[0].Account = "999999999999"
		l.took()
		l.round(keeper.Request{})
		l.want("calls", l.took(), "open |")
	})
}

// The daily look by tag leaves the rule of a target alone that could not be looked up in this round.
func TestSweepSparesTargetsThatFail(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
		l.Targets = append(l.Targets, target("j-2"))
		l.good(keeper.Request{})
		for range 2 {
			time.Sleep(23 * time.Hour / 2)
			l.good(keeper.Request{})
		}
		time.Sleep(23 * time.Hour / 2) // a day has passed since the last look by tag
		l.world.fail = failing("resolve j-2", errThrottled)
		l.took()
		l.round(keeper.Request{})
		if !slices.Contains(l.took(), "tagged eu-west-1") {
			t.Error("there was no look by tag")
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-2-1 192.0.2.1/32:22 mine")
	})
}

// A round for a target behind a VPN does not give up the public address in the same group.
func TestPartialRoundOfLocalTarget(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-1", "", "")
		l.Targets = append(l.Targets, as(target("j-2"), func(t *keeper.Target) { t.Local = true }))
		l.net.local = netip.MustParseAddr("10.9.9.9")
		l.good(keeper.Request{})
		l.took()
		l.good(keeper.Request{Targets: l.Targets[1:]})
		l.want("writes", writes(l.took()))
	})
}

// What a session has left is given back by the next round of any command, and only in its own account.
func TestEndedSession(t *testing.T) {
	session := func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{})
		l.good(keeper.Request{Targets: []keeper.Target{as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })}})
		time.Sleep(2 * time.Hour)
	}
	inLab(t, func(l *lab) {
		session(l)
		l.good(keeper.Request{Targets: l.Targets})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
	inLab(t, func(l *lab) { // while it lasts, too
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{})
		l.good(keeper.Request{Targets: []keeper.Target{as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })}})
		id := l.world.users[""]
		id.Account = "999999999999"
		l.world.users[""] = id
		if rep := l.round(keeper.Request{}); rep.Targets[0].Err != nil || !isAccount(rep.Targets[1].Err) {
			t.Errorf("errors: %v, %v", rep.Targets[0].Err, rep.Targets[1].Err)
		}
	})
	inLab(t, func(l *lab) {
		session(l)
		id := l.world.users[""]
		id.Account = "999999999999"
		l.world.users[""] = id
		l.took()
		rep := l.good(keeper.Request{})
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1")
		if len(rep.Warnings) != 1 || len(l.state().Places) != 2 {
			t.Errorf("warnings %q, places %+v", rep.Warnings, l.state().Places)
		}
	})
}
