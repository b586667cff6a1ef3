package keeper

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Run is the daemon: a round at the start, at each hint that the address may have changed, and whenever
// something is due. It returns when ctx ends, with nil; an error means that it could not begin.
func (k *Keeper) Run(ctx context.Context, hints <-chan ipwatch.Hint) error {
	release, err := k.Store.Daemon()
	if err != nil {
		return err
	}
	defer release()
	if k.Alone != nil {
		k.Alone()
	}
	l := loop{Keeper: k, in: newInbox(ctx, hints), settle: func() {}}
	defer func() { l.settle() }()
	l.pulse() // before anything that a command could hold up
	l.remember(ctx)
	req := Request{Why: "the daemon has started"}
	for {
		req.news, req.anew, req.known = l.in.news, l.anew, req.Check || l.crowded
		rep, err := k.Round(ctx, l.unattended(req))
		if ctx.Err() != nil {
			return nil
		}
		l.report(rep, err)
		if l.Noted != nil && err == nil {
			l.Noted(rep.news)
		}
		l.looked(rep, err)
		if err != nil || rep.Applied { // a look at the address asks nothing of AWS, and says nothing about its room
			l.crowded = err == nil && rep.crowded
		}
		l.prove(ctx, rep)
		l.pulse()
		req = l.wait(ctx)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// loop is what the daemon knows between rounds; all else is in the state.
type loop struct {
	*Keeper
	in      *inbox
	failed  int       // rounds in a row that could not be made at all
	said    string    // the last of their errors: one line a change, not one a round
	told    *Request  // what a hint asks for that no look has answered yet; nil: none does
	again   time.Time // when such an address is looked at again; zero: it is known
	look    *look     // the last one that settled everything
	asked   time.Time // when the last look began, monotonic: what happened before is in it
	pace    ipwatch.Pace
	due     dueTime
	settle  func() // ends the proof that is under way, and waits for its end
	paused  bool   // what was told last
	crowded bool   // AWS had no room for a call of the last round
}

// wait returns the next round to make. It ends early, with nothing to do, when ctx ends.
func (l *loop) wait(ctx context.Context) Request {
	due := time.NewTimer(l.nap(l.pause()))
	defer due.Stop()
	var again, allowed <-chan time.Time
	if !l.again.IsZero() {
		t := time.NewTimer(time.Until(l.again))
		defer t.Stop()
		again = t.C
	}
	if l.told != nil { // while a round without a look was due
		allowed = time.After(l.pace.Wait(time.Now()))
	}
	var beat <-chan time.Time
	if l.PulseEvery > 0 {
		t := time.NewTicker(l.PulseEvery)
		defer t.Stop()
		beat = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return Request{}
		case <-beat:
			l.pulse()
		case <-due.C:
			if d := l.untilDue(); d > 0 && l.failed == 0 { // or a command has made the round that was due
				due.Reset(l.nap(d))
				continue
			}
			return Request{recall: l.recall(), Why: "it was due"}
		case <-again:
			if allowed == nil {
				allowed = time.After(l.pace.Wait(time.Now()))
			}
		case <-allowed:
			check := Request{Check: true, Why: "the address was not known"}
			if l.told != nil {
				check = *l.told
			}
			l.told = nil
			return check
		case <-l.in.arrived:
			for _, h := range l.in.take(l.asked) {
				if h.Kind == ipwatch.HintStatus {
					l.remember(ctx)
					continue
				}
				if l.told == nil {
					l.told = &Request{Check: true, Why: cmp.Or(h.Reason, string(h.Kind)), Since: h.At}
				}
				if h.Kind != ipwatch.HintTimer {
					l.told.Event = true
					l.pace.Event()
				}
				l.log().Debug("the address may have changed", slog.String("event", string(h.Kind)), slog.String("reason", h.Reason))
				if allowed == nil {
					allowed = time.After(l.pace.Wait(time.Now()))
				}
			}
		}
	}
}

// pause is the time to the next round, when no hint comes earlier.
func (l *loop) pause() time.Duration {
	if l.failed > 0 {
		return jitter(backoff[min(l.failed, len(backoff))-1])
	}
	return l.untilDue()
}

// nap is how long to wait of a time: a command may set an earlier one. A pause after failures is not cut short.
func (l *loop) nap(d time.Duration) time.Duration {
	if l.failed > 0 {
		return d
	}
	return min(d, DuePoll)
}

// untilDue reads the due time from the state, which commands change too.
func (l *loop) untilDue() time.Duration {
	if p := l.Store.Paused(l.wall()); p != nil {
		l.look = nil // what was seen before a pause stands for nothing after it
		return p.left(l.wall())
	}
	return l.due.left(l.Store, l.wall())
}

// prove tries a rule that was put in place, beside the loop: a port that does not answer takes some time, and the
// address may change again meanwhile.
func (l *loop) prove(ctx context.Context, rep Report) {
	if l.Dial == nil || !slices.ContainsFunc(rep.Targets, func(t TargetReport) bool { _, ok := t.proving(); return ok && rep.Applied }) {
		return
	}
	l.settle()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	l.settle = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		for _, t := range l.Prove(ctx, rep).Targets {
			switch {
			case t.Reach == nil:
			case t.Reach.State == ReachOpen:
				l.log().Info("the port answers", slog.String("target", t.Target), slog.String("node", t.Reach.Node))
			default:
				l.log().Warn("the rule is not proved", slog.String("target", t.Target), slog.String("state", t.Reach.State), slog.String("why", t.Reach.Why))
			}
		}
	}()
}

// report logs one line per round that changed something or failed.
func (l *loop) report(rep Report, err error) {
	log := l.log()
	if err != nil {
		l.failed++
		if text := err.Error(); text != l.said {
			log.Error("the round could not be made", slog.Any("error", err))
			l.said = text
		}
		return
	}
	l.failed, l.said = 0, ""
	if !rep.Applied { // the address is what it was
		return
	}
	for _, w := range rep.Warnings {
		log.Warn("round", slog.String("warning", w))
	}
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				if c.Do != string(sgsync.Keep) && c.Do != string(sgsync.Borrow) {
					log.Info("rule changed", slog.String("target", t.Target), slog.String("do", c.Do), slog.String("group", g.ID),
						slog.String("rule", c.Rule), slog.String("cidr", c.CIDR), slog.String("why", c.Why), slog.Duration("round", rep.Took.Round(time.Millisecond)))
				}
			}
		}
		if t.Err != nil {
			log.Error("target failed", slog.String("target", t.Target), slog.Any("error", t.Err))
			continue
		}
		for _, v := range t.Verdicts {
			if v.Address == "" && v.State != string(ipwatch.Absent) {
				log.Warn(unknownAddress, slog.String("target", t.Target), slog.String("state", v.State), slog.String("why", strings.TrimSpace(v.Why)))
			}
		}
	}
}
