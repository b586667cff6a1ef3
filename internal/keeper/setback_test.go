package keeper_test

import (
	"fmt"
	"testing"
	"time"

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
