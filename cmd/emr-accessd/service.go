package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/packaging"
	"github.com/kardianos/service"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// serviceEnv is what a service does not inherit from the shell, and needs. Keys are not among them: a unit
// file is no place for a secret.
var serviceEnv = []string{"PATH", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_EMR", "AWS_ENDPOINT_URL_STS",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "EMR_ACCESSD_CONFIG", "EMR_ACCESSD_STATE", demoSource}

func (a *app) installCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install",
		Short: "install and start the daemon as a service of your user",
		Long: `Writes a service of your own user (systemd --user on Linux, a LaunchAgent on macOS),
starts it, and waits for its first round. It runs as you, with your AWS profile; no
root is needed or wanted. Installing again replaces the service.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var lost []string
			cmd.Flags().Visit(func(f *pflag.Flag) {
				if f.Name != "config" && f.Name != "json" && f.Name != "verbose" {
					lost = append(lost, "--"+f.Name)
				}
			})
			if len(lost) > 0 {
				return usageError{fmt.Errorf("%s: the service reads the configuration file alone; write it there (docs/configuration.md)", strings.Join(lost, " ")), cmd.CommandPath()}
			}
			return a.install(cmd.Context())
		},
	}
}

func (a *app) uninstallCommand() *cobra.Command {
	var revoke bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "stop and remove the service",
		Long: `Stops and removes the service. Its rules stay until their leases end, unless --revoke
gives them back at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := newService("")
			if err != nil {
				return err
			}
			_ = s.Stop() // it may not run
			if err := s.Uninstall(); err != nil && !errors.Is(err, service.ErrNotInstalled) && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("uninstall: %w", err)
			}
			fmt.Fprintln(a.Err, "emr-accessd: the service is removed")
			if !revoke {
				fmt.Fprintln(a.Err, "emr-accessd: hint: your rules stay until their leases end; `emr-accessd revoke` gives them back now")
				return nil
			}
			r := a.revokeCommand()
			r.SetContext(cmd.Context())
			return r.RunE(r, nil)
		},
	}
	cmd.Flags().BoolVar(&revoke, "revoke", false, "give the rules back too")
	return cmd
}

func (a *app) startCommand() *cobra.Command {
	return a.control("start", "start the installed service", "started", service.Service.Start)
}

func (a *app) stopCommand() *cobra.Command {
	return a.control("stop", "stop the installed service (its rules stay until their leases end)", "stopped", service.Service.Stop)
}

func (a *app) control(verb, short, done string, do func(service.Service) error) *cobra.Command {
	return &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		s, err := newService("")
		if err != nil {
			return err
		}
		if _, err := s.Status(); errors.Is(err, service.ErrNotInstalled) {
			return hinted{errors.New("the service is not installed"), exitFailed, "emr-accessd install"}
		}
		if err := do(s); err != nil {
			return hinted{fmt.Errorf("%s: %w", verb, err), exitFailed, "systemctl --user status emr-accessd says more"}
		}
		fmt.Fprintf(a.Err, "emr-accessd: %s\n", done)
		return nil
	}}
}

// program is what kardianos/service wants to run; we are run by `emr-accessd run` instead.
type program struct{}

func (program) Start(service.Service) error { return nil }
func (program) Stop(service.Service) error  { return nil }

// newService is the service of this user. text is the unit to install, "" for the other verbs.
func newService(text string) (service.Service, error) {
	switch {
	case runtime.GOOS == "darwin":
	case runtime.GOOS == "linux" && service.Platform() == "linux-systemd":
		if os.Getenv("XDG_RUNTIME_DIR") == "" {
			return nil, hinted{errors.New("there is no systemd user manager in this login (XDG_RUNTIME_DIR is not set)"), exitFailed,
				"log in as the user whose laptop it is, not through sudo or su"}
		}
	default:
		return nil, hinted{fmt.Errorf("no service manager that this version knows (%s)", service.Platform()), exitFailed,
			"let your session start `emr-accessd run`, for example by XDG autostart or a logon task"}
	}
	exe, err := stableExecutable()
	if err != nil {
		return nil, err
	}
	return service.New(program{}, &service.Config{Name: packaging.DefaultLabel, DisplayName: packaging.DefaultLabel,
		Description: "Keep SSH to Amazon EMR open for the current address", Executable: exe, Arguments: packaging.RunArgs(),
		Option: service.KeyValue{"UserService": true, "SystemdScript": text, "LaunchdConfig": text}})
}

// stableExecutable is the path that survives an upgrade: the link in PATH rather than the versioned file
// behind it, when both are the same program.
func stableExecutable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if inPath, err := exec.LookPath(filepath.Base(exe)); err == nil {
		if abs, err := filepath.Abs(inPath); err == nil && sameFile(abs, exe) {
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

func (a *app) install(ctx context.Context) error {
	if err := a.load(); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return hinted{errors.New("a service of root would run with root's AWS profile"), exitUsage, "install as the user whose laptop it is"}
	}
	if strings.Contains(os.Args[0], "go-build") {
		return hinted{errors.New("this program was made by `go run` and vanishes"), exitUsage, "build it first: go build -o ~/.local/bin/emr-accessd ./cmd/emr-accessd"}
	}
	exe, err := stableExecutable()
	if err != nil {
		return err
	}
	p := packaging.UnitParams{Executable: exe, Env: map[string]string{}}
	for _, name := range serviceEnv {
		v := os.Getenv(name)
		if u, err := url.Parse(v); err == nil && u.User != nil {
			fmt.Fprintf(a.Err, "emr-accessd: warning: %s holds a password and is not written into the service; set it with systemctl --user edit\n", name)
			continue
		}
		if v != "" {
			p.Env[name] = v
		}
	}
	if a.flags.config != "" {
		abs, err := filepath.Abs(a.flags.config)
		if err != nil {
			return err
		}
		p.Env["EMR_ACCESSD_CONFIG"] = abs
	}
	text, err := packaging.SystemdUserUnit(p)
	if runtime.GOOS == "darwin" {
		text, err = packaging.LaunchAgent(p)
	}
	if err != nil {
		return err
	}
	s, err := newService(text)
	if err != nil {
		return err
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") != "" {
		fmt.Fprintln(a.Err, "emr-accessd: warning: AWS keys of this shell's environment are not passed to the service; it needs a profile (aws configure, aws sso login)")
	}
	_ = s.Stop()
	_ = s.Uninstall() // an earlier one is replaced; what could go wrong with the new one was checked before
	begin := time.Now()
	if err := errors.Join(s.Install(), s.Start()); err != nil {
		_ = s.Uninstall() // a failed install leaves nothing
		return fmt.Errorf("install: %w", err)
	}
	fmt.Fprintf(a.Err, "emr-accessd: installed and started as a service of your user (%s)\n", exe)
	return a.firstRound(ctx, begin)
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
	for deadline := begin.Add(firstRoundTime); time.Now().Before(deadline) && ctx.Err() == nil; sleep(ctx, 200*time.Millisecond) {
		ans = a.statusOf(store)
		if ans.LastRound != nil && ans.LastRound.After(begin) {
			break
		}
	}
	a.status.clear()
	if ans.LastRound == nil || !ans.LastRound.After(begin) {
		if len(a.cfg.Targets) == 0 {
			return hinted{errors.New("the service runs, but the configuration has no target yet"), exitFailed, "write a [[target]] (docs/configuration.md), then: emr-accessd stop && emr-accessd start"}
		}
		return hinted{errors.New("the service made no round yet"), exitFailed, "journalctl --user -u emr-accessd says why"}
	}
	if err := a.print(ans, func(w io.Writer) { renderStatus(w, ans, time.Now()) }); err != nil {
		return err
	}
	if slices.ContainsFunc(ans.Targets, func(t keeper.TargetReport) bool { return t.Error != nil }) {
		return hinted{errors.New("the service runs, but its first round did not succeed"), exitFailed, "see above; it tries again by itself"}
	}
	return nil
}
