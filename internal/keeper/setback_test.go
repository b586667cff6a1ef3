package keeper_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// What a killed round has announced is not forgotten when the clock is set back: a revoke waits until it is certain.
func TestKilledBeforeTheClockIsSetBack(t *testing.T) {
	for _, back := range []time.Duration{0, time.Second, 3 * time.Second, 9 * time.Second} {
		for n := range 6 {
			inLab(t, func(l *lab) {
				l.good(keeper.Request{})
				time.Sleep(30 * time.Hour) // the lease has ended, and is renewed
				l.kill(keeper.Request{}, n, false)
				l.ahead.Add(-int64(back))
				l.good(keeper.Request{Release: true})
				l.want(fmt.Sprintf("rules, killed at call %d, by a clock that was set back %v", n, back), l.rules())
			})
		}
	}
}

// The state was damaged and reads lag: a rule that is moved again then is seen at its earlier places for some time, of which nothing
// is known any more. That is no clone.
func TestMovesAfterADamagedState(t *testing.T) {
	for pause := range 25 {
		inLab(t, func(l *lab) {
			l.good(keeper.Request{})
			key := l.key()
			time.Sleep(time.Minute)
			l.world.lag = 9 * time.Second
			for _, a := range []string{office, train} {
				l.v4(at(a))
				l.round(keeper.Request{})
				time.Sleep(time.Second)
			}
			if err := os.WriteFile(l.Store.Path("state.json"), []byte("{"), 0o600); err != nil {
				l.Fatal(err)
			}
			l.round(keeper.Request{})
			time.Sleep(time.Duration(pause) * time.Second)
			for _, a := range []string{home, office, train, home} {
				l.v4(at(a))
				l.round(keeper.Request{})
				time.Sleep(2 * time.Second)
			}
			for range 40 {
				l.round(keeper.Request{})
				time.Sleep(time.Second)
			}
			if st, _ := l.Store.Load(); st.Installation != "" {
				l.Fatalf("after %d s: another installation than %s", pause, key)
			}
			l.good(keeper.Request{})
			l.want("rules", withoutIDs(l.rules()), "192.0.2.1/32:22 mine")
		})
	}
}

// What is read while nothing is known of where rules were is not learnt, also where nothing is moved then, since the address is not known.
func TestNothingIsLearntFromLateReads(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.world.lag = 9 * time.Second
		l.v4(at(office))
		l.good(keeper.Request{})
		if err := os.WriteFile(l.Store.Path("state.json"), []byte("{"), 0o600); err != nil {
			l.Fatal(err)
		}
		l.v4(sight{state: ipwatch.Conflict})
		for range 4 {
			time.Sleep(2 * time.Second)
			l.round(keeper.Request{}) // reads show the rule at home until 9 s have passed
		}
		time.Sleep(time.Minute)
		l.v4(at(office))
		l.good(keeper.Request{})
		if st, _ := l.Store.Load(); st.Installation != "" {
			l.Error("another installation")
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
	})
}

// Nor is it a clone what a killed round has moved, when the address changes again before reads show that.
func TestMovesAfterAKilledRound(t *testing.T) {
	for i := range 16 {
		for lag := range 3 {
			inLab(t, func(l *lab) {
				l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
				l.Targets = append(l.Targets, target("j-2"))
				l.good(keeper.Request{})
				time.Sleep(time.Minute)
				l.world.lag = time.Duration(lag) * 4 * time.Second
				l.v4(at(office))
				l.kill(keeper.Request{}, i/2, i%2 == 1)
				for _, a := range []string{train, home, office, train, home} {
					time.Sleep(time.Second)
					l.v4(at(a))
					l.round(keeper.Request{})
				}
				for range 40 {
					l.round(keeper.Request{})
					time.Sleep(time.Second)
				}
				if st, _ := l.Store.Load(); st.Installation != "" {
					l.Errorf("killed at call %d, reads %v old: another installation", i/2, l.world.lag)
				}
				time.Sleep(2 * keeper.FlipHold) // what flips is held
				l.good(keeper.Request{})
				l.want("rules", withoutIDs(l.rules()), "192.0.2.1/32:22 mine", "192.0.2.1/32:22 mine")
			})
		}
	}
}

// The clock is set back between two own writes: the first one is not laid over reads longer than the second.
func TestClockSetBackBetweenWrites(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.ahead.Add(-int64(3 * time.Second))
		l.good(keeper.Request{Release: true})
		time.Sleep(sgsync.Sigma + 2*time.Second)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
	})
}
