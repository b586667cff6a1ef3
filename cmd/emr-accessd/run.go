package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
	"github.com/spf13/cobra"
)

func (a *app) runCommand() *cobra.Command {
	var toFile bool
	var envFile string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "the daemon in the foreground (what the service runs)",
		Long: `Keeps the rules of all targets of the configuration, and of connect sessions, in step
with this computer's public address until it is stopped. It listens on nothing.
What it does goes to standard error, one line per change; "status" shows the rest.
The configuration is read at the start: "restart" makes the service read a new one.

"install" makes it a service. Where there is no service manager that install knows,
let your session start it:

  emr-accessd run --log-to-file   # "emr-accessd logs" shows the log`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := recalled(envFile); err != nil {
				return err
			}
			if _, set := os.LookupEnv("GOMAXPROCS"); !set {
				runtime.GOMAXPROCS(daemonThreads)
			}
			if toFile {
				if err := a.logToFile(); err != nil {
					return err
				}
			}
			err := a.load()
			if err == nil {
				err = a.daemon(cmd.Context())
			}
			if err != nil && toFile { // what is printed in the end has no time
				a.logger().Error("ended", slog.Any("error", err))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&toFile, "log-to-file", false, "write the log to a file of the state folder instead, which \"logs\" shows")
	cmd.Flags().StringVar(&envFile, "env-file", "", "further variables, from a `file` that install wrote")
	_ = cmd.Flags().MarkHidden("env-file")
	return cmd
}

// daemonThreads is how many threads of the daemon may run Go code at a time. It waits nearly always; with more of them
// each timer and each answer wakes several threads that look for work, and each garbage collection every one.
const daemonThreads = 1

// daemon runs until ctx ends.
func (a *app) daemon(ctx context.Context) error {
	k, err := a.keeper()
	if err != nil {
		return err
	}
	log := a.logger()
	for _, w := range config.Warnings(a.cfg) {
		log.Warn("the configuration loosens a promise", slog.String("setting", w))
	}
	det := k.Watch.(*ipwatch.Detector)
	notice := a.notice(det, func() []netip.Addr { return k.Reaching().Nodes }, func() []ipwatch.Family { return k.Reaching().Families },
		func() time.Duration { return a.interval(k.Store) })
	k.Noticing = notice.Notes
	k.Looked = func(v4, v6 ipwatch.Observation) {
		notice.looked(det.Conclude(v4, nil))
		if !v6.At.IsZero() {
			notice.looked(det.Conclude(v6, nil))
		}
	}
	hints, err := merged{notice, &a.signIn}.Events(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer a.tellDesktop(ctx, k)()
	defer stop() // before that wait
	k.Alone = func() {
		if f, ok := a.Err.(*daemonlog.File); ok {
			f.Own()
		}
		log.Info("started", slog.String("version", version()), slog.Int("targets", len(k.Targets)),
			slog.Duration("interval", a.cfg.Address.Interval), slog.String("state", k.Store.Dir()))
	}
	notify := svcmgr.NewNotifier()
	k.Pulse = func() { notify.Status(statusLine(k.Store, time.Now())) }
	k.PulseEvery = notify.Watchdog() / 3
	k.Progress = func(string) { notify.Alive() } // many targets that are slow to sign in are no loop that hangs
	err = k.Run(ctx, hints)
	notify.Stopping()
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// interval is how often it is looked behind the NAT: more often while somebody has a session open.
func (a *app) interval(store *keeper.Store) time.Duration {
	if store.Sessions() {
		return min(a.cfg.Address.Interval, ipwatch.SessionInterval)
	}
	return a.cfg.Address.Interval
}
