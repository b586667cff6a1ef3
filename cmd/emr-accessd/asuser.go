package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/spf13/cobra"
)

// ordinary is the user of a name, who is not root.
func ordinary(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, hinted{fmt.Errorf("--user: %w", err), exitUsage, "name the user whose laptop it is"}
	}
	if u.Uid == "0" {
		return nil, hinted{fmt.Errorf("--user %s: is root", name), exitUsage, "name an ordinary user: as root, the service would run the helpers that the AWS configuration names"}
	}
	if info, err := os.Stat(u.HomeDir); err != nil || !info.IsDir() {
		return nil, hinted{fmt.Errorf("--user %s: has no home folder (%s)", name, u.HomeDir), exitUsage, "the AWS configuration is looked for there"}
	}
	return u, nil
}

// asUser runs a command of this program as another user: root must neither read nor write in somebody's home, where a
// link could lead anywhere. The child can ask nothing.
func (a *app) asUser(ctx context.Context, name string, args ...string) error {
	cmd, err := a.commandAs(ctx, name, args...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = a.Out, a.Err
	return childStatus(cmd.Run())
}

// childStatus passes on how a child ended, which has said why itself.
func childStatus(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitStatus(max(exit.ExitCode(), exitFailed))
	}
	if errors.Is(err, fs.ErrPermission) {
		return hinted{err, exitFailed, "that user may not run this program; move it to /usr/local/bin"}
	}
	return err
}

func (a *app) commandAs(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	u, err := ordinary(name)
	if err != nil {
		return nil, err
	}
	exe, err := stableExecutable()
	if err != nil {
		return nil, err
	}
	for flag, on := range map[string]bool{"--json": a.flags.json, "--verbose": a.flags.verbose} {
		if on {
			args = append(args, flag)
		}
	}
	if a.flags.config != "" {
		abs, err := filepath.Abs(a.flags.config)
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", abs)
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = undoTime
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "PATH=/usr/local/bin:/usr/bin:/bin", "TERM=" + os.Getenv("TERM")}
	if dir := "/run/user/" + u.Uid; svcExists(filepath.Join(dir, "systemd")) {
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+dir)
	}
	for _, v := range ofTheMachine {
		if value := os.Getenv(v); value != "" {
			cmd.Env = append(cmd.Env, v+"="+value)
		}
	}
	return cmd, become(cmd, u)
}

// undoTime is how long a child that was interrupted may take to put things back.
const undoTime = 30 * time.Second

func svcExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// installFor makes a service of another user's own manager. A child that is the user installs; another one shows the first
// round, so that an installation that failed is known from a first round that did.
func (a *app) installFor(ctx context.Context, f installFlags) error {
	u, err := ordinary(f.user)
	if err != nil {
		return err
	}
	undoLinger := func() {}
	if f.linger {
		if undoLinger, err = lingerFor(ctx, u); err != nil {
			return err
		}
	}
	args := []string{"as-user", "install"}
	for _, e := range f.env {
		args = append(args, "--env", e)
	}
	var begin time.Time
	if err := a.answerAs(ctx, f.user, &begin, args...); err != nil {
		undoLinger()
		return err
	}
	return a.roundAs(ctx, f.user, begin)
}

// answerAs runs a command of this program as another user, and reads its answer.
func (a *app) answerAs(ctx context.Context, name string, answer any, args ...string) error {
	cmd, err := a.commandAs(ctx, name, args...)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, a.Err
	if err := cmd.Run(); err != nil {
		return childStatus(err)
	}
	return json.Unmarshal(out.Bytes(), answer)
}

// roundAs shows the first round that the service of a user makes after begin.
func (a *app) roundAs(ctx context.Context, name string, begin time.Time) error {
	return a.asUser(ctx, name, "as-user", "first-round", begin.UTC().Format(time.RFC3339Nano))
}

// installSystem makes a service of the system. What concerns the user's files is done by a child that is the user: the
// configuration is checked before anything is written, and the first round is shown after it.
func (a *app) installSystem(ctx context.Context, f installFlags) error {
	m, err := manager(f.user)
	if err != nil {
		return err
	}
	rec, err := recordOf(os.Environ(), f.env, ofTheMachine)
	if err != nil {
		return err
	}
	rec.notes = slices.DeleteFunc(rec.notes, func(s string) bool { return strings.HasPrefix(s, "warning: the AWS keys") }) // root's are nobody's business
	var home userFiles
	if err := a.answerAs(ctx, f.user, &home, "as-user", "check"); err != nil {
		return err
	}
	sys := m.(*svcmgr.Systemd)
	sys.Writable = append([]string{home.State}, sys.Writable...)
	st, err := m.State(ctx)
	if err != nil {
		return err
	}
	if home.Running && !st.Active {
		return hinted{fmt.Errorf("emr-accessd runs already for %s, and not as this service", f.user), exitFailed, "as " + f.user + ": emr-accessd uninstall --keep-rules"}
	}
	if a.flags.config != "" {
		rec.env["EMR_ACCESSD_CONFIG"] = home.Config
	}
	begin, err := a.installWith(ctx, m, rec)
	if err != nil {
		return err
	}
	return a.roundAs(ctx, f.user, begin)
}

// userFiles is what the system's installation needs to know of a user's files.
type userFiles struct {
	Config  string `json:"config"`
	State   string `json:"state"`
	Running bool   `json:"running"`
}

// asUserCommand is what root runs as the user.
func (a *app) asUserCommand() *cobra.Command {
	var env []string
	cmd := &cobra.Command{Use: "as-user check|install|first-round TIME", Hidden: true, Args: cobra.RangeArgs(1, 2), RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] == "install" {
			begin, err := a.installHere(cmd.Context(), installFlags{env: env})
			if err != nil {
				return err
			}
			return json.NewEncoder(a.Out).Encode(begin)
		}
		if err := a.load(); err != nil {
			return err
		}
		store, err := a.store()
		if err != nil {
			return err
		}
		switch {
		case len(args) == 1 && args[0] == "check":
			return json.NewEncoder(a.Out).Encode(userFiles{a.cfg.Path, store.Dir(), store.Running()})
		case len(args) == 2 && args[0] == "first-round":
			begin, err := time.Parse(time.RFC3339Nano, args[1])
			if err != nil {
				return usageError{err, ""}
			}
			return a.firstRound(cmd.Context(), begin)
		}
		return usageError{fmt.Errorf("as-user %s: for emr-accessd itself", strings.Join(args, " ")), ""}
	}}
	cmd.Flags().StringArrayVar(&env, "env", nil, "as of install")
	return cmd
}
