//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/bench/cron"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// cronJobs are how often the script runs. Only the time between two runs is shortened, to 5 and 6 s, and not to the same, so
// that the jobs do not go in step; a run takes what it takes.
var cronJobs = []struct {
	name  string
	real  time.Duration
	scale int
}{{"60s", time.Minute, 12}, {"5m", 5 * time.Minute, 50}}

// overtaken is how long a script may take to follow: many times its shortened interval and a run on a busy computer.
const overtaken = time.Minute

// job is a script with a security group of its own, and what plays cron for it.
type job struct {
	name  string
	real  time.Duration
	scale int
	group string
	file  string

	running sync.Mutex // held during a run
	mu      sync.Mutex
	starts  []time.Time // of the runs
}

// measureScripts measures a script of the AWS CLI that cron runs, in a world of its own and after all else: what a run takes
// of the processors must not disturb the others. It asks what its address is whatever has happened, so the router's
// address is what changes.
func measureScripts(ctx context.Context, o options, dir string, progress io.Writer) (_ []row, err error) {
	t, err := newWorld(filepath.Join(dir, "scripts"))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer func() {
		stop(nil)
		wg.Wait()
		err = errors.Join(err, t.strangers(), t.w.Close())
	}()
	var jobs []*job
	for _, c := range cronJobs {
		j := &job{name: c.name, real: c.real, scale: c.scale, file: filepath.Join(t.w.Dir, "script-"+c.name)}
		j.group = t.w.Cloud.Sim.AddGroup(t.w.Cloud.Sim.AddVPC(false), "cron-"+c.name, "the group of a script")
		if err := (cron.Script{AWS: o.aws, Group: j.group, Echo: "https://aws.lab/"}).Write(j.file); err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	for _, j := range jobs {
		wg.Go(func() {
			if err := j.run(ctx, t.w); err != nil {
				stop(fmt.Errorf("the script that runs every %s: %w", j.name, err))
			}
		})
	}
	if err := t.scripted(ctx, o.n, jobs, progress); err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	rows := make([]row, len(jobs))
	for i, j := range jobs {
		rows[i] = j.row(t)
	}
	return rows, nil
}

// run runs the script until ctx ends.
func (j *job) run(ctx context.Context, w *netlab.World) error {
	for {
		if err := wait(ctx, j.real/time.Duration(j.scale)); err != nil {
			return nil
		}
		j.running.Lock()
		j.mu.Lock()
		j.starts = append(j.starts, time.Now())
		j.mu.Unlock()
		cmd := w.Laptop.Command(ctx, "/bin/sh", j.file)
		cmd.Env = append(w.Environ(), "AWS_DEFAULT_REGION=eu-west-1", "CURL_CA_BUNDLE="+w.CAFile())
		out, err := cmd.CombinedOutput()
		j.running.Unlock()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
}

// scripted gives the router another address n times, each at a random moment after all scripts have followed.
func (t *track) scripted(ctx context.Context, n int, jobs []*job, progress io.Writer) error {
	if err := t.followed(ctx, jobs, netlab.HomeOuter.String()); err != nil {
		return err
	}
	for i := range n {
		longest := time.Duration(0)
		for _, j := range jobs {
			longest = max(longest, j.real/time.Duration(j.scale))
		}
		if err := wait(ctx, rand.N(2*longest)); err != nil {
			return err
		}
		if err := t.atRest(ctx, jobs, func() error {
			a := t.fresh(t.w.Home.Outer)
			err := t.w.Home.Readdress(a)
			t.changed(a)
			return err
		}); err != nil {
			return err
		}
		fmt.Fprintf(progress, "script change %d of %d\n", i+1, n)
		if err := t.followed(ctx, jobs, t.order[i].String()); err != nil {
			return err
		}
	}
	return nil
}

// atRest does something while no script runs. A change in the middle of a run is rare with the real intervals, and would cost the
// script's open connection; with the short ones it would be every third.
func (t *track) atRest(ctx context.Context, jobs []*job, do func() error) error {
	for {
		var held []*job
		for _, j := range jobs {
			if j.running.TryLock() {
				held = append(held, j)
			}
		}
		quiet := len(held) == len(jobs)
		var err error
		if quiet {
			err = do()
		}
		for _, j := range held {
			j.running.Unlock()
		}
		if quiet {
			return err
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// followed waits until all scripts have opened for an address, or are overtaken.
func (t *track) followed(ctx context.Context, jobs []*job, addr string) error {
	for deadline := time.Now().Add(overtaken); time.Now().Before(deadline); {
		calls := t.w.Cloud.Sim.Calls()
		if !slices.ContainsFunc(jobs, func(j *job) bool { return openedIn(calls, j.group, addr).IsZero() }) {
			return nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// openedIn is when the first call came that opened a group for an address; the zero Time if none has.
func openedIn(calls []awssim.Call, group, addr string) time.Time {
	for _, c := range calls {
		if c.Params["GroupId"] == group && slices.Contains(netlab.Opened(c), addr+"/32") {
			return c.At
		}
	}
	return time.Time{}
}

// goneIn is when the first call since a time took a rule out of a group, or moved one; the zero Time if none has.
func goneIn(calls []awssim.Call, group string, since time.Time) time.Time {
	for _, c := range calls {
		if c.Params["GroupId"] == group && c.Status == 200 && c.At.After(since) &&
			(c.Action == "RevokeSecurityGroupIngress" || c.Action == "ModifySecurityGroupRules") {
			return c.At
		}
	}
	return time.Time{}
}

// row is how soon the script has followed. The time until the run that did it is stretched to the real interval, the run is not.
func (j *job) row(t *track) row {
	short := j.real / time.Duration(j.scale)
	r := row{Who: "script of aws every " + j.name, Interval: short.String(), interval: short, Scale: j.scale}
	calls := t.w.Cloud.Sim.Calls()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range t.order {
		began := t.began[a.String()]
		opened := openedIn(calls, j.group, a.String())
		start := began
		for _, s := range j.starts {
			if s.After(began) && !s.After(opened) {
				start = s
			}
		}
		r.follow(began, start, opened, goneIn(calls, j.group, began))
	}
	return r.done()
}

// findScript finds what the script needs.
func (o *options) findScript() (err error) {
	if !o.script {
		return nil
	}
	if o.aws, err = cron.FindAWS(o.aws); err != nil {
		err = fmt.Errorf("%w; -script=false leaves it out", err)
	}
	return err
}
