package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

const (
	// watchDelay is how long a session must have lasted before its link is watched: most commands are over by then.
	watchDelay = 2 * time.Second
	// probeLimit is how long a server may take to answer after an event of the network.
	probeLimit = 3 * time.Second
)

// lookAgain are the pauses until the address is looked at again while it is not known, after an event.
var lookAgain = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second}

// linkWatch notices under a session that the network changes: it brings the rule in place for the new address, tells the
// user, and looks at once whether the connection still stands.
type linkWatch struct {
	say  func(format string, args ...any)
	cut  bool // end a connection that cannot come back, so that another one is made
	news chan struct{}

	// What the tests replace.
	hints func(context.Context) (<-chan ipwatch.Hint, error)
	round func(context.Context) (keeper.Report, error)

	revoked   sync.Once // it was told
	mu        sync.Mutex
	client    *sshsession.Client // nil while there is none
	blind     bool               // the connection is another program's, and cannot be probed
	addresses []string           // that the rules admit, as far as was told
}

func newLinkWatch(a *app, p *prepared, say func(string, ...any)) *linkWatch {
	quiet := *p.keeper
	quiet.Progress, quiet.Log = nil, nil
	w := &linkWatch{say: say, news: make(chan struct{}, 1), addresses: authorized(p.report)}
	w.hints = func(ctx context.Context) (<-chan ipwatch.Hint, error) {
		reach := func() keeper.Reaching { return quiet.Reaching() }
		silent := &app{streams: streams{Err: io.Discard}, flags: a.flags, cfg: a.cfg} // the terminal belongs to the session
		notice := silent.notice(quiet.Watch.(*ipwatch.Detector), func() []netip.Addr { return reach().Nodes }, func() []ipwatch.Family { return reach().Families },
			func() time.Duration { return min(a.cfg.Address.Interval, ipwatch.SessionInterval) })
		return notice.Events(ctx)
	}
	w.round = func(ctx context.Context) (keeper.Report, error) {
		req := following(p.target)
		req.Event = true
		return quiet.Round(ctx, req)
	}
	return w
}

// backAgain is what to do about a rule that was revoked under a session.
const backAgain = "emr-accessd connect or sync brings it back"

// start watches until the returned function is called.
func (w *linkWatch) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if sleep(ctx, watchDelay); ctx.Err() != nil {
			return
		}
		if hints, err := w.hints(ctx); err == nil { // without hints the keepalives have to do
			w.run(ctx, hints)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// follow names the connection to look after, and the round that it rests on; nil for none.
func (w *linkWatch) follow(c *sshsession.Client, rep keeper.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client, w.addresses = c, authorized(rep)
}

func (w *linkWatch) following() *sshsession.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client
}

// calm forgets events that have come.
func (w *linkWatch) calm() {
	select {
	case <-w.news:
	default:
	}
}

func (w *linkWatch) run(ctx context.Context, hints <-chan ipwatch.Hint) {
	var again <-chan time.Time
	tries := 0
	for {
		select {
		case <-ctx.Done():
			for range hints { // whoever gives them has ended when it is closed
			}
			return
		case h, ok := <-hints:
			if !ok {
				return
			}
			if h.Kind == ipwatch.HintStatus {
				continue
			}
			tries = 0
			select {
			case w.news <- struct{}{}:
			default:
			}
		case <-again:
		}
		again = nil
		if known := w.look(ctx); !known && tries < len(lookAgain) {
			again = time.After(lookAgain[tries])
			tries++
		}
	}
}

// changed notes the addresses of a round, and reports whether they are others than before.
func (w *linkWatch) changed(now []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.addresses
	w.addresses = now
	return !slices.Equal(old, now)
}

// look brings the rule in place and probes the connection, side by side. It reports whether nothing is left to be found out.
func (w *linkWatch) look(ctx context.Context) (isKnown bool) {
	client := w.following()
	if client == nil && !w.blind {
		return true // whoever connects makes a round
	}
	silent := make(chan error, 1)
	go func() {
		if client == nil {
			silent <- nil
			return
		}
		silent <- client.Probe(ctx, probeLimit)
	}()
	rep, err := w.round(ctx)
	moved := false
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, keeper.ErrPaused):
		isKnown = true // the user wants nothing to be changed
	case errors.Is(err, keeper.ErrRevoked):
		isKnown = true
		w.revoked.Do(func() {
			w.say("%v; %s", err, backAgain)
		})
	case err != nil || rep.Failed() != nil:
	case known(rep):
		isKnown = true
		if now := authorized(rep); w.changed(now) {
			moved = true
			w.say("your address is %s now; the rule admits it", strings.Join(now, " and "))
		}
	}
	problem := <-silent
	if client == nil || problem == nil || ctx.Err() != nil || client.Err() != nil || w.following() != client {
		return isKnown
	}
	if gone := !ownAddress(client.LocalAddr()); !gone && !moved {
		return isKnown // the network may come back; the keepalives judge
	}
	if w.cut {
		client.Abandon(errors.New("your address has changed, and the server does not answer"))
		return isKnown
	}
	w.say("this session was made from another address and does not answer; ~. ends it (with --reconnect it would come back by itself)")
	return isKnown
}

// authorized are the addresses that a round has concluded, in the order of their families.
func authorized(rep keeper.Report) (addrs []string) {
	for _, t := range rep.Targets {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			if v := t.Verdicts[f.String()]; v.State == string(ipwatch.Confirmed) && v.Address != "" {
				addrs = append(addrs, v.Address)
			}
		}
	}
	return addrs
}

// ownAddress reports whether this computer has the address still. When in doubt it does.
func ownAddress(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return true
	}
	all, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(all, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && (n.IP.Equal(tcp.IP) || n.IP.IsLoopback() && tcp.IP.IsLoopback())
	})
}
