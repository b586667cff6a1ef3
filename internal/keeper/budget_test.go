package keeper_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// However many targets, profiles and regions there are: at most four calls are under way at once, because the limits
// of EC2 and EMR are those of the account, and others live by them too.
func TestBudgetOfCalls(t *testing.T) {
	for name, act := range map[string]func(l *lab){
		"round": func(l *lab) { l.good(keeper.Request{}) },
		"sweep": func(l *lab) {
			if err := l.sweepEnded(keeper.SweepRequest{}).Failed(); err != nil {
				l.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.Targets = nil
				for i := range 20 {
					profile := fmt.Sprintf("p%d", i%5)
					l.world.users[profile] = l.world.users[""]
					id, group := fmt.Sprintf("j-%02d", i), fmt.Sprintf("sg-%02d", i)
					l.world.cluster(id, group, "203.0.113.10", "")
					l.Targets = append(l.Targets, as(target(id), func(t *keeper.Target) { t.Profile = profile }))
				}
				var mu sync.Mutex
				now, most := 0, 0
				l.world.failWith(func(_ context.Context, call string) error {
					if strings.HasPrefix(call, "open") {
						return nil // others wait for it at a mutex, which stops the time of the bubble
					}
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(10 * time.Millisecond)
					mu.Lock()
					now--
					mu.Unlock()
					return nil
				})
				act(l)
				if most != 4 {
					t.Errorf("%d calls were under way at once", most)
				}
			})
		})
	}
}
