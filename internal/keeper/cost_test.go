package keeper_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

var costOf = flag.Int("cost", 40, "the largest number of clusters in TestCostOfARound")

// cost is what a round took.
type cost struct {
	calls, writes, rounds int
	whole                 int // states that were saved whole before the last call
	took                  time.Duration
}

// TestCostOfARound: what a round asks of AWS grows no faster than the clusters, and how long it takes is what four calls at
// a time take, however many regions and accounts there are. Each call but the sign-in takes 40 ms, in virtual time.
//
//	go test ./internal/keeper -run '^TestCostOfARound$' -v -cost 1000
//
// With a thousand, the look at the own address gets too old to write on in the middle of a round, and the next one goes on.
// A cluster is found in one call here; with AWS that takes up to three.
func TestCostOfARound(t *testing.T) {
	const roundTrip = 40 * time.Millisecond
	for _, n := range []int{1, 10, 40, 100, 1000} {
		if n > *costOf {
			break
		}
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.world.users["second"] = keeper.Identity{Account: "444455556666", UserID: "AIDASECOND", ARN: "arn:aws:iam::444455556666:user/alice"}
			slow := func(_ context.Context, call string) error {
				if !strings.HasPrefix(call, "open") { // others wait for it at a mutex, for which virtual time does not pass
					time.Sleep(roundTrip)
				}
				l.world.mu.Lock()
				l.world.past = nil // what was there before is only for reads that lag
				l.world.mu.Unlock()
				return nil
			}
			whole := 0 // states that calls were made under
			var was os.FileInfo
			l.world.fail = func(ctx context.Context, call string) error {
				l.world.mu.Lock()
				if is, err := os.Stat(l.Store.Path("state.json")); err == nil && !os.SameFile(was, is) {
					was, whole = is, whole+1
				}
				l.world.mu.Unlock()
				return slow(ctx, call)
			}
			l.Keeper.Targets = nil
			for i := range n {
				region := []string{"eu-west-1", "us-east-1", "ap-south-1"}[i%3]
				id := fmt.Sprintf("j-%d", i)
				l.world.regions["sg-"+id] = region
				l.world.cluster(id, "sg-"+id, "203.0.113.10", "")
				l.Keeper.Targets = append(l.Keeper.Targets, as(target(id), func(t *keeper.Target) {
					t.Region, t.Profile = region, []string{"", "second"}[i/3%2]
				}))
			}
			measure := func() cost {
				l.took()
				whole = 0
				began, rounds := time.Now(), 1
				for err := l.round(keeper.Request{}).Failed(); err != nil; err = l.round(keeper.Request{}).Failed() {
					if rounds++; n < 1000 || !errors.Is(err, sgsync.ErrAddressOld) || rounds > 4 {
						t.Fatal(err)
					}
				}
				calls := l.took()
				return cost{len(calls), len(writes(calls)), rounds, whole, time.Since(began)}
			}
			first := measure()
			time.Sleep(sgsync.Sigma)
			idle := measure()
			l.v4(at(office))
			change := measure()
			t.Logf("%4d clusters: first %d calls (%d write), %v, %d rounds; idle %d, %v; another address %d (%d write), %v, %d rounds",
				n, first.calls, first.writes, first.took, first.rounds, idle.calls, idle.took, change.calls, change.writes, change.took, change.rounds)

			if first.rounds+change.rounds > 2 { // each reads everything again
				return
			}
			places := min(n, 6) // a region of an account: signed in once a round, and swept once
			for what, c := range map[string]struct {
				cost
				calls, writes int
			}{"first": {first, 3*n + 2*places, n}, "idle": {idle, 2*n + 2*places, 0}, "another address": {change, 3*n + 2*places, n}} {
				if c.cost.calls > c.calls || c.cost.writes != c.writes {
					t.Errorf("%d clusters, %s: %d calls, %d of them writes; want %d at most, and %d", n, what, c.cost.calls, c.cost.writes, c.calls, c.writes)
				}
				if c.whole > 3 { // the one before the round, and one for each megabyte of lines
					t.Errorf("%d clusters, %s: the state was saved whole %d times", n, what, c.whole)
				}
				// Four at a time, and some of each phase alone.
				if limit := roundTrip * time.Duration((c.calls+3)/4+2*places+6); c.took > limit {
					t.Errorf("%d clusters, %s: took %v, want %v at most", n, what, c.took, limit)
				}
			}
			if got := len(l.rules()); got != n || !strings.Contains(l.rules()[0], office) {
				t.Errorf("%d rules for %d clusters, the first %s", got, n, l.rules()[0])
			}
		})
	}
}
