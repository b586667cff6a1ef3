package ipwatch_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var (
	_ ipwatch.EventSource = (*ipwatch.Tripwire)(nil)
	_ ipwatch.Behind      = (*ipwatch.Tripwire)(nil)
)

var (
	homeAddr  = netip.MustParseAddr("198.51.100.7")
	otherAddr = netip.MustParseAddr("198.51.100.8")
	home6Addr = netip.MustParseAddr("2001:db8::7")
)

// world is the network around a tripwire in a bubble of synctest. A question takes 40 ms, and one that is not
// answered three seconds. Everybody sees addr, but for those in says.
type world struct {
	t     *testing.T
	wire  *ipwatch.Tripwire
	begin time.Time
	ctx   context.Context
	stop  func()

	mu        sync.Mutex
	addr      netip.Addr
	addr6     netip.Addr
	dead      map[string]bool // "stun", "dns", "https", or one server
	says      map[string]func(n int) netip.Addr
	noRoute   bool
	every     time.Duration
	asked     []question
	count     map[string]int
	hints     []ipwatch.Hint
	told      int // HintStatus
	done      chan struct{}
	concluded netip.Addr           // the last evidence
	keep      func(h ipwatch.Hint) // called with each hint, as the keeper would be
}

type question struct {
	who string
	f   ipwatch.Family
	at  time.Duration
}

// in makes a world with two STUN servers, two name servers and an HTTPS source, and runs f in it.
func in(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
		w.stop()
		if w.done != nil {
			<-w.done // the channel of hints is closed, else the bubble reports a deadlock
		}
	})
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, addr: homeAddr, addr6: home6Addr, dead: map[string]bool{}, count: map[string]int{}, says: map[string]func(int) netip.Addr{}, every: 30 * time.Second}
	w.ctx, w.stop = context.WithCancel(t.Context())
	w.wire = &ipwatch.Tripwire{
		STUN:     []ipwatch.Prober{fake{w, "stun a"}, fake{w, "stun b"}},
		DNS:      []ipwatch.Prober{fake{w, "dns a"}, fake{w, "dns b"}},
		Slow:     fake{w, "https aws"}.Probe,
		Interval: func() time.Duration { w.mu.Lock(); defer w.mu.Unlock(); return w.every },
		Routed:   func(ipwatch.Family) bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.noRoute },
	}
	return w
}

// start begins the looks.
func (w *world) start() *world {
	w.t.Helper()
	w.begin = time.Now()
	hints, err := w.wire.Events(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		for h := range hints {
			w.mu.Lock()
			if h.Kind == ipwatch.HintStatus {
				w.told++
				w.mu.Unlock()
				continue
			}
			w.hints = append(w.hints, h)
			keep := w.keep
			w.mu.Unlock()
			if keep != nil {
				keep(h)
			}
		}
	}()
	return w
}

// evidence makes the world's keeper: each hint is followed by a look at the true address, which is concluded; an
// address that is not known is looked at again now and then.
func (w *world) evidence() *world {
	look := func() {
		time.Sleep(150 * time.Millisecond)
		w.mu.Lock()
		addr := w.addr
		if w.noRoute || w.dead["https"] {
			addr = netip.Addr{}
		}
		w.concluded = addr
		w.mu.Unlock()
		w.wire.Concluded(ipwatch.V4, addr)
	}
	w.concluded = w.addr
	w.wire.Concluded(ipwatch.V4, w.addr)
	w.keep = func(ipwatch.Hint) { look() }
	go func() {
		for w.ctx.Err() == nil {
			select {
			case <-w.ctx.Done():
			case <-time.After(ipwatch.LookAgain):
				w.mu.Lock()
				known := w.concluded.IsValid()
				w.mu.Unlock()
				if !known {
					look()
				}
			}
		}
	}()
	return w
}

// set changes the world.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// known is the address that the evidence has confirmed.
func (w *world) known() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.concluded
}

// since returns and forgets what was asked and hinted.
func (w *world) since() (asked []question, hints []ipwatch.Hint) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, hints = w.asked, w.hints
	w.asked, w.hints = nil, nil
	return asked, hints
}

// noticed is how long a hint takes from now; it fails the test after limit.
func (w *world) noticed(limit time.Duration) time.Duration {
	w.t.Helper()
	w.since()
	begin := time.Now()
	for time.Since(begin) <= limit {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		w.mu.Lock()
		n := len(w.hints)
		w.mu.Unlock()
		if n > 0 {
			return time.Since(begin)
		}
	}
	w.t.Fatalf("nothing was noticed within %s; %+v", limit, w.wire.Status())
	return 0
}

func (w *world) family() ipwatch.FamilyWatch { return w.wire.Status().Families[ipwatch.V4] }

// method fails the test unless changes are noticed by this method, and its sentence has this part.
func (w *world) method(want ipwatch.Method, part string) {
	w.t.Helper()
	synctest.Wait()
	if got := w.family(); got.Method != want || !strings.Contains(got.Why, part) {
		w.t.Errorf("at %s: method %q (%s), want %q with %q", time.Since(w.begin), got.Method, got.Why, want, part)
	}
}

// of are the questions to those whose names begin so.
func of(asked []question, who string) []question {
	return slices.DeleteFunc(slices.Clone(asked), func(q question) bool { return !strings.HasPrefix(q.who, who) })
}

// fake is a server in a world.
type fake struct {
	w    *world
	name string
}

func (s fake) Probe(ctx context.Context, f ipwatch.Family) (ipwatch.Sighting, error) {
	w := s.w
	method, _, _ := strings.Cut(s.name, " ")
	w.mu.Lock()
	w.asked = append(w.asked, question{s.name, f, time.Since(w.begin)})
	w.count[s.name]++
	n := w.count[s.name]
	if w.noRoute {
		w.t.Errorf("%s was asked without a route", s.name)
	}
	deaf := w.dead[method] || w.dead[s.name]
	w.mu.Unlock()
	wait := 40 * time.Millisecond
	if deaf {
		wait = ipwatch.ProbeTimeout
	}
	select {
	case <-ctx.Done():
		return ipwatch.Sighting{}, ctx.Err()
	case <-time.After(wait):
	}
	if deaf {
		return ipwatch.Sighting{}, errors.New("no answer in time")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	addr := w.addr
	if f == ipwatch.V6 {
		addr = w.addr6
	}
	if say := w.says[s.name]; say != nil {
		addr = say(n)
	}
	return ipwatch.Sighting{Addr: addr, By: s.name}, nil
}
