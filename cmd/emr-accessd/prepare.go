package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// stay are the flags of every command that connects: where to, and how long the rule stays.
type stay struct {
	host  string
	node  string
	wait  bool
	keep  bool
	life  time.Duration
	which nodeChoice // node, once check has read it
	plain bool       // the caller is ssh's own proxy, or logs in nowhere: the ssh configuration is not asked
	again bool       // the connection was lost, and the time that the user has asked for runs already
}

func (f *stay) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.host, "host", "", "`host[:port]` to connect to in place of the node's address")
	registerNode(cmd, &f.node)
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until a cluster that starts runs")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "keep the rule for one lease, whenever the session ends")
	cmd.Flags().DurationVar(&f.life, "for", 0, "keep the rule for this long at least, whenever the session ends")
}

func (f *stay) check(cmd *cobra.Command) (err error) {
	if cmd.Flags().Changed("for") && f.life <= 0 {
		return usageError{fmt.Errorf("--for %v: want a time to come, such as 2h", f.life), cmd.CommandPath()}
	}
	f.which, err = parseNode(f.node)
	return err
}

// forSSH are the flags for a command that works for ssh, which knows its own configuration.
func (f stay) forSSH() stay {
	f.plain = true
	return f
}

// afterSession is how long a temporary target outlives its session: the next one is often not far.
const afterSession = time.Hour

// lasts is how long a temporary target, and the lease on its rule, are to last.
func (f stay) lasts(rules config.Rules) (life, lease time.Duration) {
	life = afterSession
	if f.keep {
		life = rules.Lease
	}
	if f.life > 0 {
		life = f.life
	}
	return life, min(max(life, minLease), rules.Lease)
}

// begin is a target of a session that begins now: a temporary one lasts from now on, and is kept beyond the session's end
// when that was asked for.
func (f stay) begin(t keeper.Target, rules config.Rules) keeper.Target {
	if t.Until.IsZero() {
		return t
	}
	if f.again {
		f.keep, f.life = false, 0
	}
	life, _ := f.lasts(rules)
	t.Until, t.Kept = time.Now().Add(life).Round(0), time.Time{}
	if f.keep || f.life > 0 {
		t.Kept = t.Until
	}
	return t
}

// prepared is a cluster that is ready to be connected to.
type prepared struct {
	keeper   *keeper.Keeper
	target   keeper.Target
	report   keeper.Report
	which    nodeChoice
	host     string            // --host
	options  sshOptions        // of the user's ssh configuration
	again    bool              // the connection was lost: what was said before is not said again
	patience time.Duration     // how long the node may still refuse connections
	cluster  string            // its id; empty for a security group with --host
	verified sshsession.Target // where to dial and which host keys to accept; nobody is asked, no login
	end      func()            // to be called when the session is over
}

// prepare does what comes before every connection: it finds the cluster's node, brings the rule in place, and
// knows how the host key is verified. The flags have been checked. Without a name for the cluster it asks for one.
func (a *app) prepare(ctx context.Context, arg string, f stay) (_ *prepared, err error) {
	if a.status == nil {
		a.status = newProgress(a.Err)
	}
	k, err := a.keeper()
	if err != nil {
		return nil, err
	}
	target, err := a.destination(ctx, arg, f)
	if err != nil {
		return nil, err
	}
	p := &prepared{keeper: k, target: target, which: f.which, host: f.host, again: f.again}
	if !f.plain {
		p.options = a.askSSH(ctx, target.Cluster)
		if o := p.options; o.port != 0 && !target.Until.IsZero() && !a.flags.changed("port") {
			p.target.Port = o.port // the configuration of this program knows the port of its own targets
		}
	}
	if f.wait {
		if err := a.await(ctx, target); err != nil {
			return nil, err
		}
		p.patience = bootTime
	}
	// What flags have made of a target of the configuration, no daemon keeps: it is the session's own, as any other.
	k.Targets = a.written()
	if p.target.Until.IsZero() && !slices.ContainsFunc(k.Targets, p.target.Same) {
		p.target.Until = time.Now()
		_, p.target.Lease = f.lasts(a.cfg.Rules)
	}
	p.target = f.begin(p.target, a.cfg.Rules)
	surviveReaders()
	if p.end, err = a.session(ctx, k, p.target); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.end()
		}
	}()
	if !f.again {
		a.notePause(k.Store)
	}
	if err := a.bring(ctx, p); err != nil {
		return nil, err
	}
	if !f.plain && target.Cluster == "" && p.cluster != "" { // found by its name or tags only now
		p.options = a.askSSH(ctx, p.cluster)
	}
	return p, nil
}

// surviveReaders has a write fail whose reader is gone, as of `connect … | head`: else it would end the program before the rule is
// given back. (It is not ignored: children would inherit that.)
var surviveReaders = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) })

// destination finds the target that the user means.
func (a *app) destination(ctx context.Context, arg string, f stay) (keeper.Target, error) {
	life, lease := f.lasts(a.cfg.Rules)
	var targets []keeper.Target
	var err error
	if arg == "" {
		targets, err = a.picked(ctx, life, lease)
	} else {
		targets, err = a.choose(ctx, []string{a.clusterArg(arg)}, life, lease)
	}
	if err != nil {
		return keeper.Target{}, err
	}
	target := targets[0]
	if len(targets) > 1 {
		return target, hinted{fmt.Errorf("%d targets of the configuration are called %s", len(targets), arg), exitUsage, "give the cluster's id (j-…)"}
	}
	if target.SecurityGroup != "" || slices.Contains(target.Nodes, f.which.wants()) {
		return target, nil
	}
	if err := a.flags.admits(f.which); err != nil {
		return target, err
	}
	// A rule for that node is not what the configuration asks for all day: it is the session's own.
	target.Nodes, target.Lease = []string{f.which.wants()}, lease
	target.Until = time.Now().Add(life).Round(0)
	return target, nil
}

// bring brings the rule in place, by a round, and finds the node. It is called again when the way to the node has changed.
func (a *app) bring(ctx context.Context, p *prepared) error {
	req := keeper.Request{Targets: []keeper.Target{p.target}}
	if p.again { // by itself, and not because somebody has asked for it just now
		req = following(p.target)
	}
	rep, err := p.keeper.Round(ctx, req)
	if err != nil {
		return err
	}
	a.status.clear()
	if err := a.mayConnect(rep, p.again); err != nil {
		return starting(err)
	}
	place := rep.Targets[0].Place
	if ids := place.Clusters; len(ids) > 1 {
		return hinted{fmt.Errorf("%d clusters fit %s: %s", len(ids), p.target.Label, strings.Join(ids, " ")), exitUsage, "give the id of the one you mean"}
	}
	node, addr, err := nodeAddress(rep.Targets[0], p.target, p.which, p.host)
	if err != nil {
		return err
	}
	store, err := sshsession.OpenStore(a.statePath("known_hosts"))
	if err != nil {
		return err
	}
	p.report, p.cluster = rep, place.Cluster
	p.verified = sshsession.Target{
		Addr: addr, Dial: demoDial(),
		Verifier: sshsession.Verifier{Store: store, Instance: node.Instance, Console: a.console(p.target, node)},
		Warn:     func(err error) { fmt.Fprintf(a.Err, "emr-accessd: warning: %s\n", printable(err.Error())) }}
	return nil
}

// minLease keeps a short --for long enough to be a lease at all.
const minLease = 10 * time.Minute

// mayConnect judges the round: a rule that could not be put in place is an error; an address that is not
// known is a warning, because the rule of the last time may still stand. Warnings are given once a session.
func (a *app) mayConnect(rep keeper.Report, again bool) error {
	if err := rep.Failed(); err != nil {
		return err
	}
	if !known(rep) && !again {
		fmt.Fprintf(a.Err, "emr-accessd: warning: your address is not known for certain, so no rule was changed: %s\n", printable(whyUnknown(rep)))
	}
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				if c.Do == "add" || c.Do == "move" || c.Do == "join" {
					fmt.Fprintf(a.Err, "emr-accessd: %s %s, port %d (%s in %s)\n", past[c.Do], c.CIDR, c.Port, c.Rule, g.ID)
				}
			}
			if len(g.Public) > 0 && !again {
				fmt.Fprintf(a.Err, "emr-accessd: warning: %s is open to the world by %v\n", g.ID, g.Public)
			}
		}
	}
	return nil
}

// settleTime is how long a new rule may take to act: EC2 says "a small delay might occur".
const settleTime = 15 * time.Second

// settled connects by a function, again while a rule that was changed a moment ago may not act yet, and while a node
// that has just started may not serve yet.
func (a *app) settled(ctx context.Context, p *prepared, connect func() error) error {
	addr := p.verified.Addr
	a.status.say("connecting to " + addr)
	defer a.status.clear()
	begin, patience := time.Now(), p.patience
	for {
		err := connect()
		if err == nil {
			return nil
		}
		de, isDial := errors.AsType[*sshsession.DialError](err)
		shut := isDial || errors.Is(err, sshsession.ErrHandshake)
		// A group that does not admit us yet drops packets; a refusal comes from the host itself.
		settles := shut && !(isDial && de.Problem == sshsession.DialRefused) && p.report.Changed() && time.Since(begin) < settleTime
		boots := shut && time.Since(begin) < patience
		if !settles && !boots || ctx.Err() != nil {
			return explainDial(err, de, p.report, addr)
		}
		if boots {
			a.status.say("waiting until " + addr + " serves SSH")
		}
		sleep(ctx, time.Second)
	}
}

// explainDial says what a failed connection means here.
func explainDial(err error, de *sshsession.DialError, rep keeper.Report, addr string) error {
	if de == nil {
		return err
	}
	rule := "no rule for your address was put in place"
	if known(rep) {
		rule = "the rule for your address stands"
	}
	switch de.Problem {
	case sshsession.DialTimeout:
		return hinted{err, exitFailed, rule + ", but " + addr + " does not answer: it may take some seconds to act; else look for a network ACL, a route, a private subnet, or an address that differs towards the cluster; `emr-accessd doctor` with the same arguments looks at all of them"}
	case sshsession.DialRefused, sshsession.DialReset:
		return hinted{err, exitFailed, rule + ", and the host answers, but nothing serves SSH there: is it the right --port? (emr-accessd doctor looks at everything)"}
	case sshsession.DialUnreachable:
		return hinted{err, exitFailed, "this computer has no route to " + addr + ": is the network up?"}
	}
	return err
}

// console fetches the host keys that the node printed at its first boot: the buffered output first, the
// present one where the buffer is empty.
func (a *app) console(target keeper.Target, node keeper.Node) func(context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
	client := a.client(target)
	if client == nil || node.Instance == "" {
		return nil
	}
	return func(ctx context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
		a.status.say("reading the host keys from the console of " + node.Instance)
		out, err := client.ConsoleOutput(ctx, node.Instance, false)
		if err != nil {
			return sshsession.HostKeys{}, sshsession.OriginConsole, err
		}
		keys, err := sshsession.ParseConsole(out)
		if !errors.Is(err, sshsession.ErrNoHostKeys) {
			return keys, sshsession.OriginConsole, err
		}
		if out, lerr := client.ConsoleOutput(ctx, node.Instance, true); lerr == nil {
			keys, err = sshsession.ParseConsole(out)
			return keys, sshsession.OriginConsoleLatest, err
		}
		return keys, sshsession.OriginConsole, err
	}
}
