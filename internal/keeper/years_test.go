package keeper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// A new cluster each day, for months: what is remembered of those that are gone goes too.
func TestStateOfYears(t *testing.T) {
	const days, settled = 100, 20
	day := func(l *lab, n int) (tmp keeper.Target) {
		id := fmt.Sprintf("j-%d", n)
		l.world.cluster(id, "sg-"+id, "203.0.113.10", "")
		l.v4(at(fmt.Sprintf("192.0.2.%d", 1+n%200)))
		return as(target(id), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour).Round(0) })
	}
	gone := func(l *lab, n int) { // the cluster, with its group and the rules there
		id := fmt.Sprintf("j-%d", n)
		l.world.mu.Lock()
		defer l.world.mu.Unlock()
		delete(l.world.places, id)
		delete(l.world.regions, "sg-"+id)
		for rule, r := range l.world.rules {
			if r.Group == "sg-"+id {
				delete(l.world.rules, rule)
			}
		}
		l.world.past = nil
	}
	for name, live := range map[string]func(*lab, int){
		"connect without a daemon": func(l *lab, n int) {
			tmp := day(l, n)
			l.good(keeper.Request{Targets: []keeper.Target{tmp}})
			time.Sleep(30 * time.Minute)
			l.good(keeper.Request{Targets: []keeper.Target{tmp}, Release: true})
			gone(l, n)
		},
		"connect, and the terminal is closed": func(l *lab, n int) {
			l.good(keeper.Request{Targets: []keeper.Target{day(l, n)}})
			time.Sleep(30 * time.Minute)
			gone(l, n)
		},
		"sync of a named cluster": func(l *lab, n int) {
			tmp := day(l, n)
			tmp.Until = time.Time{}
			l.good(keeper.Request{Targets: []keeper.Target{tmp}})
			time.Sleep(30 * time.Minute)
			gone(l, n)
		},
		"connect beside a daemon": func(l *lab, n int) {
			l.good(keeper.Request{})
			l.good(keeper.Request{Targets: []keeper.Target{day(l, n)}})
			time.Sleep(30 * time.Minute)
			gone(l, n)
			time.Sleep(time.Hour)
			l.good(keeper.Request{})
		},
		"connect beside a daemon with a target that fails": func(l *lab, n int) {
			l.Targets = []keeper.Target{target("j-1"), target("j-none")}
			l.round(keeper.Request{})
			l.good(keeper.Request{Targets: []keeper.Target{day(l, n)}})
			time.Sleep(30 * time.Minute)
			gone(l, n)
			time.Sleep(time.Hour)
			l.round(keeper.Request{})
		},
		"a pattern with another cluster each day": func(l *lab, n int) {
			day(l, n)
			l.Targets = []keeper.Target{{Label: "etl-*", NamePattern: "etl-*", Nodes: []string{"primary"}, Group: "managed", Port: 22}}
			l.world.places["etl-*"] = l.world.places[fmt.Sprintf("j-%d", n)]
			l.round(keeper.Request{})
			time.Sleep(30 * time.Minute)
			gone(l, n)
		},
		"the configuration names another one each day": func(l *lab, n int) {
			day(l, n)
			l.Targets = []keeper.Target{target(fmt.Sprintf("j-%d", n))}
			l.round(keeper.Request{})
			time.Sleep(30 * time.Minute)
			gone(l, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(l *lab) {
				size := func() int { return len(l.disk()["state.json"]) }
				var early int
				for n := range days {
					live(l, 1000+n)
					l.took()
					l.world.times, l.world.past = nil, nil
					time.Sleep(24 * time.Hour)
					if n == settled {
						early = size()
					}
				}
				if late := size(); late > early+early/4 {
					t.Errorf("%d bytes after %d days, %d after %d: %s", early, settled, late, days, parts(l.state()))
				}
				if _, err := l.Round(context.Background(), keeper.Request{DryRun: true}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// parts tells how long the parts of a state are.
func parts(st *keeper.State) (text string) {
	data, _ := json.Marshal(st)
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields)
	for name, v := range fields {
		if len(v) > 1000 {
			text += fmt.Sprintf("%s %d, ", name, len(v))
		}
	}
	return text
}

// What is forgotten is found by tag: everything is given back in the end, in each region.
func TestForgottenPlacesAreGivenBack(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		for n := range 12 {
			id := fmt.Sprintf("j-%d", 20+n)
			tmp := as(target(id), func(t *keeper.Target) { t.Region = []string{"eu-west-1", "us-east-1", "ap-south-1"}[n/4] })
			l.world.regions["sg-"+id] = tmp.Region
			l.world.cluster(id, "sg-"+id, "203.0.113.10", "")
			l.good(keeper.Request{Targets: []keeper.Target{tmp}})
			time.Sleep(3 * 24 * time.Hour)
		}
		if n, places := len(l.rules()), len(l.state().Places); n != 12 || places > 6 {
			t.Fatalf("%d rules, %d places", n, places)
		}
		l.good(keeper.Request{Release: true})
		l.want("rules", l.rules())
	})
}

// only `connect`, no daemon and no configuration, two regions, two terminals closed: revoke finds all.
func TestNothingIsLeftOfSessions(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		n := 0
		session := func(region string, closed bool) {
			n++
			id := fmt.Sprintf("j-%d", 10+n)
			l.world.regions["sg-"+id] = region
			l.world.cluster(id, "sg-"+id, "203.0.113.10", "")
			tmp := as(target(id), func(t *keeper.Target) { t.Region, t.Until = region, time.Now().Add(time.Hour).Round(0) })
			l.good(keeper.Request{Targets: []keeper.Target{tmp}})
			time.Sleep(10 * time.Minute)
			if !closed {
				l.good(keeper.Request{Targets: []keeper.Target{tmp}, Release: true, Session: true})
			}
		}
		session("eu-west-1", true)
		session("eu-west-1", true)
		time.Sleep(8 * 24 * time.Hour)
		session("us-east-1", false)
		session("eu-west-1", false)
		l.want("rules before revoke", l.rules()) // the session there has given back what the others left
		_, _ = l.Round(context.Background(), keeper.Request{Release: true})
		l.want("rules after revoke", l.rules())
	})
}

// The configuration names another region now, and what was in the first is forgotten: the daemon finds it by tag, and so does
// revoke.
func TestNothingIsLeftElsewhere(t *testing.T) {
	for _, daemon := range []bool{false, true} {
		inLab(t, func(l *lab) {
			l.good(keeper.Request{})
			l.world.regions["sg-9"] = "us-east-1"
			l.world.cluster("j-9", "sg-9", "203.0.113.19", "")
			l.Targets = []keeper.Target{as(target("j-9"), func(t *keeper.Target) { t.Region = "us-east-1" })}
			time.Sleep(8 * 24 * time.Hour)
			l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
			tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour).Round(0) })
			l.good(keeper.Request{Targets: []keeper.Target{tmp}})
			l.good(keeper.Request{Targets: []keeper.Target{tmp}, Release: true, Session: true})
			if n := len(l.state().Traces); n != 1 {
				t.Fatalf("%d traces: the test is about a place that is forgotten", n)
			}
			if daemon {
				for range 4 {
					l.good(keeper.Request{})
					time.Sleep(25 * time.Hour)
				}
				if n := len(l.state().Traces); n != 0 {
					t.Errorf("%d traces", n)
				}
				l.want("rules of the daemon", l.rules(), "sgr-9-1 "+home+"/32:22 mine")
			}
			l.good(keeper.Request{Release: true})
			l.want("rules after revoke", l.rules())
		})
	}
}

// A clock that is a month ahead for one session makes nothing forgotten whose lease lives.
func TestNothingIsForgottenByAWrongClock(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.Targets = nil
		time.Sleep(time.Hour)
		l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
		l.ahead.Store(int64(30 * 24 * time.Hour))
		tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = l.wall().Add(time.Hour).Round(0) })
		places := len(l.state().Places)
		l.world.failWith(failing("open", errThrottled)) // AWS refuses what is signed by such a clock
		_, _ = l.Round(context.Background(), keeper.Request{Targets: []keeper.Target{tmp}})
		if n := len(l.state().Places); n != places {
			t.Errorf("%d places of %d after a round that failed", n, places)
		}
		l.world.failWith(nil)
		_, _ = l.Round(context.Background(), keeper.Request{Targets: []keeper.Target{tmp}})
		_, _ = l.Round(context.Background(), keeper.Request{Targets: []keeper.Target{tmp}, Release: true, Session: true})
		l.ahead.Store(0)
		time.Sleep(time.Minute)
		_, _ = l.Round(context.Background(), keeper.Request{Release: true})
		l.want("rules after revoke", l.rules())
	})
}
