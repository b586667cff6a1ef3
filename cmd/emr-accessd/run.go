package main

import (
	"context"
	"log/slog"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
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
	source := ipwatch.Timer{Interval: a.cfg.Address.Interval, Jitter: ipwatch.DefaultJitter}
	timer, err := source.Events(ctx)
	if err != nil {
		return err
	}
	hints := make(chan ipwatch.Hint, 16)
	go forward(ctx, timer, hints)
	if demoBind() != nil {
		go demoEvents(ctx, hints)
	}
	log.Info("started", slog.String("version", version()), slog.Int("targets", len(k.Targets)),
		slog.Duration("interval", a.cfg.Address.Interval), slog.String("state", k.Store.Dir()))
	err = k.Run(ctx, hints)
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// forward merges hints; one that does not fit is dropped, because each says the same.
func forward(ctx context.Context, from <-chan ipwatch.Hint, to chan<- ipwatch.Hint) {
	for {
		select {
		case <-ctx.Done():
			return
		case h, ok := <-from:
			if !ok {
				return
			}
			select {
			case to <- h:
			default:
			}
		}
	}
}
