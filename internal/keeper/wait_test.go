package keeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Whose move found no room waits for access still: the first pauses are short.
func TestCrowdedMove(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		d := l.run()
		d.sleep(5 * time.Minute)
		l.world.failWith(failing("modify", errors.Join(errThrottled, sgsync.ErrRefused)))
		l.v4(at(office))
		d.hint(ipwatch.HintAddress)
		d.sleep(15 * time.Second)
		if n := l.state().Crowded; n == 0 {
			t.Fatal("nothing failed")
		}
		l.world.failWith(nil)
		d.sleep(40 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 "+office+"/32:22 mine")
		d.stop()
	})
}

// One cluster admits the address, another has no room: its user waits all the same.
func TestCrowdedGroup(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
		l.Keeper.Targets = append(l.Keeper.Targets, target("j-2"))
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		l.world.failWith(failing("authorize sg-2", errors.Join(errThrottled, sgsync.ErrRefused)))
		d := l.run()
		d.sleep(40 * time.Second) // past the look after the last call
		if n := l.state().Crowded; n == 0 {
			t.Fatal("nothing failed")
		}
		l.world.failWith(nil)
		d.sleep(time.Minute)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-2-1 192.0.2.1/32:22 mine")
		d.stop()
	})
}

// A full rule is joined once an ended lease has gone: when that fails, it is not the others' business but ours.
func TestRoomFails(t *testing.T) {
	inLab(t, func(l *lab) {
		tags := bobs(20 * time.Hour)
		gone := sgsync.Holder{UserID: "AIDADAVE", Installation: "d"}
		tags = append(tags, gone.Key(), sgsync.FormatLease(time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour), "dave@gone"))
		for i := len(tags) / 2; i < sgsync.MaxTags; i++ {
			tags = append(tags, "t"+strings.Repeat("x", i), "")
		}
		l.world.put("sg-1", "192.0.2.1/32", tags...)
		l.world.failWith(func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "untag") {
				return errors.Join(errThrottled, sgsync.ErrRefused)
			}
			return nil
		})
		if rep := l.round(keeper.Request{}); rep.Failed() == nil {
			t.Errorf("nothing failed, and there is no lease: %v", l.rules())
		}
	})
}

// A look at the address between two rounds in a crowded account does not end the saving of calls.
func TestCrowdedCheck(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		l.world.failWith(failing("authorize", errors.Join(errThrottled, sgsync.ErrRefused)))
		d := l.run()
		for range 20 {
			d.sleep(30 * time.Second)
			d.hint(ipwatch.HintTimer)
		}
		d.sleep(5 * time.Second)
		if n := count(l.took(), "resolve"); n != 1 {
			t.Errorf("%d looks at the cluster, want the first", n)
		}
		d.stop()
	})
}

// A cluster that has ended, the first of the configuration, hides from nobody that AWS has no room for the second.
func TestCrowdedBesideEnded(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
		l.Keeper.Targets = append(l.Keeper.Targets, target("j-2"))
		p := l.world.places["j-1"]
		p.Ended, p.State = true, "TERMINATED"
		l.world.places["j-1"] = p
		l.Crowded = func(err error) bool { return errors.Is(err, errThrottled) }
		l.world.failWith(failing("rules sg-2", errThrottled))
		d := l.run()
		d.sleep(15 * time.Second)
		if n := l.state().Crowded; n == 0 {
			t.Error("the account does not count as crowded")
		}
		d.stop()
	})
}

// What others have left behind comes before our own rule: when that cannot be removed ours still stands, and is not forgotten.
func TestLeavingBehindOthers(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.world.cluster("j-2", "sg-2", "203.0.113.11", "")
		l.Keeper.Targets = []keeper.Target{target("j-2")}
		time.Sleep(30 * time.Second)
		gone := sgsync.Holder{UserID: "AIDADAVE", Installation: "d"}
		l.world.put("sg-1", "192.0.2.0/32", sgsync.OwnerTag, "AIDADAVE", gone.Key(), sgsync.FormatLease(time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour), "dave@gone"))
		l.world.failWith(failing("revoke", errors.Join(errThrottled, sgsync.ErrRefused)))
		l.good(keeper.Request{}) // for the targets that there are
		l.world.failWith(nil)
		time.Sleep(20 * time.Minute)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-2-1 192.0.2.1/32:22 mine")
	})
}
