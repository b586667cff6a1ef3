package main

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "the daemon in the foreground (what the service runs)",
		Long: `Keeps the rules of all targets of the configuration, and of connect sessions, in step
with this computer's public address until it is stopped. It listens on nothing.
What it does goes to standard error, one line per change; "status" shows the rest.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(); err != nil {
				return err
			}
			return a.daemon(cmd.Context())
		},
	}
}

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
	log.Info("started", slog.String("version", version()), slog.Int("targets", len(k.Targets)),
		slog.Duration("interval", a.cfg.Address.Interval), slog.String("state", k.Store.Dir()))
	err = k.Run(ctx, hints)
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
