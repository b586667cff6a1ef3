//go:build unix

package keeper_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"golang.org/x/sys/unix"
)

// wire is a network on which connections to nodes end as a test says.
type wire struct {
	mu    sync.Mutex
	fails []error // of each attempt; the last one goes on
	tried []string
}

var errSilent = errors.New("i/o timeout")

func (w *wire) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.tried = append(w.tried, addr)
	err := w.fails[min(len(w.tried), len(w.fails))-1]
	w.mu.Unlock()
	switch {
	case errors.Is(err, errSilent):
		<-ctx.Done()
		return nil, err
	case err != nil:
		return nil, &net.OpError{Op: "dial", Err: err}
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

func (l *lab) wire(fails ...error) *wire {
	w := &wire{fails: fails}
	l.Keeper.Dial = w.dial
	return w
}

func TestProve(t *testing.T) {
	refused := error(unix.ECONNREFUSED)
	for name, c := range map[string]struct {
		fails []error
		state string
		says  string
		tries int
	}{
		"answers":         {[]error{nil}, keeper.ReachOpen, "answers", 1},
		"late":            {[]error{errSilent, errSilent, nil}, keeper.ReachOpen, "answers", 3},
		"nothing listens": {[]error{refused}, keeper.ReachRefused, "nothing listens on port 22", 1},
		"reset":           {[]error{unix.ECONNRESET}, keeper.ReachRefused, "the rule works", 1},
		"no answer":       {[]error{errSilent}, keeper.ReachSilent, "does not answer, though the rule for 192.0.2.1 stands", 4},
		"no route":        {[]error{unix.ENETUNREACH}, keeper.ReachNoRoute, "no route to 203.0.113.10:22", 15},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				w := l.wire(c.fails...)
				start := time.Now()
				rep := l.Prove(context.Background(), l.good(keeper.Request{}))
				r := rep.Targets[0].Reach
				if r == nil || r.State != c.state || !strings.Contains(r.Why, c.says) || r.Node != "203.0.113.10:22" {
					t.Fatalf("reach: %+v", r)
				}
				if len(w.tried) != c.tries || time.Since(start) > 20*time.Second {
					t.Errorf("tried %q in %v", w.tried, time.Since(start))
				}
				if kept := l.state().Status.Report.Targets[0].Reach; kept == nil || kept.State != c.state {
					t.Errorf("the state keeps %+v", kept)
				}
				// A round that puts nothing in place proves nothing, and what was proved stays known.
				again := l.Prove(context.Background(), l.good(keeper.Request{}))
				if len(w.tried) != c.tries {
					t.Errorf("tried again: %q", w.tried)
				}
				if kept := l.state().Status.Report.Targets[0].Reach; kept == nil || kept.State != c.state || again.Targets[0].Reach != nil && again.Targets[0].Reach.State != c.state {
					t.Errorf("the state keeps %+v", kept)
				}
				l.good(keeper.Request{Release: true})
				for _, t := range l.state().Status.Report.Targets {
					if t.Reach != nil {
						l.Errorf("given back, and still %+v", t.Reach)
					}
				}
			})
		})
	}
}

// A connection that a public rule admits proves nothing.
func TestProvePublic(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", "0.0.0.0/0")
		l.wire(nil)
		rep := l.Prove(context.Background(), l.good(keeper.Request{}))
		if r := rep.Targets[0].Reach; r == nil || r.State != keeper.ReachUnproven || !strings.Contains(r.Why, "sgr-1-1 lets everybody in") {
			t.Errorf("reach: %+v", r)
		}
	})
}

// Nothing is dialled in a dry run, for a node that does not run, without a rule of one's own, or when it is turned off.
func TestProveNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lab)
		req    keeper.Request
	}{
		"dry run":         {func(*lab) {}, keeper.Request{DryRun: true}},
		"address unknown": {func(l *lab) { l.v4(sight{state: ipwatch.Conflict}) }, keeper.Request{}},
		"bootstrapping": {func(l *lab) {
			p := l.world.places["j-1"]
			p.Nodes[0].State = "BOOTSTRAPPING"
		}, keeper.Request{}},
		"turned off": {func(l *lab) { l.Keeper.Dial = nil }, keeper.Request{}},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				w := l.wire(nil)
				c.change(l)
				if rep := l.Prove(context.Background(), l.round(c.req)); len(w.tried) > 0 || rep.Targets[0].Reach != nil {
					t.Errorf("tried %q: %+v", w.tried, rep.Targets[0].Reach)
				}
			})
		})
	}
}

// The daemon goes on while a port does not answer, and gives a proof up that another change has made pointless.
func TestDaemonProves(t *testing.T) {
	inLab(t, func(l *lab) {
		w := l.wire(errSilent)
		d := l.run()
		d.sleep(3 * time.Second)
		l.v4(at(office))
		d.hint(ipwatch.HintLink)
		d.sleep(0)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine") // while the first proof was under way
		w.mu.Lock()
		w.fails = []error{nil}
		w.mu.Unlock()
		d.sleep(20 * time.Second)
		if r := l.state().Status.Report.Targets[0].Reach; r == nil || r.State != keeper.ReachOpen {
			t.Errorf("reach: %+v", r)
		}
		w.mu.Lock()
		w.fails = []error{errSilent}
		w.mu.Unlock()
		l.v4(at(home))
		d.hint(ipwatch.HintLink)
		d.sleep(time.Second)
		d.stop() // at once, in the middle of a proof
	})
}
