package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
	"github.com/emr-accessd/emr-accessd/packaging"
)

// startedBy is the service manager that started this process, "" for none.
type startedBy string

const (
	bySystemd startedBy = "systemd"
	byLaunchd startedBy = "launchd"
)

// exitMistake tells systemd not to try again (RestartPreventExitStatus= in our units). It is EX_CONFIG of sysexits(3),
// and not 2, because a Go program that panics, or that the watchdog ends, exits with 2.
const exitMistake = 78

// whoStarted reads it from the environment. Our units all want to be notified.
func whoStarted(getenv func(string) string) startedBy {
	switch {
	case getenv("NOTIFY_SOCKET") != "":
		return bySystemd
	case getenv("XPC_SERVICE_NAME") == packaging.DefaultLabel:
		return byLaunchd
	}
	return ""
}

// mistake is the exit status for a mistake in the configuration, which trying again does not mend.
func (s startedBy) mistake() int {
	switch s {
	case bySystemd:
		return exitMistake
	case byLaunchd:
		return exitDone // launchd starts again what ends with any other
	}
	return exitUsage
}

// logFile is the daemon's own log where nobody else keeps it.
func logFile() (string, error) {
	dir, err := config.StateDir()
	return filepath.Join(dir, "emr-accessd.log"), err
}

// logToFile sends what goes to standard error into the log file, up to the error that ends the program. A panic is
// written there, too.
func (a *app) logToFile() error {
	store, err := a.store() // makes the folder, and refuses one that others can write
	if err != nil {
		return err
	}
	path, err := logFile()
	if err != nil {
		return err
	}
	if release, err := store.Daemon(); err == nil { // else the file is another one's
		daemonlog.PutAside(path)
		release()
	}
	f, err := daemonlog.OpenFile(path)
	if err != nil {
		return err
	}
	if err := f.Crashes(); err != nil {
		return errors.Join(err, f.Close())
	}
	a.Err = f
	leaveConsole()
	return nil
}

// recalled sets the variables of a file that install wrote.
func recalled(file string) error {
	if file == "" {
		return nil
	}
	text, err := config.ReadPrivate(file)
	if err != nil {
		return err
	}
	env, err := packaging.ParseEnvFile(string(text))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errConfig, file, err)
	}
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
