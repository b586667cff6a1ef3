package svcmgr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/packaging"
)

// Launchd is the manager of macOS, for agents in the user's graphical session.
type Launchd struct {
	Run   Runner
	Label string
	File  string // ~/Library/LaunchAgents/LABEL.plist
	UID   int
	// Service makes the part of kardianos/service for a property list's text: it writes and removes the file, and knows
	// the old verbs load and unload.
	Service func(text string) (Service, error)
	// Retry is the pause before a bootstrap is tried again: a bootout ends in the background.
	Retry time.Duration
}

var _ Manager = (*Launchd)(nil)

// bootstraps is how often a bootstrap is tried.
const bootstraps = 20

// Describe implements [Manager].
func (l *Launchd) Describe() string { return "a LaunchAgent of your user" }

// More implements [Manager].
func (l *Launchd) More() string { return "launchctl print " + l.target() }

// Journal implements [Manager].
func (l *Launchd) Journal(int, bool) []string { return nil }

func (l *Launchd) domain() string { return fmt.Sprintf("gui/%d", l.UID) }
func (l *Launchd) target() string { return l.domain() + "/" + l.Label }

// Install implements [Manager].
func (l *Launchd) Install(ctx context.Context, p Params) error {
	env := map[string]string{}
	for _, more := range []map[string]string{p.Env, p.Secret} {
		for k, v := range more {
			env[k] = v
		}
	}
	if err := mayReplace(l.File); err != nil {
		return err
	}
	text, err := packaging.LaunchAgent(packaging.UnitParams{Executable: p.Program, Label: l.Label, Env: env})
	if err != nil {
		return err
	}
	svc, err := l.Service(text)
	if err != nil {
		return err
	}
	before, err := l.State(ctx)
	if err != nil {
		return err
	}
	c := &change{}
	c.onFailure(func() { // the file is that of before
		if before.Active {
			_ = l.load(context.WithoutCancel(ctx), svc)
		}
	})
	return c.end(func() error {
		if before.Active {
			l.unload(ctx, svc)
		}
		p.starting()
		if err := c.remove(l.File); err != nil {
			return err
		}
		if err := svc.Install(); err != nil { // writes the file, which must not be there
			return err
		}
		if err := os.Chmod(l.File, 0o600); err != nil { // a proxy's password may stand in it
			return err
		}
		c.onFailure(func() { l.unload(context.WithoutCancel(ctx), svc) })
		return l.load(ctx, svc)
	}())
}

// load makes launchd know the file, and starts what it says. Old systems know load alone.
func (l *Launchd) load(ctx context.Context, svc Service) error {
	_, _ = l.Run(ctx, "launchctl", "enable", l.target()) // somebody may have disabled it
	var err error
	for i := range bootstraps {
		if i > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(l.Retry):
			}
		}
		if _, err = l.Run(ctx, "launchctl", "bootstrap", l.domain(), l.File); err == nil {
			return nil
		}
		if !strings.Contains(err.Error(), "in progress") && !strings.Contains(err.Error(), "Bootstrap failed: 5:") {
			break
		}
	}
	if old := svc.Start(); old != nil {
		return errors.Join(err, old)
	}
	return nil
}

func (l *Launchd) unload(ctx context.Context, svc Service) {
	if _, err := l.Run(ctx, "launchctl", "bootout", l.target()); err != nil {
		_ = svc.Stop() // unload; it may not be loaded at all
	}
}

// Uninstall implements [Manager].
func (l *Launchd) Uninstall(ctx context.Context) error {
	if err := mayReplace(l.File); err != nil { // before anything is stopped
		return err
	}
	svc, err := l.Service("")
	if err != nil {
		return err
	}
	l.unload(ctx, svc)
	return removed(os.Remove(l.File))
}

// Start implements [Manager].
func (l *Launchd) Start(ctx context.Context) error {
	return l.control(ctx, func(svc Service, loaded bool) error {
		if !loaded {
			return l.load(ctx, svc) // RunAtLoad starts it
		}
		_, err := l.Run(ctx, "launchctl", "kickstart", l.target())
		return err
	})
}

// Restart implements [Manager].
func (l *Launchd) Restart(ctx context.Context) error {
	return l.control(ctx, func(svc Service, loaded bool) error {
		if !loaded {
			return l.load(ctx, svc)
		}
		_, err := l.Run(ctx, "launchctl", "kickstart", "-k", l.target())
		return err
	})
}

// Stop implements [Manager]. It comes back at the next log-in.
func (l *Launchd) Stop(ctx context.Context) error {
	return l.control(ctx, func(svc Service, loaded bool) error {
		if loaded {
			l.unload(ctx, svc)
		}
		return nil
	})
}

func (l *Launchd) control(ctx context.Context, do func(svc Service, loaded bool) error) error {
	st, loaded := l.state(ctx)
	if !st.Installed {
		return ErrNotInstalled
	}
	svc, err := l.Service("")
	if err != nil {
		return err
	}
	return do(svc, loaded)
}

var (
	launchdRuns = regexp.MustCompile(`(?m)^\s*state = running$`)
	launchdExit = regexp.MustCompile(`(?m)^\s*last exit code = (-?[0-9]+)`)
)

// State implements [Manager].
func (l *Launchd) State(ctx context.Context) (State, error) {
	st, loaded := l.state(ctx)
	st.Active = st.Active || loaded && st.Failed == ""
	return st, nil
}

func (l *Launchd) state(ctx context.Context) (st State, loaded bool) {
	if _, err := os.Stat(l.File); err == nil {
		st.Installed, st.File = true, l.File
	}
	out, err := l.Run(ctx, "launchctl", "print", l.target())
	if err != nil {
		return st, false
	}
	st.Active = launchdRuns.MatchString(out)
	if m := launchdExit.FindStringSubmatch(out); m != nil && m[1] != "0" && !st.Active {
		st.Failed = "exit status " + m[1]
	}
	return st, true
}
