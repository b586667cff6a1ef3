package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// What is given back leaves the groups as they were found; what others hold stays.
func TestRelease(t *testing.T) {
	for name, lost := range map[string]bool{"with the state": false, "the state was lost": true} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.world.put("sg-1", "0.0.0.0/0")
				l.world.put("sg-1", "192.0.2.44/32", bobs(time.Hour)...)
				l.world.put("sg-1", "192.0.2.45/32", bobs(-time.Hour)...) // ended; it is not the business of a release
				found := l.rules()
				l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
				l.Targets[0].Trusted = prefixes("198.51.100.0/28")
				l.Targets = append(l.Targets, target("j-2"))
				l.ReportExpired = true
				l.good(keeper.Request{})
				l.ReportExpired = false
				if n := len(l.rules()); n != len(found)+3 {
					t.Fatalf("%d rules", n)
				}
				if lost {
					l.loseState()
				}
				rep := l.good(keeper.Request{Release: true})
				l.want("rules", l.rules(), found...)
				if !rep.Applied || !rep.Changed() {
					t.Errorf("report: %+v", rep)
				}
				l.took()
				rep = l.good(keeper.Request{Release: true})
				l.want("changes of a second time", did(rep))
				l.want("writes", writes(l.took()))
				if st := l.state(); len(st.Places) != 0 {
					t.Errorf("places: %+v", st.Places)
				}
			})
		})
	}
}

// A shared rule is left, not removed.
func TestReleaseOfASharedRule(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine bob@desk")
		rep := l.good(keeper.Request{Release: true})
		l.want("changes", did(rep), "j-1 sg-1 leave 192.0.2.1/32")
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 bob@desk")
		l.want("writes", writes(l.took()), "tag "+id, "untag "+id)
		if st := l.state(); len(st.Rules) != 0 {
			t.Errorf("rules that are remembered: %+v", st.Rules)
		}
	})
}

// With names only their groups are looked at, and what another target wants stays: the end of a session
// must not lock the daemon's own cluster.
func TestReleaseOfNamedTargets(t *testing.T) {
	setup := func(l *lab, group string) {
		l.world.cluster("j-2", group, "203.0.113.20", "")
		l.Targets = append(l.Targets, target("j-2"))
		l.good(keeper.Request{})
	}
	inLab(t, func(l *lab) {
		setup(l, "sg-2")
		l.world.put("sg-1", "192.0.2.50/32", sgsync.OwnerTag, "AIDAALICE", l.key(), sgsync.FormatLease(time.Now().Add(time.Hour), time.Now(), "alice@laptop"))
		l.world.edit("sgr-1-2", ruleOn(2222)) // in the group of another, wanted by nobody
		rep := l.good(keeper.Request{Release: true, Targets: l.Targets[1:]})
		l.want("changes", did(rep), "j-2 sg-2 remove 192.0.2.1/32")
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 192.0.2.50/32:2222 mine")
	})
	inLab(t, func(l *lab) { // a temporary target in a group of its own
		l.good(keeper.Request{})
		l.world.cluster("j-9", "sg-9", "203.0.113.90", "")
		tmp := as(target("j-9"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		l.good(keeper.Request{Release: true, Targets: []keeper.Target{tmp}})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		if st := l.state(); len(st.Temporary) != 0 || len(st.Places) != 1 {
			t.Errorf("remembered: %+v %+v", st.Temporary, st.Places)
		}
	})
	inLab(t, func(l *lab) { // a temporary target that shares the group
		setup(l, "sg-1")
		rep := l.good(keeper.Request{Release: true, Targets: l.Targets[1:]})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		if len(rep.Warnings) != 1 || !strings.Contains(rep.Warnings[0], "j-1 wants them too") {
			t.Errorf("warnings: %q", rep.Warnings)
		}
		l.want("calls that change something", writes(l.took()), "authorize sg-1 192.0.2.1/32 22")
	})
	inLab(t, func(l *lab) {
		setup(l, "sg-2")
		none := keeper.Request{Release: true, Targets: []keeper.Target{target("j-none")}}
		if l.round(none).Failed() == nil {
			t.Error("no error for a cluster that does not exist")
		}
		if n := len(l.rules()); n != 2 {
			t.Errorf("%d rules", n)
		}
	})
}

// Nobody may believe that rules are gone where nobody could look.
func TestReleaseThatCannotLook(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.world.users["other"] = keeper.Identity{Account: "777788889999", UserID: "AIDAOTHER"}
		l.Targets = append(l.Targets, as(target("j-2"), func(t *keeper.Target) { t.Profile = "other" }))
		l.good(keeper.Request{})
		l.world.fail = failing("open other", errBroken)
		rep := l.round(keeper.Request{Release: true})
		if rep.Targets[0].Err != nil || !errors.Is(rep.Targets[1].Err, errBroken) {
			t.Errorf("errors: %v, %v", rep.Targets[0].Err, rep.Targets[1].Err)
		}
		l.want("changes", did(rep), "j-1 sg-1 remove 192.0.2.1/32")
		if st := l.state(); len(st.Places) != 2 || st.Status.LastError == "" {
			t.Errorf("the target that failed was forgotten: %+v", st.Places)
		}
		l.world.fail = nil
		l.Targets[1].Account = "000000000000"
		if err := l.round(keeper.Request{Release: true}).Targets[1].Err; !isAccount(err) {
			t.Errorf("wrong account: %v", err)
		}
		l.Targets[1].Account = ""
		l.good(keeper.Request{Release: true})
		l.want("rules", l.rules())
	})
	inLab(t, func(l *lab) { // a target that has left the configuration
		l.good(keeper.Request{})
		l.Targets = nil
		l.world.fail = failing("tagged", errBroken)
		if l.round(keeper.Request{Release: true}).Failed() == nil {
			t.Error("no error")
		}
		l.world.fail = nil
		rep := l.good(keeper.Request{Release: true})
		l.want("changes", did(rep), "sg-1 sg-1 remove 192.0.2.1/32")
		if _, err := l.Round(context.Background(), keeper.Request{Release: true}); !errors.Is(err, keeper.ErrNothing) {
			t.Errorf("nothing is left, but: %v", err)
		}
	})
	inLab(t, func(l *lab) { // two profiles hold rules in one group
		l.good(keeper.Request{})
		l.world.users["other"] = keeper.Identity{Account: "111122223333", UserID: "AIDAOTHER"}
		l.Targets[0].Profile = "other"
		l.v4(at(office))
		l.good(keeper.Request{Targets: l.Targets})
		l.Targets = append(l.Targets, target("j-1"))
		if n := len(l.rules()); n != 2 {
			t.Fatalf("%d rules", n)
		}
		l.good(keeper.Request{Release: true})
		l.want("rules", l.rules())
	})
}

func isAccount(err error) bool {
	_, ok := errors.AsType[*keeper.AccountError](err)
	return ok
}

func TestReleaseDryRun(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.took()
		before := asJSON(t, l.state())
		rep := l.good(keeper.Request{Release: true, DryRun: true})
		l.want("changes", did(rep), "j-1 sg-1 remove 192.0.2.1/32")
		l.want("writes", writes(l.took()))
		l.want("state", []string{asJSON(t, l.state())}, before)
	})
}

// A call whose answer was lost may or may not have acted: what is told to be given back is given back.
func TestReleaseWaitsForLostCalls(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.kill(keeper.Request{Release: true}, 3, false) // before the revoke
		l.good(keeper.Request{Release: true})
		l.want("rules", l.rules())
	})
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		lost := 0
		l.world.fail = func(_ context.Context, call string) error {
			if lost++; strings.HasPrefix(call, "revoke") && lost < 6 {
				return errLost
			}
			return nil
		}
		l.good(keeper.Request{Release: true})
		l.want("rules", l.rules())
	})
}

// What was made a moment ago does not show yet in a look by tag: it is given back all the same, at the end of a short session
// most of all. So is what a killed round may have made.
func TestReleaseOfWhatWasMadeAMomentAgo(t *testing.T) {
	all, one := keeper.Request{Release: true}, keeper.Request{Release: true, Targets: []keeper.Target{target("j-1")}}
	for name, req := range map[string]keeper.Request{"revoke": all, "revoke j-1": one, "a session ends": {Release: true, Targets: one.Targets, Session: true}} {
		for _, lag := range []time.Duration{time.Second, 4 * time.Second, 9 * time.Second} {
			for what, make := range map[string]func(*lab){
				"added":           func(l *lab) { l.good(keeper.Request{}) },
				"added, answered": func(l *lab) { l.good(keeper.Request{}); time.Sleep(500 * time.Millisecond) },
				"joined": func(l *lab) {
					l.world.put("sg-1", home+"/32", bobs(-time.Minute)...)
					time.Sleep(lag)
					l.good(keeper.Request{})
				},
				"the answer of a renewal lost": func(l *lab) {
					l.world.put("sg-1", home+"/32", bobs(40*time.Hour)...)
					time.Sleep(lag)
					l.good(keeper.Request{})
					time.Sleep(13 * time.Hour)
					l.world.lose = losing("tag")
					l.round(keeper.Request{})
					l.world.lose = nil
				},
				"killed":      func(l *lab) { l.kill(keeper.Request{}, 3, true) },
				"killed soon": func(l *lab) { l.kill(keeper.Request{}, 3, false) },
				"answer lost": func(l *lab) { l.world.lose = losing("authorize"); l.round(keeper.Request{}); l.world.lose = nil },
			} {
				t.Run(fmt.Sprintf("%s/%s/reads %v old", name, what, lag), func(t *testing.T) {
					inLab(t, func(l *lab) {
						l.good(keeper.Request{}) // it has been there before
						l.good(all)
						time.Sleep(time.Minute)
						l.world.lag = lag
						make(l)
						l.good(keeper.Request{DryRun: true, Release: true, Targets: req.Targets})
						l.good(req)
						for _, line := range l.rules() {
							if strings.Contains(line, "mine") {
								t.Errorf("left: %s", line)
							}
						}
					})
				})
			}
		}
	}
}

// losing loses the answers of calls.
func losing(prefix string) func(string) error {
	return func(call string) error {
		if strings.HasPrefix(call, prefix) {
			return errLost
		}
		return nil
	}
}

// What a session has left in an account that nobody is signed in to now is not taken for given back.
func TestReleaseOfWhatIsInAnotherAccount(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		tmp := as(target("j-1"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		l.good(keeper.Request{Targets: []keeper.Target{tmp}})
		time.Sleep(2 * time.Hour) // the terminal was closed
		mine := l.world.users[""]
		l.world.users[""] = keeper.Identity{Account: "999999999999", UserID: "AIDAELSEWHERE"}
		l.Targets = []keeper.Target{{Label: "default"}} // as the command does that has no configuration
		if rep := l.round(keeper.Request{Release: true}); !isAccount(rep.Failed()) {
			t.Errorf("said to be given back: %+v", rep)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		time.Sleep(8 * 24 * time.Hour)
		l.good(keeper.Request{Release: true, DryRun: true}) // all leases have ended there: somebody else takes the rule away
		l.world.users[""] = mine
		l.good(keeper.Request{Release: true})
		l.want("rules in the end", l.rules())
	})
}

// What is in another account, and cannot be given back, does not bring back what a session has held here.
func TestReleaseBesidesAnotherAccount(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		for _, id := range []string{"2", "3"} {
			l.world.cluster("j-"+id, "sg-"+id, "203.0.113.10", "")
		}
		session := func(cluster string) {
			l.good(keeper.Request{Targets: []keeper.Target{as(target(cluster), func(t *keeper.Target) { t.Until = l.wall().Add(time.Hour) })}})
		}
		session("j-1")
		l.suspend(2 * time.Hour)
		l.world.users[""] = keeper.Identity{Account: "999999999999", UserID: "AIDAELSEWHERE"}
		session("j-2")
		if rep := l.round(keeper.Request{Release: true}); !isAccount(rep.Failed()) {
			t.Errorf("said to be given back: %+v", rep)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		l.round(keeper.Request{})
		l.want("rules after a round of the daemon", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
}

// A renewal without an answer may be hidden from a read that was sent just before it must show, also when that is over once the
// read has been acted on.
func TestReleaseWhileALostCallComesToShow(t *testing.T) {
	for early := time.Duration(0); early <= 400*time.Millisecond; early += 50 * time.Millisecond {
		inLab(t, func(l *lab) {
			l.world.lag = sgsync.Sigma - time.Millisecond
			l.world.put("sg-1", home+"/32", bobs(40*time.Hour)...)
			time.Sleep(l.world.lag)
			l.good(keeper.Request{})
			time.Sleep(13 * time.Hour)
			l.world.lose = losing("tag")
			l.world.fail = func(_ context.Context, call string) error {
				if strings.HasPrefix(call, "tag ") {
					l.world.fail = failing("rules", errBroken) // one try
				}
				return nil
			}
			l.round(keeper.Request{})
			l.world.lose = nil
			l.world.fail = func(context.Context, string) error { time.Sleep(100 * time.Millisecond); return nil }
			time.Sleep(sgsync.Sigma - early)
			l.good(keeper.Request{Release: true})
			l.want(fmt.Sprintf("rules, revoked %v before the renewal must show", early), l.rules(), "sgr-1-1 192.0.2.1/32:22 bob@desk")
		})
	}
}
