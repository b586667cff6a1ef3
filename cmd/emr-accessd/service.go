package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/emr-accessd/emr-accessd/packaging"
	"github.com/kardianos/service"
	"github.com/spf13/cobra"
)

// serviceFlags say which service is meant.
type serviceFlags struct {
	system bool
	user   string
}

func (f *serviceFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.system, "system", false, "a service of the system, which runs as the user of --user (Linux, as root)")
	cmd.Flags().StringVar(&f.user, "user", "", "`name` of the ordinary user whose service it is (as root)")
}

// check refuses what the account that runs this may not do.
func (f *serviceFlags) check(cmd *cobra.Command) error {
	wrong := func(problem, hint string) error { return hinted{errors.New(problem), exitUsage, hint} }
	again := "sudo " + cmd.CommandPath() + " --system --user " // completed below
	switch root := os.Geteuid() == 0; {
	case f.system && runtime.GOOS != "linux":
		return wrong("--system is for systemd", "without it, the service is one of your user")
	case f.system && f.user == "":
		return wrong("a service of the system runs as an ordinary user: as root it would run the helpers that somebody's AWS configuration names", again+invoker())
	case f.user != "" && !root:
		return wrong("--user is for root, on behalf of somebody else", again+f.user)
	case root && f.user == "":
		return wrong("a service of root would run with root's AWS profile", "as the user whose laptop it is, without sudo; or: "+cmd.CommandPath()+" --user "+invoker())
	}
	return nil
}

// invoker is the name of the user who became root, or a placeholder.
func invoker() string {
	if name := os.Getenv("SUDO_USER"); name != "" && name != "root" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Uid != "0" {
		return u.Username
	}
	return "NAME"
}

func (a *app) startCommand() *cobra.Command {
	return a.control("start", "start the installed service", "started", svcmgr.Manager.Start)
}

func (a *app) stopCommand() *cobra.Command {
	return a.control("stop", "stop the installed service (its rules stay until their leases end)", "stopped", svcmgr.Manager.Stop)
}

func (a *app) restartCommand() *cobra.Command {
	return a.control("restart", "start the service anew, with the configuration as it is now", "restarted", svcmgr.Manager.Restart)
}

func (a *app) control(verb, short, done string, do func(svcmgr.Manager, context.Context) error) *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.user != "" && !f.system {
			return a.asUser(cmd.Context(), f.user, verb)
		}
		if verb != "stop" && !f.system { // a service that ends at once, for a reason that can be said here
			if err := a.load(); err != nil {
				return err
			}
		}
		m, err := manager(f.user)
		if err != nil {
			return err
		}
		if err := do(m, cmd.Context()); err != nil {
			return a.notInstalled(verb, m, err)
		}
		fmt.Fprintf(a.Err, "emr-accessd: %s\n", done)
		return nil
	}}
	f.register(cmd)
	return cmd
}

// notInstalled says what to do about an error of a service manager.
func (a *app) notInstalled(verb string, m svcmgr.Manager, err error) error {
	if !errors.Is(err, svcmgr.ErrNotInstalled) {
		return hinted{fmt.Errorf("%s: %w", verb, err), exitFailed, "`emr-accessd logs` and `" + m.More() + "` say more"}
	}
	hint := "emr-accessd install"
	if me, uerr := user.Current(); uerr == nil {
		if _, serr := os.Stat(filepath.Join(systemUnits, unitOf(me.Username)+".service")); serr == nil {
			hint = fmt.Sprintf("there is a service of the system for you: sudo emr-accessd %s --system --user %s", verb, me.Username)
		}
	}
	return hinted{err, exitFailed, hint}
}

// systemUnits is where an administrator's units are, systemd.unit(5).
const systemUnits = "/etc/systemd/system"

// unitOf names the unit of the system for one user.
func unitOf(name string) string { return packaging.DefaultLabel + "@" + name }

// manager is the service manager of this system: of the user who runs this, or, for a named user, of the system.
func manager(forUser string) (svcmgr.Manager, error) {
	exe, err := stableExecutable()
	if err != nil {
		return nil, err
	}
	made := func(name string, ofUser bool) func(string) (svcmgr.Service, error) {
		return func(text string) (svcmgr.Service, error) {
			return service.New(program{}, &service.Config{Name: name, DisplayName: name, Description: "Keep SSH to Amazon EMR open for the current address",
				Executable: exe, Arguments: packaging.RunArgs(), Option: service.KeyValue{"UserService": ofUser, "SystemdScript": text, "LaunchdConfig": text}})
		}
	}
	switch {
	case runtime.GOOS == "linux" && service.Platform() == "linux-systemd" && forUser != "":
		return systemManager(forUser, made)
	case forUser != "":
		return nil, hinted{errors.New("a service of the system needs systemd"), exitFailed, byHand}
	case runtime.GOOS == "linux" && service.Platform() == "linux-systemd":
		return userManager(made)
	case runtime.GOOS == "darwin":
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		return &svcmgr.Launchd{Run: svcmgr.Run, Label: packaging.DefaultLabel, UID: os.Getuid(), Retry: 250 * time.Millisecond,
			File: filepath.Join(home, "Library", "LaunchAgents", packaging.DefaultLabel+".plist"), Service: made(packaging.DefaultLabel, true)}, nil
	case runtime.GOOS == "windows":
		return taskManager()
	}
	return nil, hinted{fmt.Errorf("no service manager that this version knows (%s)", service.Platform()), exitFailed, byHand}
}

// byHand is what works without any service manager.
const byHand = "let your session start `emr-accessd run --log-to-file`: a desktop does with an autostart file (docs/platforms.md has it), a shell's profile with the command and a &"

func userManager(made func(string, bool) func(string) (svcmgr.Service, error)) (svcmgr.Manager, error) {
	if os.Getenv("XDG_RUNTIME_DIR") == "" { // cron, su and the like do not set it, and the user's manager may run all the same
		dir := "/run/user/" + strconv.Itoa(os.Getuid())
		if _, err := os.Stat(filepath.Join(dir, "systemd")); err != nil {
			return nil, hinted{errors.New("your user has no systemd manager now: nobody has logged in as this user"), exitFailed,
				"log in as the user whose laptop it is, not through sudo or su; for a service without a log-in: sudo loginctl enable-linger " + invoker()}
		}
		if err := os.Setenv("XDG_RUNTIME_DIR", dir); err != nil {
			return nil, err
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	env, err := envFile()
	if err != nil {
		return nil, err
	}
	return &svcmgr.Systemd{Run: svcmgr.Run, Unit: packaging.DefaultLabel + ".service", Dir: filepath.Join(home, ".config", "systemd", "user"),
		Packaged: svcmgr.PackagedUserUnits, EnvFile: env, Service: made(packaging.DefaultLabel, true)}, nil
}

// systemManager is the system's, for a service of one user. What it may write is told by that user's own program.
func systemManager(name string, made func(string, bool) func(string) (svcmgr.Service, error)) (svcmgr.Manager, error) {
	u, err := ordinary(name)
	if err != nil {
		return nil, err
	}
	unit := unitOf(u.Username)
	return &svcmgr.Systemd{Run: svcmgr.Run, Unit: unit + ".service", Dir: systemUnits, EnvFile: filepath.Join(systemUnits, unit+".env"), User: u.Username,
		Service: made(unit, false), Writable: []string{filepath.Join(u.HomeDir, ".aws", "sso", "cache"), filepath.Join(u.HomeDir, ".aws", "cli", "cache"),
			filepath.Join(u.HomeDir, ".aws", "login", "cache")}}, nil
}

func taskManager() (svcmgr.Manager, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	env, err := envFile()
	if err != nil {
		return nil, err
	}
	return &svcmgr.Task{Run: svcmgr.Run, Name: packaging.DefaultLabel + "-" + u.Uid, SID: u.Uid, EnvFile: env, Running: daemonRuns}, nil
}

// envFile is where install keeps the variables that nobody else may read: beside the configuration.
func envFile() (string, error) {
	path, err := config.DefaultPath()
	return filepath.Join(filepath.Dir(path), "service.env"), err
}

// daemonRuns reports whether a daemon of this user runs.
func daemonRuns() bool {
	store, err := new(app).store()
	return err == nil && store.Running()
}

// program is what kardianos/service wants to run; we are run by `emr-accessd run` instead.
type program struct{}

func (program) Start(service.Service) error { return nil }
func (program) Stop(service.Service) error  { return nil }

// askTime is how long a service manager may take to say how the service is, before nobody waits any longer.
const askTime = 2 * time.Second

// noteService says why no daemon runs though there is a service.
func (a *app) noteService(ctx context.Context, runs bool) {
	if runs || os.Geteuid() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	m, err := manager("")
	if err != nil {
		return
	}
	switch st, err := m.State(ctx); {
	case err != nil || !st.Installed:
	case st.Failed == "exit status "+strconv.Itoa(exitMistake):
		fmt.Fprintln(a.Err, "emr-accessd: note: the service stopped because of its configuration; once that is right: emr-accessd start")
	case st.Failed != "":
		fmt.Fprintf(a.Err, "emr-accessd: note: the service failed (%s); `emr-accessd logs` says why, `emr-accessd start` starts it again\n", printable(st.Failed))
	case !st.Active:
		fmt.Fprintln(a.Err, "emr-accessd: note: the service is installed and stopped; emr-accessd start")
	}
}
