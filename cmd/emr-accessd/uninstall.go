package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/spf13/cobra"
)

func (a *app) uninstallCommand() *cobra.Command {
	var f serviceFlags
	var revoke, keep bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "stop and remove the service",
		Long: `Stops and removes the service, and asks whether to give your rules back. Rules that are
kept stay open until their leases end (a day, unless the configuration says otherwise),
or until "revoke".
The configuration and the state stay.`,
		Example: `  emr-accessd uninstall --revoke       # do not ask, and leave nothing in AWS
  emr-accessd uninstall --keep-rules   # do not ask, and keep what is open now`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if revoke && keep {
				return usageError{errors.New("--revoke and --keep-rules contradict each other"), cmd.CommandPath()}
			}
			ctx := cmd.Context()
			if !revoke && !keep {
				var err error
				if revoke, err = a.askForRules(ctx); err != nil {
					return err
				}
			}
			if f.user != "" && !f.system {
				return a.asUser(ctx, f.user, "uninstall", fmt.Sprintf("--revoke=%t", revoke))
			}
			m, err := manager(f.user)
			if err != nil {
				return err
			}
			if err := a.uninstall(ctx, m); err != nil {
				return err
			}
			switch {
			case !revoke:
				fmt.Fprintln(a.Err, "emr-accessd: hint: your rules stay until their leases end; `emr-accessd revoke` gives them back now")
				return nil
			case f.system:
				return a.asUser(ctx, f.user, "revoke")
			}
			if err := a.load(); err != nil {
				return err
			}
			return a.revoke(ctx, nil, false, false)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&revoke, "revoke", false, "give the rules back, too")
	cmd.Flags().BoolVar(&keep, "keep-rules", false, "keep the rules until their leases end")
	return cmd
}

// askForRules asks whether to give the rules back. Without a terminal they are kept: that takes nothing away from
// anybody, and they end by themselves.
func (a *app) askForRules(ctx context.Context) (bool, error) {
	if !a.terminal() {
		return false, nil
	}
	fmt.Fprint(a.Err, "Give your rules back now, so that nothing of yours stays open? [y/N] ")
	line, err := readLine(ctx, bufio.NewReader(io.LimitReader(a.In, 256)))
	if ctx.Err() != nil {
		fmt.Fprintln(a.Err)
		return false, ctx.Err()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

func (a *app) uninstall(ctx context.Context, m svcmgr.Manager) error {
	st, err := m.State(ctx)
	if err != nil {
		return err
	}
	a.status = newProgress(a.Err)
	a.status.say("removing " + m.Describe())
	err = m.Uninstall(ctx)
	a.status.clear()
	switch {
	case err != nil:
		return fmt.Errorf("uninstall: %w", err)
	case !st.Installed:
		fmt.Fprintln(a.Err, "emr-accessd: there was no service")
	case st.Packaged:
		fmt.Fprintln(a.Err, "emr-accessd: the service is stopped and disabled; the program and its unit came with a package, which removes them")
	default:
		fmt.Fprintln(a.Err, "emr-accessd: the service is removed")
	}
	if runtime.GOOS == "linux" && os.Geteuid() != 0 {
		if _, err := os.Stat(filepath.Join(lingering, invoker())); err == nil {
			fmt.Fprintln(a.Err, "emr-accessd: note: your user's services run without a log-in, others among them perhaps; `loginctl disable-linger` ends that")
		}
	}
	return nil
}
