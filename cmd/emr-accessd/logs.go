package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/spf13/cobra"
)

func (a *app) logsCommand() *cobra.Command {
	var f serviceFlags
	var n int
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "what the service has logged",
		Long: `Shows the last lines of the service's log: from the journal where systemd runs it, else
from the file in the state folder that "run --log-to-file" writes. With --json each line is
one object, alike from both.

What changed, why and how long it took is in "status --history" as well, for longer.`,
		Example: `  emr-accessd logs -n 100
  emr-accessd logs -f        # until Ctrl-C
  emr-accessd logs -f --json | jq -r 'select(.level == "error") | .text'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case n < 0:
				return usageError{fmt.Errorf("--lines %d: want a number of lines", n), cmd.CommandPath()}
			case f.user != "" || f.system: // without, it is whoever asks, root included
				if err := f.check(cmd); err != nil {
					return err
				}
			}
			if f.user != "" && !f.system {
				return a.asUser(cmd.Context(), f.user, "logs", fmt.Sprintf("--lines=%d", n), fmt.Sprintf("--follow=%t", follow))
			}
			return a.logs(cmd.Context(), f.user, n, follow)
		},
	}
	f.register(cmd)
	cmd.Flags().IntVarP(&n, "lines", "n", 50, "how many lines")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	return cmd
}

func (a *app) logs(ctx context.Context, forUser string, n int, follow bool) error {
	m, err := manager(forUser)
	if err == nil {
		if st, err := m.State(ctx); err == nil && st.Installed {
			if command := m.Journal(n, follow); command != nil {
				return a.journal(ctx, command)
			}
		}
	}
	path, ferr := logFile()
	if ferr != nil {
		return ferr
	}
	if forUser == "" && daemonlog.Exists(path) {
		return a.tail(ctx, path, n, follow)
	}
	if err != nil {
		return err
	}
	return a.notInstalled("logs", m, svcmgr.ErrNotInstalled)
}

// journal lets journalctl show the log.
func (a *app) journal(ctx context.Context, args []string) error {
	if a.flags.json {
		args = append(args, "--output=json", "--all") // else long messages are left out
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = a.Out, a.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	var err error
	if a.flags.json {
		err = a.entries(cmd)
	} else {
		err = cmd.Run()
	}
	if ctx.Err() != nil {
		return nil // Ctrl-C is how following ends
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return hinted{fmt.Errorf("%s: %w", args[0], err), exitFailed, "members of the group systemd-journal may read the journal (sudo usermod -aG systemd-journal $USER, then log in again)"}
	}
	return err
}

// entries shows the entries that journalctl prints, as they come.
func (a *app) entries(cmd *exec.Cmd) error {
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	for {
		line, end := lines.ReadBytes('\n')
		if end != nil {
			return cmd.Wait()
		}
		if !bytes.HasPrefix(line, []byte("{")) { // "-- No entries --"
			continue
		}
		r, err := daemonlog.ParseJournal(line)
		if err == nil {
			err = a.printLine(r)
		}
		if err != nil {
			_ = cmd.Process.Kill() // it would wait for somebody to read on
			_ = cmd.Wait()
			return err
		}
	}
}

// tail shows the log file.
func (a *app) tail(ctx context.Context, path string, n int, follow bool) error {
	show := func(line string) error {
		if a.flags.json {
			return a.printLine(daemonlog.ParseLine(line))
		}
		_, err := fmt.Fprintln(a.Out, printable(strings.ReplaceAll(line, "\t", "    "))) // a trace has tabs
		return err
	}
	lines, r, err := daemonlog.Tail(path, n)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := show(line); err != nil {
			return err
		}
	}
	if !follow {
		return nil
	}
	return r.Follow(ctx, show)
}
