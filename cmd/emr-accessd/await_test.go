package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// A cluster that starts is looked at now and then until it runs, and each state is told once.
func TestAwait(t *testing.T) {
	offline := &awsclient.Error{Kind: awsclient.Offline, Op: "elasticmapreduce:DescribeCluster", Err: errors.New("no route")}
	denied := &awsclient.Error{Kind: awsclient.Denied, Op: "elasticmapreduce:DescribeCluster", Err: errors.New("no")}
	gaveUp := errors.New("Ctrl-C")
	for name, tt := range map[string]struct {
		states []string // one a minute; the last one stays
		fails  error    // in the second minute
		cancel time.Duration
		want   error
		told   int
		least  time.Duration
	}{
		"runs already":      {states: []string{"WAITING"}},
		"starts":            {states: []string{"STARTING", "STARTING", "BOOTSTRAPPING", "RUNNING"}, told: 2, least: 3 * time.Minute},
		"fails":             {states: []string{"STARTING", "TERMINATED_WITH_ERRORS"}, told: 1, want: keeper.ErrEnded, least: time.Minute},
		"network goes":      {states: []string{"STARTING", "STARTING", "RUNNING"}, fails: offline, told: 2, least: 2 * time.Minute},
		"permission goes":   {states: []string{"STARTING", "STARTING", "RUNNING"}, fails: denied, told: 1, want: denied, least: time.Minute},
		"interrupted":       {states: []string{"STARTING"}, cancel: 90 * time.Second, told: 1, want: gaveUp, least: 90 * time.Second},
		"terminating again": {states: []string{"TERMINATING"}, want: keeper.ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, func() { cancel(gaveUp) })
				}
				begin, calls, told, progress := time.Now(), 0, []string{}, ""
				err := awaiting{
					describe: func(context.Context) (awsclient.Cluster, error) {
						calls++
						minute := int(time.Since(begin) / time.Minute)
						if minute == 1 && tt.fails != nil {
							return awsclient.Cluster{ID: "j-1"}, tt.fails
						}
						return awsclient.Cluster{ID: "j-1", State: tt.states[min(minute, len(tt.states)-1)], StateReason: "out of\ncapacity"}, nil
					},
					progress: func(s string) { progress = s },
					tell:     func(s string) { told = append(told, s) },
				}.run(ctx)
				took := time.Since(begin)
				if !errors.Is(err, tt.want) || took < tt.least || took > tt.least+awaitSteps[len(awaitSteps)-1] || len(told) != tt.told {
					t.Errorf("error %v after %v, told %q", err, took, told)
				}
				if most := 4 + int(took/awaitSteps[len(awaitSteps)-1]); calls > most {
					t.Errorf("%d calls in %v", calls, took)
				}
				if errors.Is(err, keeper.ErrEnded) && !strings.Contains(err.Error(), "capacity") {
					t.Errorf("error %v does not say why", err)
				}
				if took > time.Minute && !strings.Contains(progress, "waiting for") {
					t.Errorf("progress %q", progress)
				}
			})
		})
	}
}
