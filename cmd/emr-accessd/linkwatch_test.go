package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// sees is the report of a round that has found this address; "" for none that is certain.
func sees(addr string) keeper.Report {
	state := ipwatch.Confirmed
	if addr == "" {
		state = ipwatch.Unsure
	}
	return keeper.Report{Targets: []keeper.TargetReport{{Verdicts: map[string]keeper.Verdict{"ipv4": {State: string(state), Address: addr}}}}}
}

// What is told of the address under a session: a change once, and nothing while it is not known; then it is looked again, until it is.
func TestLinkWatch(t *testing.T) {
	for name, tt := range map[string]struct {
		rounds []keeper.Report // the last one stays
		errs   []error         // in place of the first rounds
		hints  int             // one a minute
		told   string
		made   int
	}{
		"the same address":       {rounds: []keeper.Report{sees("198.51.100.7")}, hints: 3, made: 3},
		"another one":            {rounds: []keeper.Report{sees("203.0.113.9")}, hints: 2, made: 2, told: "your address is 203.0.113.9 now"},
		"not known at first":     {rounds: []keeper.Report{sees(""), sees(""), sees("203.0.113.9")}, hints: 1, made: 3, told: "your address is 203.0.113.9 now"},
		"never known":            {rounds: []keeper.Report{sees("")}, hints: 1, made: 1 + len(lookAgain)},
		"AWS is not reached":     {errs: []error{errors.New("offline")}, rounds: []keeper.Report{sees("203.0.113.9")}, hints: 1, made: 2, told: "your address is 203.0.113.9 now"},
		"paused":                 {errs: []error{keeper.ErrPaused}, rounds: []keeper.Report{sees("203.0.113.9")}, hints: 1, made: 1},
		"revoked":                {errs: []error{keeper.ErrRevoked, keeper.ErrRevoked}, rounds: []keeper.Report{sees("203.0.113.9")}, hints: 2, made: 2, told: keeper.ErrRevoked.Error()},
		"there and back":         {rounds: []keeper.Report{sees("203.0.113.9"), sees("198.51.100.7")}, hints: 2, made: 2, told: "your address is 203.0.113.9 now\nyour address is 198.51.100.7 now"},
		"only the system's news": {rounds: []keeper.Report{sees("203.0.113.9")}, hints: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				made := 0
				hints := make(chan ipwatch.Hint, 1)
				w := &linkWatch{blind: true, news: make(chan struct{}, 1), addresses: []string{"198.51.100.7"},
					say:   func(f string, a ...any) { told = append(told, fmt.Sprintf(f, a...)) },
					hints: func(context.Context) (<-chan ipwatch.Hint, error) { return hints, nil },
					round: func(context.Context) (keeper.Report, error) {
						made++
						if made <= len(tt.errs) {
							return keeper.Report{}, tt.errs[made-1]
						}
						return tt.rounds[min(made-len(tt.errs)-1, len(tt.rounds)-1)], nil
					}}
				stop := w.start(t.Context())
				time.Sleep(watchDelay)
				hints <- ipwatch.Hint{Kind: ipwatch.HintStatus}
				for range tt.hints {
					hints <- ipwatch.Hint{Kind: ipwatch.HintLink}
					time.Sleep(3 * time.Minute)
				}
				synctest.Wait()
				close(hints)
				stop()
				got := strings.NewReplacer("; the rule admits it", "", "; emr-accessd connect or sync brings it back", "").Replace(strings.Join(told, "\n"))
				if got != tt.told || made != tt.made {
					t.Errorf("told %q with %d rounds, want %q with %d", got, made, tt.told, tt.made)
				}
				if len(w.news) != min(tt.hints, 1) {
					t.Errorf("%d news", len(w.news))
				}
			})
		})
	}
}

// A session that is over before the network is watched costs nothing, and its end waits for nobody.
func TestLinkWatchOfAShortSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &linkWatch{hints: func(context.Context) (<-chan ipwatch.Hint, error) {
			t.Error("the network is watched")
			return nil, errors.New("no")
		}}
		stop := w.start(t.Context())
		time.Sleep(watchDelay / 2)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 0 {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestOwnAddress(t *testing.T) {
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}:   true,
		&net.TCPAddr{IP: net.IPv4(127, 9, 9, 9)}:   true,
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 123)}: false,
		&net.UnixAddr{Name: "x"}:                   true,
	} {
		if got := ownAddress(addr); got != want {
			t.Errorf("%v: %v", addr, got)
		}
	}
}
