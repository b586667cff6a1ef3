package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// waitHint is what to do about a cluster that is not there yet.
const waitHint = "--wait waits until it runs"

// bootTime is how long a node that runs by EMR's word may still refuse connections, with --wait.
const bootTime = 3 * time.Minute

// awaitSteps are the pauses between looks at a cluster that starts, the last one for all further ones. A start takes
// from four minutes to half an hour, and EMR's rate limits are the whole account's.
var awaitSteps = []time.Duration{2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second}

// awaiting waits for a cluster that starts. Nothing is changed meanwhile, so it may be interrupted at any time.
type awaiting struct {
	describe func(context.Context) (awsclient.Cluster, error)
	progress func(string) // each second
	tell     func(string) // once for each state
}

// run returns when the cluster runs. The error is keeper.ErrEnded for one that has ended instead, that of describe, or
// the context's. Failures that another try may mend are waited out.
func (w awaiting) run(ctx context.Context) error {
	begin, told := time.Now(), ""
	for i := 0; ; i++ {
		c, err := w.describe(ctx)
		state := strings.ToLower(c.State)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !transient(err):
			return err
		case err != nil:
			state = "not known (" + err.Error() + ")"
		case c.Ended():
			return endedError(c)
		case !c.Starting():
			return nil
		}
		if state != told {
			told = state
			w.tell(fmt.Sprintf("%s is %s; waiting until it runs (Ctrl-C gives up, nothing has been changed)", c.ID, state))
		}
		for pause := time.Now().Add(awaitSteps[min(i, len(awaitSteps)-1)]); time.Now().Before(pause) && ctx.Err() == nil; sleep(ctx, time.Second) {
			w.progress(fmt.Sprintf("%s is %s, waiting for %v", c.ID, state, time.Since(begin).Round(time.Second)))
		}
	}
}

func endedError(c awsclient.Cluster) error {
	if c.StateReason == "" {
		return fmt.Errorf("%w (%s)", keeper.ErrEnded, c.ID)
	}
	return fmt.Errorf("%w (%s): %s", keeper.ErrEnded, c.ID, c.StateReason)
}

// await waits until the cluster of a target runs. A target that is no single cluster has nothing to wait for.
func (a *app) await(ctx context.Context, t keeper.Target) error {
	a.status.say("looking up " + t.Label)
	opened, err := a.open(ctx, t.Profile, t.Region)
	if err != nil {
		return err
	}
	id, client := t.Cluster, a.client(t)
	if id == "" && t.SecurityGroup == "" {
		ids, err := cloud{client}.matching(ctx, t)
		if err != nil || len(ids) != 1 {
			return err
		}
		id = ids[0]
	}
	if id == "" {
		return nil
	}
	if who := opened.Identity(); t.Account != "" && t.Account != who.Account {
		return &keeper.AccountError{Want: t.Account, Have: who.Account}
	}
	defer a.status.clear()
	return awaiting{
		describe: func(ctx context.Context) (awsclient.Cluster, error) {
			c, err := client.Cluster(ctx, id)
			c.ID = id
			return c, err
		},
		progress: a.status.say,
		tell: func(text string) {
			a.status.clear()
			fmt.Fprintf(a.Err, "emr-accessd: %s\n", printable(text))
		},
	}.run(ctx)
}

// starting adds what helps to an error about a cluster that EMR has only begun to make.
func starting(err error) error {
	if errors.Is(err, errNoGroup) {
		return hinted{err, exitFailed, waitHint}
	}
	return err
}
