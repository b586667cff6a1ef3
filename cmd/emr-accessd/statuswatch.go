package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// watchPoll is how often `status --watch` looks whether the state has changed: three times stat(2), a lock that is
// tried, and no network.
const watchPoll = time.Second

// watchedRecords is how many of the last changes are read: enough not to miss one between two looks.
const watchedRecords = 200

// statusWatch looks at the state of an installation, and reads it when it has changed.
type statusWatch struct {
	*app
	store *keeper.Store
	marks [3]fs.FileInfo
	view  statusView
	read  bool // once
}

// watchStatus runs `status --watch` until ctx ends or somebody has seen enough.
func (a *app) watchStatus(ctx context.Context, store *keeper.Store) error {
	w := &statusWatch{app: a, store: store}
	if s := newScreen(a.Out); s != nil && !a.flags.json {
		return w.live(ctx, s)
	}
	return w.lines(ctx)
}

// look reads what there is, if it may have changed, and reports whether it has been read.
func (w *statusWatch) look() bool {
	changed := !w.read
	for i, name := range []string{"state.json", "paused.json", "history.jsonl"} {
		info, _ := os.Stat(w.store.Path(name))
		old := w.marks[i]
		same := info == nil && old == nil ||
			info != nil && old != nil && os.SameFile(info, old) && info.Size() == old.Size() && info.ModTime().Equal(old.ModTime())
		changed = changed || !same
		w.marks[i] = info
	}
	p := w.view.answer.Paused // it ends by itself
	if !changed && w.store.Running() == w.view.answer.Running && (p == nil || p.Until.IsZero() || p.Until.After(time.Now())) {
		return false
	}
	w.read = true
	w.view.answer = w.statusOf(w.store)
	recent, _, err := w.store.History(time.Time{}, watchedRecords)
	if err != nil {
		w.view.answer.Warnings = append(w.view.answer.Warnings, err.Error())
	}
	w.view.recent = recent
	return true
}

// lines writes one line for each change.
func (w *statusWatch) lines(ctx context.Context) error {
	w.look()
	events := []statusEvent{{At: time.Now(), Event: "status", Status: &w.view.answer}}
	tick := time.NewTicker(watchPoll)
	defer tick.Stop()
	for {
		for _, e := range events {
			if err := w.write(e); err != nil {
				return err // nobody reads any more
			}
		}
		events = nil
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if old := w.view; w.look() {
				events = changesSince(old, w.view, now)
			}
		}
	}
}

func (w *statusWatch) write(e statusEvent) error {
	e.At = e.At.Round(0).UTC()
	if !w.flags.json {
		_, err := io.WriteString(w.Out, e.text())
		return err
	}
	return w.printLine(e)
}

// live redraws a terminal until ctx ends, or q or Ctrl-C is typed.
func (w *statusWatch) live(ctx context.Context, s *screen) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	restore := s.begin(w.In, cancel)
	defer restore()
	w.look()
	tick := time.NewTicker(watchPoll)
	defer tick.Stop()
	for {
		width, height := s.size()
		if err := s.draw(w.view.frame(time.Now(), width, height), width, height); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.redraw:
		case <-tick.C:
			w.look()
		}
	}
}
