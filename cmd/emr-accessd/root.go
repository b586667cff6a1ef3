package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
	"github.com/spf13/cobra"
)

// streams are the standard streams: In and Out as files, because a session may be interactive.
type streams struct {
	In  *os.File
	Out io.Writer
	Err io.Writer
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, startedBy: whoStarted(os.Getenv)}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "emr-accessd",
		Short: "keep your own public IP authorized for SSH on an EMR cluster",
		Long: `emr-accessd keeps your own public IP authorized for SSH on an Amazon EMR cluster,
whatever network your laptop is on: it adds one rule for your address to the
cluster's security group, moves it when the address changes, and takes it away
again. It touches no rule that it did not make.

  emr-accessd demo                             see it work: no AWS account, no network needed
  emr-accessd connect j-2AXXXXXXGAPLF          make sure that you may, verify the host, log in
  emr-accessd sync j-2AXXXXXXGAPLF --dry-run   what would be changed
  emr-accessd install                          keep it so in the background`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyCommands,

		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.verb = cmd.Name()
			for i, n := range a.flags.nodes {
				a.flags.nodes[i] = config.NodeType(n)
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{plainFlag(err), cmd.CommandPath()} })
	a.flags.register(root.PersistentFlags())
	root.AddCommand(a.manCommand())
	root.AddCommand(a.demoCommand(), a.runCommand(), a.syncCommand(), a.statusCommand(), a.ipCommand(), a.connectCommand(),
		a.putCommand(), a.getCommand(), a.proxyCommand(), a.sshConfigCommand(), a.knownHostsCommand(), a.trustCommand(),
		a.revokeCommand(), a.sweepCommand(), a.auditCommand(), a.doctorCommand(), a.closeCommand(), a.clustersCommand(), a.initCommand(), a.policyCommand(), a.pauseCommand(), a.resumeCommand(), a.installCommand(), a.uninstallCommand(), a.startCommand(), a.stopCommand(), a.versionCommand())
	root.AddCommand(a.tunnelCommand())
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(a.restartCommand(), a.logsCommand(), a.asUserCommand())
	root.SuggestionsMinimumDistance = 2
	root.SetHelpCommand(helpCommand())
	group(root)
	a.completeClusters(root)
	return root
}

// logger writes for people and for journald, which adds the time itself.
func (a *app) logger() *slog.Logger {
	level := slog.LevelInfo
	if a.flags.verbose {
		level = slog.LevelDebug
	}
	f, ok := a.Err.(*os.File)
	return slog.New(daemonlog.NewHandler(a.Err, level, ok && daemonlog.ToJournal(f)))
}
