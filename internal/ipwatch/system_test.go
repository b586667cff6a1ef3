package ipwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var (
	_ ipwatch.EventSource = (*ipwatch.System)(nil)
	_ ipwatch.EventSource = ipwatch.Poll{}
)

// neverSays is a registration that never says anything.
func neverSays(ctx context.Context, _ func(ipwatch.Hint)) error {
	<-ctx.Done()
	return nil
}

// pollWorld is a computer whose only interface has the address addr.
type pollWorld struct {
	mu    sync.Mutex
	addr  string
	err   error
	takes int
}

// now changes the world.
func (w *pollWorld) now(addr string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addr, w.err = addr, err
}

func (w *pollWorld) take() (ipwatch.Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.takes++; w.err != nil {
		return ipwatch.Snapshot{}, w.err
	}
	return ipwatch.Snapshotter{
		Interfaces: func() ([]ipwatch.Interface, error) {
			return []ipwatch.Interface{{Name: "wlan0", Up: true, Addrs: []netip.Addr{netip.MustParseAddr(w.addr)}}}, nil
		},
		LocalAddr: func(f ipwatch.Family, _ netip.Addr) (netip.Addr, error) {
			if f == ipwatch.V6 {
				return netip.Addr{}, ipwatch.ErrNoRoute
			}
			return netip.MustParseAddr(w.addr), nil
		},
	}.Take()
}

func TestSystemPassesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var ended atomic.Int32
		say := func(h ipwatch.Hint) ipwatch.FakeListening {
			return func(ctx context.Context, put func(ipwatch.Hint)) error {
				put(h)
				<-ctx.Done()
				ended.Add(1)
				return errors.New("closed")
			}
		}
		s := ipwatch.NewFakeSystem(say(ipwatch.Hint{Kind: ipwatch.HintLink, Reason: "a"}), say(ipwatch.Hint{Kind: ipwatch.HintWake, Reason: "b", Lost: true}), ipwatch.Poll{}, nil)
		hints, err := s.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for range 2 {
			h := <-hints
			if !h.At.Equal(time.Now()) {
				t.Errorf("hint at %v", h.At)
			}
			got = append(got, tellHint(h))
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"!wake: b", "link: a"}) {
			t.Errorf("hints %q", got)
		}
		if n := s.Notes(); len(n) != 0 {
			t.Errorf("notes %q", n)
		}
		cancel()
		if h, open := <-hints; open {
			t.Errorf("a hint after the end: %+v", h)
		}
		if n := s.Notes(); len(n) != 0 || ended.Load() != 2 { // an end that was asked for is no failure
			t.Errorf("notes %q, %d ended", n, ended.Load())
		}
	})
}

// TestSystemRefused: where the system refuses, addresses and the clock are compared, and the notes say so.
func TestSystemRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &pollWorld{addr: "192.168.1.5"}
		var slept atomic.Int64
		wall := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		s := ipwatch.NewFakeSystem(nil, nil, ipwatch.Poll{Take: w.take}, wall)
		if n := s.Notes(); len(n) != 0 {
			t.Errorf("notes %q before the beginning", n)
		}
		hints, err := s.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`The system's network events are not to be had (netlink: not\x1b[31m permitted): addresses are compared every 10s instead.`,
			`The system does not tell when it wakes up or its clock is set (timerfd: not\x1b[31m permitted): that is noticed within 15s instead.`,
		}
		if n := s.Notes(); !slices.Equal(n, want) {
			t.Errorf("notes %q", n)
		}
		begin := time.Now()
		time.Sleep(time.Hour)
		w.now("10.0.0.7", nil)
		h := <-hints
		if h.Kind != ipwatch.HintAddress || !h.Lost || !strings.Contains(h.Reason, "wlan0 has 10.0.0.7 now, and lost 192.168.1.5") || time.Since(begin) > time.Hour+10*time.Second {
			t.Errorf("%s after %s", tellHint(h), time.Since(begin))
		}
		slept.Store(int64(8 * time.Hour))
		if h := <-hints; h.Kind != ipwatch.HintWake || !h.Lost || time.Since(begin) > time.Hour+25*time.Second {
			t.Errorf("%s after %s", tellHint(h), time.Since(begin))
		}
		cancel()
		if h, open := <-hints; open {
			t.Errorf("a hint after the end: %+v", h)
		}
	})
}

// TestSystemBreaks: events that end in the middle are replaced, and what was missed meanwhile is looked for.
func TestSystemBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &pollWorld{addr: "192.168.1.5"}
		breaks := func(context.Context, func(ipwatch.Hint)) error {
			time.Sleep(time.Minute)
			return errors.New("netlink: bad file descriptor")
		}
		s := ipwatch.NewFakeSystem(breaks, neverSays, ipwatch.Poll{Interval: time.Second, Take: w.take}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		hints, err := s.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Notes(); len(n) != 0 {
			t.Errorf("notes %q", n)
		}
		if h := <-hints; tellHint(h) != "!overflow: the system's events have ended" {
			t.Errorf("hint %s", tellHint(h))
		}
		if h := <-hints; h.Kind != ipwatch.HintStatus {
			t.Errorf("hint %s", tellHint(h))
		}
		if n := s.Notes(); len(n) != 1 || !strings.Contains(n[0], "bad file descriptor): addresses are compared every 1s") {
			t.Errorf("notes %q", n)
		}
		w.now("192.168.1.6", nil)
		if h := <-hints; h.Kind != ipwatch.HintAddress {
			t.Errorf("hint %s", tellHint(h))
		}
		cancel()
		for range hints {
		}
		// What works again is no longer in the notes.
		ctx, cancel = context.WithCancel(t.Context())
		if hints, err = s.Events(ctx); err != nil || len(s.Notes()) != 0 {
			t.Errorf("%v, notes %q", err, s.Notes())
		}
		cancel()
		for range hints {
		}
	})
}

// TestSlowReader: nobody reads while hundreds of hints come; the loss among them is not lost.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, at := range []int{0, 63, 64, 200, 499} {
		var in []ipwatch.Hint
		begin := time.Now()
		for n := range 500 {
			h := ipwatch.Hint{Kind: ipwatch.HintRoute, Reason: fmt.Sprint(n), At: begin.Add(time.Duration(n))}
			if n == at {
				h.Kind, h.Lost = ipwatch.HintAddress, true
			}
			in = append(in, h)
		}
		left := ipwatch.Merged(in...)
		losses := 0
		for _, h := range left {
			if h.Lost && h.Kind == ipwatch.HintAddress && h.Reason == fmt.Sprint(at) {
				losses++
			}
		}
		if len(left) > 64 || losses != 1 {
			t.Errorf("loss at %d: %d hints are left, %d of them the loss", at, len(left), losses)
		}
		if last := left[len(left)-1]; !last.At.Equal(in[499].At) {
			t.Errorf("loss at %d: the last hint is from %v, want the time of the newest", at, last.At)
		}
	}
	// A loss is more than the kind.
	lost := ipwatch.Merged(append(make([]ipwatch.Hint, 64), ipwatch.Hint{Kind: ipwatch.HintRoute, Reason: "gone", Lost: true}, ipwatch.Hint{Kind: ipwatch.HintLink})...)[63]
	if lost.Kind != ipwatch.HintRoute || lost.Reason != "gone" || !lost.Lost {
		t.Errorf("%+v", lost)
	}
	// The most serious one is kept, and a loss with it.
	full := make([]ipwatch.Hint, 64)
	left := ipwatch.Merged(append(full, ipwatch.Hint{Kind: ipwatch.HintWake, Reason: "woke", Lost: true}, ipwatch.Hint{Kind: ipwatch.HintOverflow, Reason: "full", Lost: true}, ipwatch.Hint{Kind: ipwatch.HintLink})...)
	if last := left[63]; last.Kind != ipwatch.HintWake || last.Reason != "woke" || !last.Lost {
		t.Errorf("%+v", last)
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	if _, err := (ipwatch.Poll{Interval: -1}).Events(t.Context()); err == nil {
		t.Error("a negative interval was accepted")
	}
	if _, err := (&ipwatch.System{Poll: ipwatch.Poll{Interval: -1}}).Events(t.Context()); err == nil {
		t.Error("a system with a negative interval was accepted")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &pollWorld{addr: "192.168.1.5"}
		hints, err := ipwatch.Poll{Take: w.take}.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		expect := func(want string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			select {
			case h := <-hints:
				if tellHint(h) != want {
					t.Errorf("hint %s, want %s", tellHint(h), want)
				}
			default:
				if want != "" {
					t.Errorf("no hint, want %s", want)
				}
			}
		}
		time.Sleep(time.Second) // off the tick
		expect("")
		w.now("192.168.1.5", errors.New("no \x07memory"))
		expect(`!overflow: the addresses cannot be compared: no \amemory`)
		expect("")
		w.now("192.168.1.5", nil)
		expect("!overflow: the addresses can be compared again")
		expect("")
		w.now("192.168.1.6", nil)
		expect("!address: wlan0 has 192.168.1.6 now, and lost 192.168.1.5; the way to the internet over IPv4 is from 192.168.1.6 now, and was from 192.168.1.5")
		expect("")
		cancel()
		if _, open := <-hints; open {
			t.Error("the channel is still open after the end")
		}
		if want := 1 + int(time.Since(begin)/(10*time.Second)); w.takes != want {
			t.Errorf("%d snapshots in %s, want %d", w.takes, time.Since(begin), want)
		}
	})
}

func TestJump(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		d    time.Duration
		want string // a part
	}{
		{15 * time.Second, ""}, {22 * time.Second, ""}, {8 * time.Second, ""},
		{23 * time.Second, "slept"}, {8 * time.Hour, "slept"}, {7 * time.Second, "back"}, {-time.Hour, "back"},
	} {
		got := ipwatch.Jump(noon, noon.Add(c.d), 15*time.Second)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.d, got)
		}
	}
	// The monotonic clock stands still in sleep; only the wall counts.
	now := time.Now()
	if got := ipwatch.Jump(now, now.Add(time.Hour).Round(0), 15*time.Second); !strings.Contains(got, "slept") {
		t.Errorf("%q", got)
	}
}
