package keeper_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Another installation of the same user moves a rule at the moment at which this one joins it, and reads lag behind:
// nobody's disk was copied. Found by the team test, as a new installation id and a lease left behind.
func TestJoinedRuleIsMoved(t *testing.T) {
	inLab(t, func(l *lab) {
		other := sgsync.Holder{UserID: "AIDAALICE", Installation: "a2"}
		id := l.world.put("sg-1", home+"/32", sgsync.OwnerTag, "AIDAALICE", other.Key(), sgsync.FormatLease(time.Now().Add(time.Hour), time.Now(), "alice@desk"))
		time.Sleep(time.Minute)
		before := l.key()
		l.world.lag = 4 * time.Second
		moved := false
		l.world.failWith(func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "tag "+id) && !moved {
				moved = true
				l.world.edit(id, func(r *sgsync.Rule) bool { r.CIDR = prefixes(train + "/32")[0]; return true })
			}
			return nil
		})
		for range 20 {
			if rep := l.round(keeper.Request{}); len(rep.Warnings) > 0 {
				t.Fatalf("warned: %q", rep.Warnings)
			}
			time.Sleep(5 * time.Second)
		}
		if !moved || l.key() != before {
			t.Errorf("moved %v; the installation was %s and is %s", moved, before, l.key())
		}
		l.want("rules", l.rules(), id+" "+train+"/32:22 alice@desk", "sgr-1-2 "+home+"/32:22 mine")
	})
}

// A lease that has ended protects nothing: the rule may be elsewhere when its laptop wakes.
func TestEndedRuleIsMoved(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(25 * time.Hour) // asleep
		before := l.key()
		other := sgsync.Holder{UserID: "AIDAALICE", Installation: "a2"}
		l.world.edit("sgr-1-1", func(r *sgsync.Rule) bool {
			r.CIDR = prefixes(train + "/32")[0]
			r.Tags[other.Key()] = sgsync.FormatLease(time.Now().Add(time.Hour), time.Now(), "alice@desk")
			return true
		})
		for range 5 {
			if rep := l.good(keeper.Request{}); len(rep.Warnings) > 0 {
				t.Fatalf("warned: %q", rep.Warnings)
			}
			time.Sleep(20 * time.Second)
		}
		if l.key() != before {
			t.Errorf("the installation was %s and is %s", before, l.key())
		}
		l.want("rules", l.rules(), "sgr-1-1 "+train+"/32:22 alice@desk", "sgr-1-2 "+home+"/32:22 mine")
	})
}
