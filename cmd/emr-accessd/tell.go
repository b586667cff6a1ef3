package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/notify"
)

// toldFile remembers what was told, in the state folder: a daemon that starts again does not repeat it.
const toldFile = "told.json"

// tellDesktop makes the daemon tell what only its user can settle. The function that it returns waits for the end.
func (a *app) tellDesktop(ctx context.Context, k *keeper.Keeper) (wait func()) {
	var desktop notify.Desktop
	if a.cfg.Notify.Desktop {
		desktop = notify.New()
	}
	load := func() (mem notify.Memory) {
		if err := k.Store.ReadJSON(toldFile, &mem); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.logger().Warn("what was told could not be read, and may be told again", slog.Any("error", err))
			return notify.Memory{}
		}
		return mem
	}
	teller := notify.NewTeller(desktop, a.logger(), load, func(mem notify.Memory) error { return k.Store.WriteJSON(toldFile, mem) })
	k.Noted = func(r *keeper.Record) {
		now := teller.Wall()
		if k.Store.Paused(now) != nil {
			return // the user has said that nothing is to be done
		}
		st, _ := k.Store.Load()
		ms := matters(st, a.cfg.Rules.Lease, now)
		if m, ok := changeMatter(r); ok && a.cfg.Notify.Changes {
			ms = append(ms, m)
		}
		teller.Stand(ms)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		teller.Run(ctx)
	}()
	return func() { <-done }
}
