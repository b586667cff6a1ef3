package daemonlog

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// NewHandler writes one line a record, as text. For the journal each begins with its priority (sd-daemon(3)) and has no
// time, which journald adds.
func NewHandler(w io.Writer, level slog.Level, journal bool) slog.Handler {
	if !journal {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, at slog.Attr) slog.Attr {
		if len(groups) == 0 && (at.Key == slog.TimeKey || at.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return at
	}}
	var mu sync.Mutex
	h := make(byPriority, len(priorities))
	for i, p := range priorities {
		h[i] = slog.NewTextHandler(&prefixed{w, p.prefix, &mu}, opts)
	}
	return h
}

// priorities are those of syslog(3), from the highest level down.
var priorities = []struct {
	level  slog.Level
	prefix string
}{{slog.LevelError, Error}, {slog.LevelWarn, "<4>"}, {slog.LevelInfo, "<6>"}, {slog.LevelDebug, "<7>"}}

// Error is the mark of an error in the journal.
const Error = "<3>"

// byPriority has a handler for each priority.
type byPriority []slog.Handler

func (h byPriority) of(level slog.Level) slog.Handler {
	for i, p := range priorities {
		if level >= p.level {
			return h[i]
		}
	}
	return h[len(h)-1]
}

func (h byPriority) Enabled(ctx context.Context, level slog.Level) bool {
	return h[0].Enabled(ctx, level)
}

func (h byPriority) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

func (h byPriority) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.each(func(x slog.Handler) slog.Handler { return x.WithAttrs(attrs) })
}

func (h byPriority) WithGroup(name string) slog.Handler {
	return h.each(func(x slog.Handler) slog.Handler { return x.WithGroup(name) })
}

func (h byPriority) each(f func(slog.Handler) slog.Handler) byPriority {
	out := make(byPriority, len(h))
	for i, x := range h {
		out[i] = f(x)
	}
	return out
}

// prefixed writes a record, which slog hands over in one call, as one line with its prefix.
type prefixed struct {
	w      io.Writer
	prefix string
	mu     *sync.Mutex
}

func (p *prefixed) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
