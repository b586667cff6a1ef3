package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// desk is a desktop that keeps what it shows.
type desk struct {
	mu    sync.Mutex
	shown []string
	fail  error
	hang  bool
}

func (d *desk) Show(ctx context.Context, m Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if d.fail == nil {
		d.shown = append(d.shown, m.Title)
	}
	return d.fail
}

// disk keeps the memory as the state folder does.
type disk struct{ data []byte }

func (k *disk) load() (m Memory) {
	_ = json.Unmarshal(k.data, &m)
	return m
}

func (k *disk) save(m Memory) (err error) {
	k.data, err = json.Marshal(m)
	return err
}

func matter(key string) Matter { return Matter{Key: key, Message: Message{Title: key}} }

func TestTeller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, k := &desk{}, &disk{}
		var log strings.Builder
		run := func() (stand func(...Matter), stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			teller := NewTeller(d, slog.New(slog.NewTextHandler(&log, nil)), k.load, k.save)
			done := make(chan struct{})
			go func() { teller.Run(ctx); close(done) }()
			return func(ms ...Matter) { teller.Stand(ms); time.Sleep(time.Minute); synctest.Wait() }, func() { cancel(); <-done }
		}
		want := func(what string) {
			t.Helper()
			if got := strings.Join(d.shown, " "); got != what {
				t.Errorf("shown: %q, want %q", got, what)
			}
		}
		// Nobody is logged in yet: it is in the log once, and shown when somebody is.
		d.fail = fmt.Errorf("%w: nobody", ErrNoDesktop)
		stand, stop := run()
		stand(matter("a"))
		stand(matter("a"))
		want("")
		if n := strings.Count(log.String(), "the user is told"); n != 1 {
			t.Errorf("told %d times in the log:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "no notification was shown"); n != 1 {
			t.Errorf("%d complaints in the log:\n%s", n, log.String())
		}
		d.fail = nil
		stand(matter("a"))
		want("a")
		// Another process knows that it was shown.
		stop()
		stand, stop = run()
		stand(matter("a"), matter("b"))
		want("a b")
		// One that hangs is given up, and the next look is not held up for long.
		d.hang = true
		stand(matter("c"))
		d.hang = false
		stand(matter("c"))
		want("a b c")
		stop()
	})
}

// A daemon that ends in the middle of showing a message knows afterwards that it was shown; one that hangs is left soon.
func TestTellerEnds(t *testing.T) {
	for _, takes := range []time.Duration{100 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			k := &disk{}
			ctx, cancel := context.WithCancel(t.Context())
			slow := desktopFunc(func(ctx context.Context, _ Message) error {
				select {
				case <-time.After(takes):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			teller := NewTeller(slow, slog.New(slog.DiscardHandler), k.load, k.save)
			done := make(chan struct{})
			go func() { teller.Run(ctx); close(done) }()
			teller.Stand([]Matter{matter("a")})
			synctest.Wait()
			begin := time.Now()
			cancel()
			<-done
			if shown := !k.load().Matters["a"].Shown.IsZero(); shown != (takes < lastWord) || time.Since(begin) > lastWord {
				t.Errorf("shown %v, ended after %v", shown, time.Since(begin))
			}
		})
	}
}

type desktopFunc func(context.Context, Message) error

func (f desktopFunc) Show(ctx context.Context, m Message) error { return f(ctx, m) }

// What stands is what was said last; an event is not lost for it.
func TestTellerKeepsEvents(t *testing.T) {
	teller := NewTeller(nil, slog.New(slog.DiscardHandler), nil, nil)
	event := matter("event")
	event.Once = true
	teller.Stand([]Matter{matter("old"), event})
	teller.Stand([]Matter{matter("new")})
	teller.Stand([]Matter{matter("newer")})
	var got []string
	for _, m := range <-teller.matters {
		got = append(got, m.Key)
	}
	if strings.Join(got, " ") != "newer event" {
		t.Errorf("%q", got)
	}
}

// An event for which there was no room is told when there is, unless another one has overtaken it or it is no news any more.
func TestTellerTellsEventsLater(t *testing.T) {
	event := func(key string) Matter {
		m := matter(key)
		m.Once = true
		return m
	}
	for name, tt := range map[string]struct {
		events []string // one a minute, when the hour is full
		idle   time.Duration
		want   string
	}{
		"later":           {[]string{"e1"}, 0, "e1"},
		"the last of two": {[]string{"e1", "e2"}, 0, "e2"},
		"no news":         {[]string{"e1"}, 2 * Window, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, k := &desk{}, &disk{}
				ctx, cancel := context.WithCancel(t.Context())
				teller := NewTeller(d, slog.New(slog.DiscardHandler), k.load, k.save)
				done := make(chan struct{})
				go func() { teller.Run(ctx); close(done) }()
				stand := func(ms ...Matter) { teller.Stand(ms); time.Sleep(time.Minute); synctest.Wait() }
				full := []Matter{matter("a"), matter("b"), matter("c"), matter("d")}
				stand(full...)
				for _, key := range tt.events {
					stand(append(slices.Clone(full), event(key))...)
				}
				time.Sleep(tt.idle)
				for range 3 * 60 {
					stand(full...)
				}
				cancel()
				<-done
				if got := strings.TrimPrefix(strings.Join(d.shown, " "), "a b c d"); strings.TrimSpace(got) != tt.want {
					t.Errorf("shown later: %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// Without a desktop the log is the means.
func TestTellerWithoutDesktop(t *testing.T) {
	var log strings.Builder
	k := &disk{}
	teller := NewTeller(nil, slog.New(slog.NewTextHandler(&log, nil)), k.load, k.save)
	for range 3 {
		teller.tell(t.Context(), k.load(), []Matter{matter("a\x1b[2Jb")})
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || strings.Contains(log.String(), "\x1b") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
