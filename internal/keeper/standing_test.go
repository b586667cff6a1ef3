package keeper_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// EMR's limits are low: as long as the primary nodes run, it is asked now and then, and never while an address waits.
func TestStanding(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*lab, *keeper.Place, *keeper.Target)
		want   bool // whether the second look was told of the place before
	}{
		"a cluster": {want: true},
		"several clusters": {change: func(_ *lab, p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.NamePattern = "", "j-1"
			p.State, p.Clusters = "", []string{"j-1", "j-2"}
		}, want: true},
		"none matches now": {change: func(_ *lab, p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.NamePattern = "", "j-1"
			*p = keeper.Place{Warnings: []string{"none"}}
		}},
		"a group": {change: func(_ *lab, p *keeper.Place, t *keeper.Target) {
			t.Cluster, t.SecurityGroup = "", "j-1"
			*p = keeper.Place{Groups: p.Groups}
		}},
		"core nodes too":    {change: func(_ *lab, _ *keeper.Place, t *keeper.Target) { t.Nodes = append(t.Nodes, "core") }},
		"it starts":         {change: func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.State = "STARTING" }},
		"it ends":           {change: func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.State = "TERMINATING" }},
		"a node starts":     {change: func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Nodes[0].State = "BOOTSTRAPPING" }},
		"IPv6 is not known": {change: func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Unclear6 = true }},
		"a warning":         {change: func(_ *lab, p *keeper.Place, _ *keeper.Target) { p.Warnings = []string{"odd"} }},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				p := l.world.places["j-1"]
				if tt.change != nil {
					tt.change(l, &p, &l.Targets[0])
				}
				l.world.places["j-1"] = p
				l.round(keeper.Request{})
				l.suspend(15 * time.Hour)
				l.v4(at(office))
				l.round(keeper.Request{})
				if was := l.world.was; len(was) != 2 || was[0].Stand || tt.want != was[1].Stand {
					t.Errorf("told of %+v, want %v", was, tt.want)
				}
			})
		})
	}
}

// A command asks EMR at each fifth look, and does without it when it is crowded.
func TestStandingOfCommands(t *testing.T) {
	inLab(t, func(l *lab) {
		for range 11 {
			l.good(keeper.Request{})
			time.Sleep(time.Minute)
		}
		for i, was := range l.world.was {
			if anew := i%(keeper.LooksOfCommand+1) == 0; anew == was.Stand {
				t.Errorf("look %d was told of %+v", i, was)
			}
		}
		for range keeper.LooksOfCommand { // the next one asks EMR
			l.good(keeper.Request{})
		}
		l.took()
		n := 0
		l.world.failWith(func(_ context.Context, call string) error {
			if call == "resolve j-1" {
				if n++; n == 1 {
					return errThrottled
				}
			}
			return nil
		})
		if rep := l.good(keeper.Request{}); len(rep.Targets[0].Warnings) > 0 {
			t.Errorf("%v", rep.Targets[0].Warnings)
		}
		if n := count(l.took(), "resolve"); n != 2 {
			t.Errorf("%d looks at the cluster, want one of EMR and one without it", n)
		}
	})
}

// The daemon's looks for drift ask EMR once in a day of looks, and those that an address waits for do not.
func TestStandingOfTheDaemon(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(30 * time.Hour)
		var anew []int
		for i, was := range l.world.was {
			if !was.Stand {
				anew = append(anew, i)
			}
		}
		if len(anew) != 2 || anew[0] != 0 || anew[1] <= keeper.LooksOfDaemon || anew[1] > keeper.LooksOfDaemon+3 { // a round that begins anew does not count
			t.Errorf("EMR was asked in looks %v, want the first and one after %d", anew, keeper.LooksOfDaemon)
		}
		d.stop()
	})
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		d.stop()
		st := l.state()
		for key, rem := range st.Places {
			rem.Place.Looks = keeper.LooksOfDaemon + 5
			st.Places[key] = rem
		}
		if err := l.Store.Save(st); err != nil {
			t.Fatal(err)
		}
		l.suspend(15 * time.Hour)
		l.v4(at(office))
		l.world.was = nil
		d = l.run()
		d.hint(ipwatch.HintAddress)
		d.sleep(time.Minute)
		if len(l.world.was) == 0 || !l.world.was[0].Stand {
			t.Errorf("in the morning EMR was asked: %+v", l.world.was)
		}
		d.stop()
		l.want("rules", l.rules(), "sgr-1-1 "+office+"/32:22 mine")
	})
}

// several is the place of a pattern that matches clusters.
func (l *lab) several(clusters ...string) keeper.Place {
	p := keeper.Place{Clusters: clusters, Uses: map[string][]string{}}
	for _, id := range clusters {
		g := "sg-" + id
		l.world.regions[g] = "eu-west-1"
		p.Groups, p.Uses[g] = append(p.Groups, g), []string{id}
		p.Nodes = append(p.Nodes, keeper.Node{Cluster: id, Instance: "i-" + id, Role: "primary", State: "RUNNING", Public4: netip.MustParseAddr("203.0.113.10")})
	}
	return p
}

// What was found of a pattern before AWS refused to go on is opened, and nothing is given back for what was not found.
func TestPartOfAPattern(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		place := func(clusters ...string) { l.world.places["etl*"] = l.several(clusters...) }
		place("1", "2")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine")

		place("1", "2", "3")
		l.world.lose = func(call string) error { return failing("resolve", errThrottled)(context.Background(), call) }
		rep := l.round(keeper.Request{})
		if err := rep.Failed(); !errors.Is(err, errThrottled) {
			t.Errorf("the round ended with %v", err)
		}
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine", "sgr-3-1 "+home+"/32:22 mine")
		l.world.lose = nil
		place("1", "3")
		l.world.was = nil
		l.good(keeper.Request{})
		if was := l.world.was[0].Place; len(was.Groups) != 3 {
			t.Errorf("the next look was told of %+v", was)
		}
		time.Sleep(sgsync.W + 2*sgsync.Sigma)
		l.good(keeper.Request{})
		l.want("rules after a whole look", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-3-1 "+home+"/32:22 mine")
	})
}

// Rules that no target leads to are looked for by tag once everything was found: the state was lost, and AWS did not describe all
// of the clusters.
func TestNoSweepOfAPart(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{})
		if err := os.Remove(filepath.Join(l.Store.Dir(), "state.json")); err != nil {
			t.Fatal(err)
		}
		part := l.several("1")
		part.Partial = true
		l.world.places["etl*"] = part
		l.world.lose = func(call string) error { return failing("resolve", errThrottled)(context.Background(), call) }
		l.round(keeper.Request{})
		l.world.lose = nil
		time.Sleep(sgsync.W + 2*sgsync.Sigma)
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine")
	})
}

// What EMR tells no more, while EC2 says that the nodes run, is a warning and no failure that comes and goes.
func TestStandingWithoutEMR(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(2 * time.Hour)
		l.world.mu.Lock()
		l.world.denyAnew = errBroken
		l.world.mu.Unlock()
		d.sleep(50 * time.Hour)
		st := l.state()
		if st.Status.LastError != "" || len(st.Status.Report.Targets[0].Warnings) != 1 {
			t.Errorf("%q, %v", st.Status.LastError, st.Status.Report.Targets[0].Warnings)
		}
		d.stop()
		for _, line := range l.told() {
			if strings.Contains(line, keeper.OutcomeFailed) || strings.Contains(line, keeper.OutcomeRecovered) {
				t.Errorf("the history says %s", line)
			}
		}
	})
}

// Behind a VPN no public address is looked at; EMR is asked in time all the same, as where another target keeps failing.
func TestStandingAlwaysAsksAtLast(t *testing.T) {
	for name, change := range map[string]func(*lab){
		"a VPN": func(l *lab) { l.Targets[0].Local = true },
		"another target fails": func(l *lab) {
			l.Targets = append(l.Targets, target("j-none"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				change(l)
				d := l.run()
				d.sleep(60 * time.Hour)
				anew := 0
				for _, was := range l.world.was {
					if !was.Stand {
						anew++
					}
				}
				d.stop()
				if anew < 2 {
					t.Errorf("EMR was asked %d times in %d looks", anew, len(l.world.was))
				}
			})
		})
	}
}

// Who gives back a pattern's rules is told when not all of its clusters were found.
func TestRevokePartOfAPattern(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{})
		time.Sleep(time.Hour)
		if err := os.Remove(filepath.Join(l.Store.Dir(), "state.json")); err != nil {
			t.Fatal(err)
		}
		part := l.several("1")
		part.Partial = true
		l.world.places["etl*"] = part
		l.world.lose = func(call string) error { return failing("resolve", errThrottled)(context.Background(), call) }
		if rep := l.round(keeper.Request{Release: true, Targets: l.Targets}); rep.Failed() == nil {
			t.Errorf("success, and left %v", l.rules())
		}
		l.world.lose = nil
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{Release: true, Targets: l.Targets})
		l.want("rules", l.rules())
	})
}

// A rule that is written for a part of a temporary target is known to the rounds after it.
func TestPartOfATemporaryPattern(t *testing.T) {
	inLab(t, func(l *lab) {
		part := l.several("1")
		part.Partial = true
		l.world.places["etl*"] = part
		l.world.lose = func(call string) error { return failing("resolve", errThrottled)(context.Background(), call) }
		session := as(target(""), func(t *keeper.Target) {
			t.Label, t.NamePattern, t.Until = "etl*", "etl*", time.Now().Add(time.Hour)
		})
		l.round(keeper.Request{Targets: []keeper.Target{session}})
		l.round(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine")
	})
}

// A failure that does not pass leaves nothing of a place, as it always was: the lease ends.
func TestPartAfterALastingFailure(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{})
		l.world.lose = func(call string) error { return failing("resolve", errBroken)(context.Background(), call) }
		l.v4(at(office))
		l.round(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine")
	})
}

// For hours AWS answers only in part: nothing is given back for it, and what it does not tell is no longer taken to be as it was.
func TestPartForHours(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		l.world.places["etl*"] = l.several("1", "2")
		l.good(keeper.Request{})
		part := l.several("1")
		part.Partial = true
		l.world.places["etl*"] = part
		l.world.lose = func(call string) error { return failing("resolve", errThrottled)(context.Background(), call) }
		for range 13 {
			l.round(keeper.Request{})
			time.Sleep(time.Hour)
		}
		l.round(keeper.Request{})
		if first, last := l.world.was[1], l.world.was[len(l.world.was)-1]; !first.Keep || last.Keep {
			t.Errorf("kept at first: %v, after 13 hours: %v", first.Keep, last.Keep)
		}
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine")
	})
}

// A list that AWS has refused once is asked for in the next round, and not only at the next look for drift.
func TestRefusedListIsAskedForAgain(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		l.Keeper.Targets[0].Cluster, l.Keeper.Targets[0].NamePattern = "", "etl*"
		l.world.places["etl*"] = l.several("1")
		d := l.run()
		d.sleep(time.Minute)
		unlisted := l.several("1")
		unlisted.Unlisted = true
		var refused time.Time
		l.world.mu.Lock()
		l.world.places["etl*"] = unlisted
		l.world.lose = func(call string) error {
			if !strings.HasPrefix(call, "resolve") {
				return nil
			}
			l.world.mu.Lock()
			defer l.world.mu.Unlock()
			refused = time.Now()
			l.world.places["etl*"], l.world.lose = l.several("1", "2"), nil // refused once; a new cluster is there
			return errThrottled
		}
		l.world.mu.Unlock()
		d.sleep(45 * time.Minute)
		d.stop()
		for _, at := range l.world.times {
			if strings.HasPrefix(at.call, "authorize sg-2") && at.at.Sub(refused) > 10*time.Minute {
				t.Errorf("the new cluster was found %v after the refusal", at.at.Sub(refused))
			}
		}
		l.want("rules", l.rules(), "sgr-1-1 "+home+"/32:22 mine", "sgr-2-1 "+home+"/32:22 mine")
	})
}

// A state that somebody has edited cannot keep EMR from being asked.
func TestLooksOfAnEditedState(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		st := l.state()
		for key, rem := range st.Places {
			rem.Place.Looks = -1 << 40
			st.Places[key] = rem
		}
		if err := l.Store.Save(st); err != nil {
			t.Fatal(err)
		}
		for _, rem := range l.state().Places {
			if rem.Place.Looks < 0 {
				t.Errorf("%d looks", rem.Place.Looks)
			}
		}
	})
}
