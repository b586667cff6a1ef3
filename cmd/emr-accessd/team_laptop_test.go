package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// laptop is one installation.
type laptop struct {
	*team
	index  int
	script laptopScript
	k      *keeper.Keeper
	client *awsclient.Client
	due    time.Time // of the next round, AWS's clock
	failed int       // rounds in a row
	doze   int       // looks at the clock until it sleeps long; 0 = never
	gone   bool      // for good
	naps   atomic.Int64
	wire   int               // choices used up
	kill   int               // calls until it is killed; -1 = never
	disk   map[string][]byte // the state files at that instant

	// Guarded by the team's lock.
	dead      bool // killed, and its last round has not ended yet
	away      bool // asleep, dead or gone: nobody is promised anything
	addr      netip.Addr
	saw       netip.Addr // what the last look at the address found
	calls     int        // of this round
	releasing bool
	claim     claim     // what the last round told its user
	well      time.Time // since when nothing has disturbed it
	shut      time.Time // since when its address has been shut out; zero = it is not
	firmAt    time.Time // when its lease was to become firm; zero = it is
}

// claim is what a user was told: access from this address stands, and stays until then if the laptop does nothing.
type claim struct {
	rule, cidr string
	until      time.Time
}

func newLaptop(w *team, i int, s laptopScript) *laptop {
	l := &laptop{team: w, index: i, script: s, kill: -1, addr: netip.MustParseAddr(teamAddrs[s.Where]), well: w.start}
	l.boot()
	return l
}

// boot starts the program, with the state that is on disk.
func (l *laptop) boot() {
	dir := l.statePath(l)
	store, err := keeper.OpenStore(dir, "")
	if err != nil {
		l.Fatal(err)
	}
	l.client = nil
	l.k = &keeper.Keeper{Open: l.open, Watch: teamWatch{l}, Store: store, Who: "u@laptop", Lease: teamLease, Prefix6: 128, Transient: transient, Crowded: crowded, Wall: l.wall,
		Targets: []keeper.Target{{Label: "etl", Cluster: "j-1", Nodes: []string{"primary"}, Group: "managed", Port: 22, Lease: teamLease}}}
}

func (l *laptop) open(ctx context.Context, _, _ string) (keeper.Cloud, error) {
	if l.client == nil {
		c, err := awsclient.Open(ctx, awsclient.Options{Profile: teamUsers[l.script.User], HTTPClient: &http.Client{Transport: teamWire{l, l.sim.Client().Transport}}})
		if err != nil {
			return nil, err
		}
		l.client = c
	}
	return teamCloud{cloud{l.client}, l}, nil
}

// teamCloud knows where the cluster is, and has the laptop's clock.
type teamCloud struct {
	cloud
	l *laptop
}

func (c teamCloud) Resolve(context.Context, keeper.Target, keeper.Before) (keeper.Place, error) {
	return keeper.Place{Cluster: "j-1", State: "WAITING", Groups: []string{c.l.group},
		Nodes: []keeper.Node{{Instance: "i-1", Role: "primary", State: "RUNNING", Public4: netip.MustParseAddr("203.0.113.10")}}}, nil
}

func (c teamCloud) Rules(ctx context.Context, group string) (sgsync.View, error) {
	v, err := c.cloud.Rules(ctx, group)
	v.Sent = v.Sent.Add(c.l.script.Skew)
	return v, err
}

const napKinds = 48

// dozes: in a round that gives everything back no look at the address limits how old a read may be, but the clock.
func (l *laptop) dozes() time.Duration {
	if l.doze > 0 {
		if l.doze--; l.doze == 0 {
			return 50 * time.Second
		}
	}
	return 0
}

// teamNaps are the sleeps, by choice; any other is none.
var teamNaps = map[int]time.Duration{20: 7 * time.Second, 21: 13 * time.Second, 22: 25 * time.Second, 23: 50 * time.Second}

// wall is the laptop's clock. The laptop may sleep just before it is looked at.
func (l *laptop) wall() time.Time {
	if i := int(l.naps.Add(1)) - 1; i < len(l.script.Naps) && !l.isCalm() {
		if nap := max(teamNaps[l.script.Naps[i]], l.dozes()); nap > 0 {
			l.locked(func() {
				l.disturb()
				l.tell("%d sleeps for %v", l.index, nap)
			})
			time.Sleep(nap)
			l.locked(l.disturb)
		}
	}
	return time.Now().Add(l.script.Skew)
}

// locked runs f under the team's lock.
func (l *laptop) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// live follows the script, then goes on until everybody has stopped moving, and some time after.
func (l *laptop) live() {
	time.Sleep(time.Duration(l.index) * teamTick)
	l.round(keeper.Request{})
	for _, s := range l.script.Steps {
		l.idle(time.Now().Add(s.After))
		if l.act(s); l.gone || l.over() {
			break
		}
	}
	l.done()
	for !l.gone && !l.isCalm() && !l.over() {
		l.idle(time.Now().Add(time.Minute))
	}
	if l.gone || l.over() {
		return
	}
	l.locked(func() {
		l.away = false
		l.disturb()
		if !l.addr.IsValid() {
			l.addr = netip.MustParseAddr(teamAddrs[l.script.Where])
		}
	})
	l.round(keeper.Request{Check: true, Event: true})
	l.idle(time.Now().Add(teamLease + sgsync.Grace + teamLease/2 + 2*teamQuick))
}

// idle makes the rounds that are due until then.
func (l *laptop) idle(until time.Time) {
	for !l.over() {
		now := time.Now()
		if l.due.After(until) {
			time.Sleep(until.Sub(now))
			return
		}
		if l.due.After(now) {
			time.Sleep(l.due.Sub(now))
		}
		l.round(keeper.Request{})
	}
}

// id is the installation's.
func (l *laptop) id() string {
	if st, _ := l.k.Store.Load(); st.Installation != "" {
		return st.Installation
	}
	return keeper.Installation(l.statePath(l), "")
}

// pass is a time in which the laptop does nothing.
func (l *laptop) pass(d time.Duration) {
	l.locked(func() { l.away = true })
	time.Sleep(d)
	l.locked(func() { l.away = false; l.disturb() })
}

func (l *laptop) act(s teamStep) {
	event := keeper.Request{Check: true, Event: true}
	l.locked(func() { l.tell("%d does %d, %s, %v", l.index, s.Do, teamAddrs[s.Where], s.Span) })
	switch s.Do {
	case doMove:
		l.be(netip.MustParseAddr(teamAddrs[s.Where]))
		l.round(event)
	case doLook:
		l.round(keeper.Request{})
	case doOffline:
		l.be(netip.Addr{})
		l.round(event)
	case doSleep:
		l.pass(s.Span)
		l.round(event)
	case doKill, doKillForget, doKillForGood:
		l.be(netip.MustParseAddr(teamAddrs[s.Where])) // else there is little to be killed in
		l.kill = int(s.Span/time.Second) % 5
		l.round(event)
		l.kill = -1
		if s.Do == doKillForGood {
			l.locked(func() { l.gone, l.away, l.claim = true, true, claim{} })
			return
		}
		l.pass(s.Span)
		if s.Do == doKillForget {
			l.pass(sgsync.W + sgsync.Sigma) // with the state, own writes are lost that reads do not show yet
			_ = os.RemoveAll(l.statePath(l))
		}
		l.boot()
		l.round(keeper.Request{})
	case doLeave:
		l.doze = 2 + int(s.After/time.Second)%8
		l.round(keeper.Request{Release: true})
		l.pass(s.Span)
		l.round(keeper.Request{})
	}
}

// be moves the laptop to another network.
func (l *laptop) be(a netip.Addr) {
	l.locked(func() {
		l.addr, l.shut = a, time.Time{}
		l.disturb()
	})
	time.Sleep(20 * teamTick)
}

// disturb notes that something keeps the laptop from what it promises. The caller holds the lock.
func (l *laptop) disturb() { l.well = later(l.well, time.Now()) }

// backoff of the tests: the keeper's has jitter.
var teamBackoff = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}

func (l *laptop) round(req keeper.Request) {
	l.locked(func() {
		if l.calls, l.releasing = 0, req.Release; req.Release {
			l.claim, l.firmAt = claim{}, time.Time{}
		}
		l.watch()
	})
	rep, err := l.k.Round(context.Background(), req)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		l.buried()
		return
	}
	now := time.Now()
	if err == nil {
		err = rep.Failed()
	}
	st, _ := l.k.Store.Load()
	l.due = st.Status.NextRound.Add(-l.script.Skew)
	if err != nil {
		l.failed = min(l.failed+1, len(teamBackoff))
		l.due = now.Add(teamBackoff[l.failed-1])
		l.tell("%d: %v", l.index, err)
		l.disturb()
	} else {
		l.failed = 0
	}
	if limit := now.Add(keeper.DriftCheck - keeper.DriftCheck/8); l.due.After(limit) {
		l.due = limit // jitter must not change the schedule
	}
	if least := now.Add(20 * teamTick); l.due.Before(least) {
		l.due = least
	}
	if err == nil && !req.Release {
		l.believe(rep)
	}
	l.watch()
}

// teamFiles are what a round saves before its end.
var teamFiles = []string{"state.json", "state.jsonl"}

// buried restores what a process that was killed has left. The caller holds the lock.
func (l *laptop) buried() {
	l.dead = false
	l.claim, l.firmAt = claim{}, time.Time{}
	var err error
	for _, name := range teamFiles {
		path := l.k.Store.Path(name)
		if data, ok := l.disk[name]; ok {
			err = errors.Join(err, os.WriteFile(path, data, 0o600))
		} else if gone := os.Remove(path); !os.IsNotExist(gone) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		l.fault("state of a dead laptop: %v", err)
	}
	l.due = time.Now()
	l.disturb()
}

// teamWatch is what the laptop finds out about its address.
type teamWatch struct{ l *laptop }

func (w teamWatch) Observe(_ context.Context, f ipwatch.Family) ipwatch.Observation {
	time.Sleep(20 * teamTick)
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.l.saw = w.l.addr
	return ipwatch.Observation{Family: f, Answers: []ipwatch.Answer{{Addr: w.l.addr}}, At: time.Now().Add(w.l.script.Skew)}
}

func (w teamWatch) Lookup(context.Context, string) []netip.Addr { return nil }

func (w teamWatch) ConcludeFor(o ipwatch.Observation, _, _ []netip.Addr) ipwatch.Verdict {
	v := ipwatch.Verdict{Family: o.Family, State: ipwatch.Offline, At: o.At, Why: "no network"}
	if len(o.Answers) > 0 && o.Answers[0].Addr.IsValid() && o.Family == ipwatch.V4 {
		v.State, v.Addr = ipwatch.Confirmed, o.Answers[0].Addr
	}
	return v
}

func (w teamWatch) LocalVerdict(f ipwatch.Family, _ []netip.Addr) ipwatch.Verdict {
	return ipwatch.Verdict{Family: f, State: ipwatch.Offline}
}
