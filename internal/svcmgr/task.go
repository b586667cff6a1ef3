package svcmgr

import (
	"context"
	"errors"
	"os"

	"github.com/emr-accessd/emr-accessd/packaging"
)

// Task is the Task Scheduler of Windows, with a task that starts when the user logs on. Its tool speaks the user's
// language, so nothing is concluded from what it says.
type Task struct {
	Run     Runner
	Name    string // of the task; all users share one folder
	SID     string // of the user
	EnvFile string // where the variables go: a task has no environment of its own
	// Running reports whether the daemon runs.
	Running func() bool
}

var _ Manager = (*Task)(nil)

// Describe implements [Manager].
func (t *Task) Describe() string { return "a task that starts when you log on (Task Scheduler)" }

// More implements [Manager].
func (t *Task) More() string { return `schtasks /query /v /fo list /tn "` + t.Name + `"` }

// Journal implements [Manager].
func (t *Task) Journal(int, bool) []string { return nil }

func (t *Task) schtasks(ctx context.Context, verb string, args ...string) (string, error) {
	return t.Run(ctx, "schtasks.exe", append([]string{verb, "/tn", t.Name}, args...)...)
}

// Install implements [Manager].
func (t *Task) Install(ctx context.Context, p Params) error {
	env := map[string]string{}
	for _, more := range []map[string]string{p.Env, p.Secret} {
		for k, v := range more {
			env[k] = v
		}
	}
	args := packaging.FileArgs()
	if len(env) > 0 {
		args = append(args, "--env-file", t.EnvFile)
	}
	text, err := packaging.LogonTask(packaging.TaskParams{Executable: p.Program, Args: args, SID: t.SID})
	if err != nil {
		return err
	}
	before, err := t.Run(ctx, "schtasks.exe", "/query", "/tn", t.Name, "/xml")
	had := err == nil
	c := &change{}
	return c.end(func() error {
		if err := c.secret(t.EnvFile, env); err != nil {
			return err
		}
		if had {
			_, _ = t.schtasks(ctx, "/end") // fails when it does not run
		}
		c.onFailure(func() {
			ctx := context.WithoutCancel(ctx)
			if had {
				_ = t.create(ctx, before)
				_, _ = t.schtasks(ctx, "/run")
			} else {
				_, _ = t.schtasks(ctx, "/delete", "/f")
			}
		})
		p.starting()
		if err := t.create(ctx, text); err != nil {
			return err
		}
		_, err := t.schtasks(ctx, "/run")
		return err
	}())
}

// create makes or replaces the task.
func (t *Task) create(ctx context.Context, text string) error {
	f, err := os.CreateTemp("", "emr-accessd-*.xml")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(packaging.UTF16(text))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = t.schtasks(ctx, "/create", "/xml", f.Name(), "/f")
	return err
}

// Uninstall implements [Manager].
func (t *Task) Uninstall(ctx context.Context) error {
	if !t.installed(ctx) {
		return removed(os.Remove(t.EnvFile))
	}
	_, _ = t.schtasks(ctx, "/end")
	_, err := t.schtasks(ctx, "/delete", "/f")
	return errors.Join(err, removed(os.Remove(t.EnvFile)))
}

func (t *Task) installed(ctx context.Context) bool {
	_, err := t.schtasks(ctx, "/query")
	return err == nil
}

// Start implements [Manager].
func (t *Task) Start(ctx context.Context) error { return t.control(ctx, "/run") }

// Stop implements [Manager]. Windows ends the program without asking it; its next round repairs what that left.
func (t *Task) Stop(ctx context.Context) error { return t.control(ctx, "/end") }

// Restart implements [Manager].
func (t *Task) Restart(ctx context.Context) error { return t.control(ctx, "/end", "/run") }

func (t *Task) control(ctx context.Context, verbs ...string) error {
	if !t.installed(ctx) {
		return ErrNotInstalled
	}
	for i, verb := range verbs {
		if _, err := t.schtasks(ctx, verb); err != nil && i == len(verbs)-1 { // the end of what does not run is no failure
			return err
		}
	}
	return nil
}

// State implements [Manager].
func (t *Task) State(ctx context.Context) (State, error) {
	st := State{Installed: t.installed(ctx), Active: t.Running()}
	if st.Installed {
		st.File = t.Name
	}
	return st, nil
}
