package keeper_test

import (
	"context"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A new rule of a colleague's may show before his lease on it does. Who joins it then and gives it back at once
// waits until all that it was made with shows, and does not take it away from under him.
func TestReleaseOfARuleThatWasJoinedAMomentAgo(t *testing.T) {
	release := func(l *lab) keeper.Report { return l.good(keeper.Request{Release: true}) }
	mine := func(l *lab) keeper.Report {
		rep, err := l.ReleaseMine(context.Background(), nil, false)
		if err != nil || rep.Failed() != nil {
			l.Fatal(err, rep.Failed())
		}
		return rep
	}
	for name, give := range map[string]func(*lab) keeper.Report{"revoke": release, "revoke --all-mine": mine} {
		for name2, shows := range map[string]bool{"a lease shows later": true, "there is none": false} {
			t.Run(name+"/"+name2, func(t *testing.T) {
				inLab(t, func(l *lab) {
					bob := bobs(time.Hour)
					l.world.put("sg-1", home+"/32", bob[:2]...)
					l.good(keeper.Request{})
					l.want("joined", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
					if shows {
						time.AfterFunc(2*time.Second, func() {
							l.world.edit("sgr-1-1", func(r *sgsync.Rule) bool { r.Tags[bob[2]] = bob[3]; return true })
						})
					}
					start := time.Now()
					give(l)
					if shows {
						l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 bob@desk")
					} else {
						l.want("rules", l.rules())
					}
					if took := time.Since(start); took > sgsync.D {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// Who has gone on meanwhile comes back to such a rule by itself, also when the target has left the configuration.
func TestLeavingARuleThatWasJoinedAMomentAgo(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", home+"/32", bobs(time.Hour)[:2]...)
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.good(keeper.Request{})
		l.Targets = []keeper.Target{target("j-2")}
		l.v4(at(office))
		l.good(keeper.Request{})
		l.want("held for now", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-2-1 192.0.2.2/32:22 mine")
		due := l.state().Status.NextRound
		if d := time.Until(due); d > sgsync.D {
			t.Errorf("the next round is in %v", d)
		}
		time.Sleep(time.Until(due))
		l.good(keeper.Request{})
		l.want("in the end", l.rules(), "sgr-2-1 192.0.2.2/32:22 mine")
	})
}
