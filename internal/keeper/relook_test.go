package keeper_test

import (
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// After a write the rules are read once more when every read shows it. A round in between, which an event asked for, reads
// too early for that, and does not put it off until the next look for drift.
func TestLookAgainSurvivesRounds(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		wrote := l.wall()
		for range 3 {
			time.Sleep(3 * time.Second)
			l.good(keeper.Request{})
			if next := l.state().Status.NextRound.Sub(wrote); next > sgsync.Sigma+time.Second {
				t.Errorf("%v after the write, the next round is due %v after it", l.wall().Sub(wrote), next)
			}
		}
		time.Sleep(3 * time.Second)
		l.good(keeper.Request{})
		if next := l.state().Status.NextRound.Sub(l.wall()); next < keeper.DriftCheck/2 {
			t.Errorf("afterwards, the next round is due in %v", next)
		}
	})
}
