package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// installFlags are what install can be told.
type installFlags struct {
	serviceFlags
	linger bool
	env    []string
}

func (a *app) installCommand() *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install",
		Short: "install and start the daemon as a service of your user",
		Long: `Makes the daemon a service of your own user (systemd --user on Linux, a LaunchAgent on
macOS, a logon task on Windows), starts it, and shows the result of the first round
that the service itself has made. It runs as you, with your AWS profile; no root is
needed or wanted. Installing again replaces the service; an installation that fails
leaves everything as it was.

A service does not inherit what your shell has. So PATH, proxies, CA bundles and the
AWS_… names of profiles and files are recorded as they are now; keys are not, because
a service lives longer than they do: it needs a profile. Profile and region are also
written into the targets of the configuration that name none, so that other shells mean
the same account.

The service ends when you log out, which is right for a laptop. --linger lets it run
from the computer's start on. --system --user NAME, as root, makes it a service of the
system that runs as this user, never as root.`,
		Example: `  emr-accessd install
  emr-accessd install --linger
  sudo emr-accessd install --system --user alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if lost := lostFlags(cmd.Root().PersistentFlags()); lost != "" {
				return usageError{fmt.Errorf("%s: the service reads the configuration file alone; write it there (docs/configuration.md)", lost), cmd.CommandPath()}
			}
			switch {
			case f.system && f.linger:
				return usageError{errors.New("--linger is for a service of your user; a service of the system starts with the computer anyway"), cmd.CommandPath()}
			case f.system:
				return a.installSystem(cmd.Context(), f)
			case f.user != "":
				return a.installFor(cmd.Context(), f)
			}
			return a.install(cmd.Context(), f)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.linger, "linger", false, "run without a log-in, too, from the computer's start on (systemd)")
	cmd.Flags().StringArrayVar(&f.env, "env", nil, "record this variable, as `NAME=VALUE`, too")
	return cmd
}

// lostFlags are the flags that a service would not see.
func lostFlags(fs *pflag.FlagSet) string {
	var lost []string
	fs.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"config", "json", "verbose"}, f.Name) {
			lost = append(lost, "--"+f.Name)
		}
	})
	return strings.Join(lost, " ")
}

// install makes the service of the user who runs this, and shows its first round.
func (a *app) install(ctx context.Context, f installFlags) error {
	begin, err := a.installHere(ctx, f)
	if err != nil {
		return err
	}
	return a.firstRound(ctx, begin)
}

// installHere makes the service of the user who runs this. begin is when it started.
func (a *app) installHere(ctx context.Context, f installFlags) (begin time.Time, err error) {
	if err := a.load(); err != nil {
		return begin, err
	}
	store, err := a.store()
	if err != nil {
		return begin, err
	}
	rec, err := a.record(os.Environ(), f.env)
	if err != nil {
		return begin, err
	}
	m, err := manager("")
	if err != nil {
		return begin, err
	}
	st, err := m.State(ctx)
	if err != nil {
		return begin, err
	}
	if store.Running() && !st.Active {
		return begin, hinted{errors.New("emr-accessd runs already, and not as this service"), exitFailed, "end the `emr-accessd run` of a terminal, or the service of the system, first"}
	}
	undoLinger := func() {}
	if f.linger {
		if undoLinger, err = linger(ctx); err != nil {
			return begin, err
		}
	}
	undoConfig := a.completeConfig(&rec)
	if begin, err = a.installWith(ctx, m, rec); err != nil {
		undoConfig()
		undoLinger()
	}
	return begin, err
}

// installWith installs and says so. begin is when the service started.
func (a *app) installWith(ctx context.Context, m svcmgr.Manager, rec kept) (begin time.Time, err error) {
	exe, err := installable()
	if err != nil {
		return begin, err
	}
	rec.say(a.Err)
	a.status = newProgress(a.Err)
	a.status.say("installing " + m.Describe())
	err = m.Install(ctx, svcmgr.Params{Program: exe, Env: rec.env, Secret: rec.secret, Starting: func() { begin = time.Now() }})
	a.status.clear()
	if err != nil {
		return begin, hinted{fmt.Errorf("install: %w", err), exitFailed, "nothing was changed; `emr-accessd run` in a terminal shows whether the program itself begins"}
	}
	st, _ := m.State(ctx) // it is installed, whether or not the manager tells more
	how := "installed and started"
	if st.Packaged {
		how = "enabled and started, from your package,"
	}
	fmt.Fprintf(a.Err, "emr-accessd: %s as %s: %s\n", how, m.Describe(), st.File)
	return begin, nil
}

// installable is the program to start, as long as it is one that stays.
func installable() (string, error) {
	if strings.Contains(filepath.ToSlash(os.Args[0]), "/go-build") {
		return "", hinted{errors.New("this program was made by `go run` and vanishes"), exitUsage, "build it first: go build -o ~/.local/bin/emr-accessd ./cmd/emr-accessd"}
	}
	exe, err := stableExecutable()
	if err != nil {
		return "", err
	}
	return exe, keptFromOthers(exe)
}

// stableExecutable is the path that survives an upgrade: the link in PATH rather than the versioned file
// behind it, when both are the same program.
func stableExecutable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, name := range []string{os.Args[0], filepath.Base(os.Args[0])} { // as it was called, then as PATH has it
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if abs, err := filepath.Abs(found); err == nil && sameFile(abs, exe) {
			return abs, nil
		}
	}
	return exe, nil
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// firstRoundTime is how long install waits for the service's own first round.
const firstRoundTime = 20 * time.Second

// firstRound shows the result of a round made by the service itself: only that proves that the service has
// what it needs.
func (a *app) firstRound(ctx context.Context, begin time.Time) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	a.status = newProgress(a.Err)
	a.status.say("waiting for the service's first round")
	var ans statusAnswer
	for deadline := time.Now().Add(firstRoundTime); time.Now().Before(deadline) && ctx.Err() == nil; sleep(ctx, 200*time.Millisecond) {
		ans = a.statusOf(store)
		if ans.Paused != nil || ans.LastRound != nil && ans.LastRound.After(begin) {
			break
		}
	}
	a.status.clear()
	switch {
	case ctx.Err() != nil:
		return hinted{ctx.Err(), exitFailed, "the service is installed and runs; `emr-accessd status` shows its first round"}
	case ans.Paused != nil:
		fmt.Fprintln(a.Err, "emr-accessd: note: "+pausedUntil(*ans.Paused, time.Now()))
		return nil
	case ans.LastRound == nil || !ans.LastRound.After(begin):
		if len(a.cfg.Targets) == 0 {
			return hinted{errors.New("the service runs, but the configuration has no target yet"), exitFailed, "`emr-accessd init` writes one; then: emr-accessd restart"}
		}
		return hinted{errors.New("the service made no round yet"), exitFailed, "`emr-accessd logs` says why; it tries again by itself"}
	}
	if err := a.print(ans, func(w io.Writer) { renderStatus(w, ans, time.Now()) }); err != nil {
		return err
	}
	if slices.ContainsFunc(ans.Targets, func(t keeper.TargetReport) bool { return t.Error != nil }) {
		return hinted{errors.New("the service runs, but its first round did not succeed"), exitFailed, "see above; it tries again by itself"}
	}
	return nil
}
