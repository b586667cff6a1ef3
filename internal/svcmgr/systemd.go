package svcmgr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/packaging"
)

// Systemd is a manager of systemd: the user's own, or the system's.
type Systemd struct {
	Run  Runner
	Unit string // emr-accessd.service
	Dir  string // where a unit of ours goes
	// Packaged are the folders where a package may have put a unit of this name, the most important first. The system's
	// manager has none: there a unit is made for one user.
	Packaged []string
	EnvFile  string // where the variables go that nobody else may read
	// User is the name of the user that a service of the system runs as; "" is a service of the user.
	User string
	// Writable are the folders that a service of the system may write to.
	Writable []string
	// Service makes the part of kardianos/service for a unit's text.
	Service func(text string) (Service, error)
}

var _ Manager = (*Systemd)(nil)

// PackagedUserUnits are the folders of units for all users, systemd.unit(5).
var PackagedUserUnits = []string{"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/local/share/systemd/user",
	"/usr/lib/systemd/user", "/usr/share/systemd/user", "/lib/systemd/user"}

// Describe implements [Manager].
func (s *Systemd) Describe() string {
	if s.User != "" {
		return "a service of the system that runs as " + s.User + " (systemd)"
	}
	return "a service of your user (systemd)"
}

// More implements [Manager].
func (s *Systemd) More() string { return strings.Join(s.command("status", s.Unit), " ") }

// Journal implements [Manager].
func (s *Systemd) Journal(n int, follow bool) []string {
	args := []string{"journalctl", "--unit=" + s.Unit}
	if s.User == "" {
		args = []string{"journalctl", "--user", "--user-unit=" + s.Unit}
	}
	args = append(args, "--no-pager", "--lines="+strconv.Itoa(n))
	if follow {
		args = append(args, "--follow")
	}
	return args
}

func (s *Systemd) command(verb string, args ...string) []string {
	c := []string{"systemctl"}
	if s.User == "" {
		c = append(c, "--user")
	}
	return append(append(c, verb), args...)
}

func (s *Systemd) systemctl(ctx context.Context, verb string, args ...string) (string, error) {
	c := s.command(verb, args...)
	return s.Run(ctx, c[0], c[1:]...)
}

// own is the file of a unit of ours, and dropIn the one with what is added to a packaged unit.
func (s *Systemd) own() string    { return filepath.Join(s.Dir, s.Unit) }
func (s *Systemd) dropIn() string { return filepath.Join(s.Dir, s.Unit+".d", "install.conf") }

// packaged is the unit that a package brought for this very program; "" where there is none.
func (s *Systemd) packaged(program string) string {
	for _, dir := range s.Packaged {
		file := filepath.Join(dir, s.Unit)
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) { // the first one that is found hides the others
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok && sameFile(strings.Fields(command + " ?")[0], program) {
				return file
			}
		}
		return ""
	}
	return ""
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// made begins every unit and every property list that this program wrote.
var made = []string{"# Made by emr-accessd", "# emr-accessd as a service of the user", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by emr-accessd"}

// mayReplace refuses a unit or property list that somebody wrote by hand.
func mayReplace(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, m := range made {
		if err == nil && strings.HasPrefix(string(text), m) {
			return nil
		}
	}
	return cmp.Or(err, fmt.Errorf("%s was not made by emr-accessd, and is left alone; remove it first", file))
}

// State implements [Manager].
func (s *Systemd) State(ctx context.Context) (State, error) {
	out, err := s.systemctl(ctx, "show", "--property=LoadState,ActiveState,Result,ExecMainStatus,FragmentPath,UnitFileState", s.Unit)
	if err != nil {
		return State{}, err
	}
	p := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[name] = value
	}
	st := State{File: p["FragmentPath"], Active: p["ActiveState"] == "active" || p["ActiveState"] == "activating" || p["ActiveState"] == "reloading"}
	ours := st.File == s.own()
	st.Packaged = st.File != "" && !ours
	// A packaged unit is there for every user; it counts once it is enabled, or runs.
	st.Installed = p["LoadState"] == "loaded" && (ours || strings.HasPrefix(p["UnitFileState"], "enabled") || st.Active || p["ActiveState"] == "failed")
	if p["ActiveState"] == "failed" {
		st.Failed = p["Result"]
		if p["Result"] == "exit-code" {
			st.Failed = "exit status " + p["ExecMainStatus"]
		}
	}
	return st, nil
}

// Start implements [Manager].
func (s *Systemd) Start(ctx context.Context) error { return s.control(ctx, Service.Start) }

// Restart implements [Manager].
func (s *Systemd) Restart(ctx context.Context) error { return s.control(ctx, Service.Restart) }

// Stop implements [Manager].
func (s *Systemd) Stop(ctx context.Context) error { return s.control(ctx, Service.Stop) }

func (s *Systemd) control(ctx context.Context, do func(Service) error) error {
	st, err := s.State(ctx)
	if err != nil {
		return err
	}
	if !st.Installed {
		return ErrNotInstalled
	}
	svc, err := s.Service("")
	if err != nil {
		return err
	}
	if st.Failed != "" { // too many failures hold a start back
		_, _ = s.systemctl(ctx, "reset-failed", s.Unit)
	}
	return do(svc)
}

// render makes the unit.
func (s *Systemd) render(p packaging.UnitParams) (string, error) {
	if s.User != "" {
		return packaging.SystemdSystemUnit(p)
	}
	return packaging.SystemdUserUnit(p)
}
