package keeper_test

import (
	"context"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// Two copies of one disk that look often, as in networks that keep changing, notice each other all the same: where a rule is read
// a moment after the own move of it is not taken for a place of one's own.
func TestTwoHastyClones(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		other := l.copied()
		time.Sleep(time.Minute)
		l.v4(at(train))
		l.world.lag = 3 * time.Second // each moves the rule before it sees the other's move
		round := func(k *keeper.Keeper) {
			if rep, err := k.Round(context.Background(), keeper.Request{}); err != nil || rep.Failed() != nil {
				t.Log(err, rep.Failed())
			}
		}
		round(l.Keeper)
		round(other)
		l.world.lag = 0
		for range 2 {
			time.Sleep(4 * time.Second)
			round(l.Keeper)
			time.Sleep(time.Second)
			round(other)
		}
		l.world.calls = nil
		for range 5 {
			time.Sleep(11 * time.Second)
			round(l.Keeper)
			time.Sleep(11 * time.Second)
			round(other)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 alice@laptop", "sgr-1-2 192.0.2.3/32:22 mine")
	})
}
