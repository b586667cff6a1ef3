package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// redial connects to a cluster, and again when the link is lost: each time with a round, the node looked for anew, and its host key
// verified. Its methods are those of a sshsession.Link; connect comes first.
type redial struct {
	*app
	arg   string
	flags connectFlags

	revoked sync.Once // it was told

	mu   sync.Mutex
	p    *prepared // of the connection that stands, or stood last
	said string    // the last reason why there is none
}

// connect prepares and connects for the first time.
func (r *redial) connect(ctx context.Context) (*sshsession.Client, error) {
	p, err := r.prepare(ctx, r.arg, r.flags.stay)
	if err != nil {
		return nil, err
	}
	r.take(p)
	return r.open(ctx, p)
}

// open connects, and has the server tell whom it sees.
func (r *redial) open(ctx context.Context, p *prepared) (*sshsession.Client, error) {
	c, err := r.dial(ctx, p, r.flags)
	if err != nil {
		return nil, err
	}
	go func() {
		if addr, err := c.ServerView(context.WithoutCancel(ctx)); err == nil {
			r.compareView(p.report, addr)
		}
	}()
	return c, nil
}

// again is the connect function of a Link.
func (r *redial) again(ctx context.Context) (*sshsession.Client, error) {
	f := r.flags.stay
	f.again = true
	p, err := r.prepare(ctx, r.arg, f)
	if err != nil {
		if r.final(err) || ctx.Err() != nil {
			return nil, err
		}
		// AWS cannot be asked: the rule of the last time may admit us all the same.
		last := *r.current()
		last.report.Applied = false // it was changed long ago, and acts by now
		if c, derr := r.open(ctx, &last); derr == nil || sshsession.Permanent(derr) {
			return c, derr
		}
		return nil, err
	}
	r.take(p) // also where the connection fails: its session keeps the rule
	return r.open(ctx, p)
}

// refresh has the rule follow the address where the connection stands all the same, and no daemon does it: it may have to be made again.
// A link that is lost brings the rule in place by itself.
func (r *redial) refresh(ctx context.Context, link *sshsession.Link) {
	timer := time.NewTimer(2 * sshsession.ProbeWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C: // the link has been probed by now
	}
	p := r.current()
	if !link.Up() || p.keeper.Store.Running() {
		return
	}
	quiet := *p.keeper
	quiet.Progress, quiet.Log = nil, nil
	rep, err := quiet.Round(ctx, following(p.target))
	if err == nil {
		err = rep.Failed()
	}
	if errors.Is(err, keeper.ErrRevoked) {
		r.revoked.Do(func() { fmt.Fprintf(r.Err, "emr-accessd: %v; %s\n", err, backAgain) })
		return
	}
	if err != nil {
		r.logger().Debug("the rule could not be looked at", "error", err)
		return
	}
	for _, g := range rep.Targets[0].Groups {
		for _, c := range g.Changes {
			if c.Do == "add" || c.Do == "move" || c.Do == "join" {
				fmt.Fprintf(r.Err, "emr-accessd: your address has changed: %s %s, port %d (%s in %s)\n", past[c.Do], c.CIDR, c.Port, c.Rule, g.ID)
			}
		}
	}
}

// take makes a preparation the present one. The new session is open before the old one ends, so the rule is not given back between them.
func (r *redial) take(p *prepared) {
	r.mu.Lock()
	old := r.p
	r.p = p
	r.mu.Unlock()
	if old != nil {
		old.end()
	}
}

func (r *redial) current() *prepared {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.p
}

// end gives back what the session holds.
func (r *redial) end() {
	if p := r.current(); p != nil {
		r.status.say("giving the rule back")
		p.end()
		r.status.clear()
	}
}

// node is the node's own address in the cluster; the zero Addr where it is not known.
func (r *redial) node() netip.Addr {
	p := r.current()
	for _, n := range p.report.Targets[0].Place.Nodes {
		if n.Instance == p.verified.Verifier.Instance {
			return n.Private4
		}
	}
	return netip.Addr{}
}

// final tells what another try cannot mend.
func (r *redial) final(err error) bool {
	return sshsession.Permanent(err) || errors.Is(err, keeper.ErrEnded) || errors.Is(err, keeper.ErrRevoked) || commandLine(err)
}

func (r *redial) lost(err error) {
	r.said = ""
	r.note(err.Error() + "; connecting again")
}

// failed says why there is no connection yet, once for each reason: the same one every half a minute is no news.
func (r *redial) failed(err error, wait time.Duration) {
	r.logger().Debug("no connection yet", "error", err, "next", wait)
	if text := message(err); text != r.said {
		r.said = text
		r.note("not yet: " + text + "; trying again")
	}
}

func (r *redial) back(_ *sshsession.Client, away time.Duration) {
	r.note("connected again after " + away.Round(100*time.Millisecond).String())
}

// warnOnce leaves out warnings that were given already: each connection comes with those of a round.
type warnOnce struct {
	w     io.Writer
	mu    sync.Mutex
	given map[string]bool
}

// Write writes one message.
func (o *warnOnce) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if line := string(p); strings.HasPrefix(line, "emr-accessd: warning: ") {
		if o.given[line] {
			return len(p), nil
		}
		if o.given == nil || len(o.given) > 100 {
			o.given = map[string]bool{}
		}
		o.given[line] = true
	}
	return o.w.Write(p)
}
