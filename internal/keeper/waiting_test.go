package keeper_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// While AWS has no answer, only who has no access is in a hurry: a rule that is borrowed or shared admits too, and one for
// another port does not.
func TestWhoWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*lab)
		waits  bool
	}{
		"an own rule":         {func(*lab) {}, false},
		"a borrowed one":      {func(l *lab) { l.world.put("sg-1", home+"/32") }, false},
		"one that was joined": {func(l *lab) { l.world.put("sg-1", home+"/32", bobs(time.Hour)...) }, false},
		"none for the other port": {func(l *lab) {
			l.Targets = append(l.Targets, as(target("j-1"), func(t *keeper.Target) { t.Port = 2222 }))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				tt.before(l)
				l.world.fail = func(_ context.Context, call string) error {
					if strings.HasPrefix(call, "authorize") && strings.HasSuffix(call, " 2222") {
						return errThrottled
					}
					return nil
				}
				l.round(keeper.Request{})
				l.world.fail = failing("rules sg-1", errThrottled)
				for range 12 {
					l.round(keeper.Request{})
				}
				pause := l.state().Status.NextRound.Sub(l.wall())
				if waits := pause < 2*time.Minute; waits != tt.waits {
					t.Errorf("looks again in %v", pause)
				}
			})
		})
	}
}
