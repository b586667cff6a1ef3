package svcmgr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Params say what is installed.
type Params struct {
	// Program is the absolute path of the program, as it stays over upgrades.
	Program string
	// Env are the variables that the service needs and does not inherit; Secret those that nobody else may read.
	Env, Secret map[string]string
	// Starting, when set, is called when an earlier service has ended and before the new one starts.
	Starting func()
}

func (p Params) starting() {
	if p.Starting != nil {
		p.Starting()
	}
}

// State is what the service manager knows of the service.
type State struct {
	Installed bool   // there is a service to start
	Packaged  bool   // its unit came with a package, and stays when it is uninstalled
	Active    bool   // it runs, or is about to run again
	Failed    string // why it does not run, in the manager's words; "" where it did not fail
	File      string // the unit, property list or task
}

// Manager is a service manager. Its methods may take seconds, and end early with ctx as far as the manager allows.
type Manager interface {
	// Describe says what kind of service it is, within a sentence: "a service of your user (systemd)".
	Describe() string
	// Install writes the service, lets it start by itself from now on, and starts it. One that is there is replaced. An
	// error means that everything is as it was.
	Install(ctx context.Context, p Params) error
	// Uninstall stops and removes the service. Where there is none, nothing happens.
	Uninstall(ctx context.Context) error
	// Start, Stop and Restart do not change whether the service starts by itself. Restart also starts.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	State(ctx context.Context) (State, error)
	// Journal is the command that shows the last n lines of the log and, when asked, follows it. It is nil where the
	// program keeps its log itself.
	Journal(n int, follow bool) []string
	// More is a command that tells more about a failure; "" where there is none.
	More() string
}

// ErrNotInstalled tells that there is no service to start, stop or look at.
var ErrNotInstalled = errors.New("the service is not installed")

// Runner runs a tool and returns its standard output. The error has what it wrote to standard error.
type Runner func(ctx context.Context, name string, args ...string) (string, error)

// Run is the [Runner] of real life.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		said := strings.TrimSpace(stderr.String() + "\n" + stdout.String())
		err = fmt.Errorf("%s: %w: %s", name+" "+strings.Join(args[:min(len(args), 3)], " "), err, said[:min(len(said), 2000)])
	}
	return stdout.String(), err
}

// Service is what is used of kardianos/service.
type Service interface {
	Install() error
	Uninstall() error
	Start() error
	Stop() error
	Restart() error
}
