package svcmgr

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/emr-accessd/emr-accessd/packaging"
)

// undoTime is how long putting things back may take: the user who interrupts an installation waits for it.
const undoTime = 20 * time.Second

// Install implements [Manager]. A unit that a package brought for this program is enabled, and what it lacks is added
// beside it; for any other program a unit is written, which hides the package's.
func (s *Systemd) Install(ctx context.Context, p Params) error {
	if err := errors.Join(mayReplace(s.own()), mayReplace(s.dropIn())); err != nil {
		return err
	}
	params := packaging.UnitParams{Executable: p.Program, Env: p.Env, User: s.User, Writable: s.Writable}
	if len(p.Secret) > 0 {
		params.EnvFile = s.EnvFile
	}
	before, err := s.State(ctx)
	if err != nil {
		return err
	}
	if s.packaged(p.Program) != "" {
		text, err := packaging.SystemdDropIn(params)
		if err != nil {
			return err
		}
		return s.installPackaged(ctx, before, p, text)
	}
	text, err := s.render(params)
	if err != nil {
		return err
	}
	return s.installOwn(ctx, before, p, text)
}

func (s *Systemd) installOwn(ctx context.Context, before State, p Params, text string) error {
	svc, err := s.Service(text)
	if err != nil {
		return err
	}
	c := s.begin(before)
	return c.end(func() error {
		if err := errors.Join(c.makeDir(s.Dir), c.secret(s.EnvFile, p.Secret), c.remove(s.dropIn()), c.remove(s.own())); err != nil {
			return err
		}
		c.onFailure(func() { s.take("disable", s.Unit) })
		if err := svc.Install(); err != nil { // writes the unit, which must not be there, and enables it
			return err
		}
		if s.User != "" { // systemd complains of a unit of the system that not everybody can read
			if err := os.Chmod(s.own(), 0o644); err != nil {
				return err
			}
		}
		return s.begins(ctx, svc, p)
	}())
}

func (s *Systemd) installPackaged(ctx context.Context, before State, p Params, dropIn string) error {
	svc, err := s.Service("")
	if err != nil {
		return err
	}
	c := s.begin(before)
	return c.end(func() error {
		if err := errors.Join(c.secret(s.EnvFile, p.Secret), c.remove(s.own())); err != nil {
			return err
		}
		if dropIn == "" {
			err = c.remove(s.dropIn())
		} else {
			err = c.write(s.dropIn(), dropIn, 0o644)
		}
		if err != nil {
			return err
		}
		if _, err := s.systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
		c.onFailure(func() { s.take("disable", s.Unit) })
		if _, err := s.systemctl(ctx, "enable", s.Unit); err != nil {
			return err
		}
		return s.begins(ctx, svc, p)
	}())
}

// begins starts the service. systemd waits until it says that it has begun, so a mistake in the configuration is an
// error here.
func (s *Systemd) begins(ctx context.Context, svc Service, p Params) error {
	if err := svc.Stop(); err != nil { // an earlier one; nothing happens where none runs
		return err
	}
	_, _ = s.systemctl(ctx, "reset-failed", s.Unit) // too many failures of an earlier one would hold it back
	p.starting()
	if err := svc.Start(); err != nil {
		return err
	}
	return ctx.Err()
}

// begin is a change after whose undoing systemd knows again what it knew before, and runs what it ran.
func (s *Systemd) begin(before State) *change {
	c := &change{}
	c.onFailure(func() { // the last to be undone: the files are those of before
		s.take("daemon-reload")
		if before.Installed {
			s.take("enable", s.Unit)
		}
		if before.Active {
			s.take("restart", s.Unit)
		} else {
			s.take("stop", s.Unit)
			s.take("reset-failed", s.Unit)
		}
	})
	return c
}

// take runs a verb as a part of undoing: also after an interruption, and with nobody to hear of a failure.
func (s *Systemd) take(verb string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	_, _ = s.systemctl(ctx, verb, args...)
}

// secret writes the file of the variables that nobody else may read, or removes the one of an earlier installation.
func (c *change) secret(file string, env map[string]string) error {
	if len(env) == 0 {
		return c.remove(file)
	}
	text, err := packaging.EnvFile(env)
	if err != nil {
		return err
	}
	return c.write(file, text, 0o600)
}

// Uninstall implements [Manager].
func (s *Systemd) Uninstall(ctx context.Context) error {
	if err := errors.Join(mayReplace(s.own()), mayReplace(s.dropIn())); err != nil { // before anything is stopped
		return err
	}
	st, err := s.State(ctx)
	if err != nil {
		return err
	}
	svc, err := s.Service("")
	if err != nil {
		return err
	}
	if st.Active {
		if err := svc.Stop(); err != nil {
			return err
		}
	}
	var errs []error
	if _, err := os.Stat(s.own()); err == nil {
		errs = append(errs, svc.Uninstall()) // disables it, and removes the file
	} else if st.Installed {
		_, err := s.systemctl(ctx, "disable", s.Unit)
		errs = append(errs, err)
	}
	errs = append(errs, removed(os.Remove(s.dropIn())), removed(os.Remove(s.EnvFile)))
	_ = os.Remove(s.Dir + "/" + s.Unit + ".d") // not when the user has put something there
	_, err = s.systemctl(ctx, "daemon-reload")
	errs = append(errs, err)
	_, _ = s.systemctl(ctx, "reset-failed", s.Unit)
	return errors.Join(errs...)
}
