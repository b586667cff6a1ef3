package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// stay are the flags of every command that connects: where to, and how long the rule stays.
type stay struct {
	host string
	keep bool
	life time.Duration
}

func (f *stay) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.host, "host", "", "`host[:port]` to connect to in place of the primary node's address")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "keep the rule for one lease after the session")
	cmd.Flags().DurationVar(&f.life, "for", 0, "keep the rule for this long")
}

func (f *stay) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("for") && f.life <= 0 {
		return usageError{fmt.Errorf("--for %v: want a time to come, such as 2h", f.life), cmd.CommandPath()}
	}
	return nil
}

// afterSession is how long a temporary target outlives its session: the next one is often not far.
const afterSession = time.Hour

// prepared is a cluster that is ready to be connected to.
type prepared struct {
	keeper   *keeper.Keeper
	target   keeper.Target
	report   keeper.Report
	cluster  string            // its id; empty for a security group with --host
	verified sshsession.Target // where to dial and which host keys to accept; nobody is asked, no login
	end      func()            // to be called when the session is over
}

// prepare does what comes before every connection: it finds the cluster's primary node, brings the rule in place, and
// knows how the host key is verified.
func (a *app) prepare(ctx context.Context, arg string, f stay) (_ *prepared, err error) {
	if a.status == nil {
		a.status = newProgress(a.Err)
	}
	k, err := a.keeper()
	if err != nil {
		return nil, err
	}
	life := afterSession
	if f.keep {
		life = a.cfg.Rules.Lease
	}
	if f.life > 0 {
		life = f.life
	}
	targets, err := a.choose(ctx, []string{arg}, life, min(max(life, minLease), a.cfg.Rules.Lease))
	if err != nil {
		return nil, err
	}
	target := targets[0]
	if len(targets) > 1 {
		return nil, hinted{fmt.Errorf("%d targets of the configuration are called %s", len(targets), arg), exitUsage, "give the cluster's id (j-…)"}
	}
	end, err := a.session(ctx, k, target, !target.Until.IsZero() && !f.keep && f.life == 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	a.notePause(k.Store)
	rep, err := k.Round(ctx, keeper.Request{Targets: targets})
	if err != nil {
		return nil, err
	}
	a.status.clear()
	if err := a.mayConnect(rep); err != nil {
		return nil, err
	}
	place := rep.Targets[0].Place
	if ids := place.Clusters; len(ids) > 1 {
		return nil, hinted{fmt.Errorf("%d clusters fit %s: %s", len(ids), arg, strings.Join(ids, " ")), exitUsage, "give the id of the one you mean"}
	}
	node, addr, err := nodeAddress(rep.Targets[0], target, f.host)
	if err != nil {
		return nil, err
	}
	store, err := sshsession.OpenStore(a.statePath("known_hosts"))
	if err != nil {
		return nil, err
	}
	return &prepared{keeper: k, target: target, report: rep, cluster: place.Cluster, end: end, verified: sshsession.Target{
		Addr: addr, Dial: demoDial(),
		Verifier: sshsession.Verifier{Store: store, Instance: node.Instance, Console: a.console(target, node)},
		Warn:     func(err error) { fmt.Fprintf(a.Err, "emr-accessd: warning: %s\n", printable(err.Error())) }}}, nil
}

// minLease keeps a short --for long enough to be a lease at all.
const minLease = 10 * time.Minute

// mayConnect judges the round: a rule that could not be put in place is an error; an address that is not
// known is a warning, because the rule of the last time may still stand.
func (a *app) mayConnect(rep keeper.Report) error {
	if err := rep.Failed(); err != nil {
		return err
	}
	if !known(rep) {
		fmt.Fprintf(a.Err, "emr-accessd: warning: your address is not known for certain, so no rule was changed: %s\n", printable(whyUnknown(rep)))
	}
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				if c.Do == "add" || c.Do == "move" || c.Do == "join" {
					fmt.Fprintf(a.Err, "emr-accessd: %s %s, port %d (%s in %s)\n", past[c.Do], c.CIDR, c.Port, c.Rule, g.ID)
				}
			}
			if len(g.Public) > 0 {
				fmt.Fprintf(a.Err, "emr-accessd: warning: %s is open to the world by %v\n", g.ID, g.Public)
			}
		}
	}
	return nil
}

// nodeAddress chooses the node and the address to dial.
func nodeAddress(t keeper.TargetReport, target keeper.Target, host string) (keeper.Node, string, error) {
	var node keeper.Node
	for _, n := range t.Place.Nodes {
		if n.Role == "primary" {
			node = n
			break
		}
	}
	port := strconv.Itoa(target.Port)
	if host != "" {
		if h, p, err := net.SplitHostPort(host); err == nil {
			host, port = h, p
		}
		return node, net.JoinHostPort(host, port), nil
	}
	if node.Instance == "" {
		if t.Place.Cluster == "" {
			return node, "", hinted{errors.New("a security group has no node to connect to"), exitUsage, "name the cluster (j-…)"}
		}
		return node, "", hinted{fmt.Errorf("%s has no running primary node yet (%s)", t.Place.Cluster, t.Place.State), exitFailed, "try again when it runs; the rule stands already"}
	}
	v4, v6 := node.Public4, node.V6
	if target.Local {
		v4 = node.Private4
	}
	confirmed := func(f ipwatch.Family) bool { return t.Verdicts[f.String()].State == string(ipwatch.Confirmed) }
	switch {
	case v4.IsValid() && (confirmed(ipwatch.V4) || !v6.IsValid() || !confirmed(ipwatch.V6)):
		return node, net.JoinHostPort(v4.String(), port), nil
	case v6.IsValid():
		return node, net.JoinHostPort(v6.String(), port), nil
	}
	return node, "", keeper.ErrPrivate
}

// settleTime is how long a new rule may take to act: EC2 says "a small delay might occur".
const settleTime = 15 * time.Second

// settled connects by a function, again while a rule that was changed a moment ago may not act yet.
func (a *app) settled(ctx context.Context, p *prepared, connect func() error) error {
	addr := p.verified.Addr
	a.status.say("connecting to " + addr)
	defer a.status.clear()
	deadline := time.Now().Add(settleTime)
	for {
		err := connect()
		if err == nil {
			return nil
		}
		de, isDial := errors.AsType[*sshsession.DialError](err)
		// A group that does not admit us yet drops packets; a refusal comes from the host itself.
		wait := isDial && de.Problem != sshsession.DialRefused || errors.Is(err, sshsession.ErrHandshake)
		if !wait || !p.report.Changed() || time.Now().After(deadline) || ctx.Err() != nil {
			return explainDial(err, de, p.report, addr)
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
