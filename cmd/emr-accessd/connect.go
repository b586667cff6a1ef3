package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// connectFlags are the flags of connect alone.
type connectFlags struct {
	identity []string
	login    string
	host     string
	keep     bool
	life     time.Duration
}

// afterSession is how long a temporary target outlives its session: the next one is often not far.
const afterSession = time.Hour

func (a *app) connectCommand() *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect [flags] CLUSTER [-- COMMAND…]",
		Short: "make sure that you may, verify the host, and open a session or run a command",
		Long: `Brings the rule for your address in place, finds the cluster's primary node, verifies
its host key (by what the node printed to EC2's console at its first boot; else it
asks), and opens a session there as hadoop, or runs one command.

A cluster that is not in the configuration needs none: its rule is given back at
the end of the session, unless the daemon runs or --keep says otherwise.

The exit status is the remote one, or 255 for a failure of the connection itself.`,
		Example: `  emr-accessd connect j-2AXXXXXXGAPLF
  emr-accessd connect -i ~/.ssh/team.pem j-2AXXXXXXGAPLF -- yarn application -list`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if cmd.Flags().Changed("for") && f.life <= 0 {
				return usageError{fmt.Errorf("--for %v: want a time to come, such as 2h", f.life), cmd.CommandPath()}
			}
			return a.connect(cmd.Context(), args[0], args[1:], f)
		},
	}
	cmd.Flags().StringArrayVarP(&f.identity, "identity", "i", nil, "private key `file` to log in with")
	cmd.Flags().StringVarP(&f.login, "login", "l", "hadoop", "user to log in as")
	cmd.Flags().StringVar(&f.host, "host", "", "`host[:port]` to connect to in place of the primary node's address")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "keep the rule for one lease after the session")
	cmd.Flags().DurationVar(&f.life, "for", 0, "keep the rule for this long")
	return cmd
}

func (a *app) connect(ctx context.Context, arg string, command []string, f connectFlags) error {
	a.status = newProgress(a.Err)
	k, err := a.keeper()
	if err != nil {
		return err
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
		return err
	}
	target := targets[0]
	if len(targets) > 1 {
		return hinted{fmt.Errorf("%d targets of the configuration are called %s", len(targets), arg), exitUsage, "give the cluster's id (j-…)"}
	}
	end, err := a.session(ctx, k, target, !target.Until.IsZero() && !f.keep && f.life == 0)
	if err != nil {
		return err
	}
	defer end()
	a.notePause(k.Store)
	rep, err := k.Round(ctx, keeper.Request{Targets: targets})
	if err != nil {
		return err
	}
	a.status.clear()
	if err := a.mayConnect(rep); err != nil {
		return err
	}
	if ids := rep.Targets[0].Place.Clusters; len(ids) > 1 {
		return hinted{fmt.Errorf("%d clusters fit %s: %s", len(ids), arg, strings.Join(ids, " ")), exitUsage, "give the id of the one you mean"}
	}
	node, addr, err := nodeAddress(rep.Targets[0], target, f.host)
	if err != nil {
		return err
	}
	client, err := a.dial(ctx, target, rep, node, addr, f)
	if err != nil {
		return err
	}
	defer client.Close()
	return a.use(ctx, client, rep, command)
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

// dial connects and logs in. A rule that was changed a moment ago may need some seconds to act.
func (a *app) dial(ctx context.Context, target keeper.Target, rep keeper.Report, node keeper.Node, addr string, f connectFlags) (*sshsession.Client, error) {
	store, err := sshsession.OpenStore(a.statePath("known_hosts"))
	if err != nil {
		return nil, err
	}
	t := sshsession.Target{Addr: addr, Dial: demoDial(), Env: os.Environ(),
		Verifier: sshsession.Verifier{Store: store, Instance: node.Instance, Console: a.console(target, node)},
		Login:    sshsession.Login{User: f.login, KeyFiles: f.identity, Folder: sshFolder(), Agent: sshsession.DefaultAgent(), WantPublicKey: a.keyPair(ctx, target, rep)},
		Banner:   func(text string) { fmt.Fprintf(a.Err, "%s\n", printable(text)) },
		Warn:     func(err error) { fmt.Fprintf(a.Err, "emr-accessd: warning: %s\n", printable(err.Error())) }}
	if p, err := sshsession.OpenPrompter(); err == nil {
		defer p.Close()
		t.Verifier.Ask = func(ctx context.Context, q sshsession.Question) (bool, error) {
			a.status.clear()
			return p.HostKey(ctx, q)
		}
		t.Login.Passphrase = func(ctx context.Context, file string) ([]byte, error) {
			a.status.clear()
			return p.Passphrase(ctx, file)
		}
	}
	a.status.say("connecting to " + addr)
	defer a.status.clear()
	deadline := time.Now().Add(settleTime)
	for {
		c, err := sshsession.Dial(ctx, t)
		if err == nil {
			return c, nil
		}
		de, isDial := errors.AsType[*sshsession.DialError](err)
		// A group that does not admit us yet drops packets; a refusal comes from the host itself.
		wait := isDial && de.Problem != sshsession.DialRefused || errors.Is(err, sshsession.ErrHandshake)
		if !wait || !rep.Changed() || time.Now().After(deadline) || ctx.Err() != nil {
			return nil, explainDial(err, de, rep, addr)
		}
		sleep(ctx, time.Second)
	}
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

// keyPair is the public key of the cluster's key pair; it only helps to find the right private key.
func (a *app) keyPair(ctx context.Context, target keeper.Target, rep keeper.Report) string {
	client, name := a.client(target), rep.Targets[0].Place.KeyName
	if client == nil || name == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	key, err := client.KeyPair(ctx, name)
	if err != nil {
		a.logger().Debug("the cluster's key pair could not be read", "error", err)
	}
	return key
}

func sshFolder() string {
	if u, err := user.Current(); err == nil {
		return filepath.Join(u.HomeDir, ".ssh")
	}
	return ""
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
		return hinted{err, exitFailed, rule + ", but " + addr + " does not answer: it may take some seconds to act; else look for a network ACL, a route, a private subnet, or an address that differs towards the cluster (emr-accessd ip)"}
	case sshsession.DialRefused, sshsession.DialReset:
		return hinted{err, exitFailed, rule + ", and the host answers, but nothing serves SSH there: is it the right --port?"}
	case sshsession.DialUnreachable:
		return hinted{err, exitFailed, "this computer has no route to " + addr + ": is the network up?"}
	}
	return err
}

// use runs the command or the shell, and compares what the server saw of us with what was authorized.
func (a *app) use(ctx context.Context, c *sshsession.Client, rep keeper.Report, command []string) error {
	seen := make(chan netip.Addr, 1)
	go func() {
		vctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		addr, _ := c.ServerView(vctx)
		seen <- addr
	}()
	var status int
	var err error
	tty := term.IsTerminal(int(a.In.Fd()))
	if len(command) == 0 && tty {
		status, err = c.Shell(ctx, &sshsession.Terminal{In: a.In, Out: a.Out, Err: a.Err, Term: os.Getenv("TERM")})
	} else {
		signals := make(chan os.Signal, 4)
		signal.Notify(signals, os.Interrupt)
		defer signal.Stop(signals)
		ectx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		go endOn(ectx, cancel)
		status, err = c.Exec(ectx, sshsession.JoinCommand(command), a.In, a.Out, a.Err, signals)
	}
	select {
	case addr := <-seen:
		a.compareView(rep, addr)
	default: // the session was shorter than the question
	}
	if err != nil {
		return err
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}

// endOn ends a command when this program is told to end. Ctrl-C is not among the reasons: it is passed on to
// the remote command, and only a second one ends the session.
func endOn(ctx context.Context, cancel context.CancelFunc) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(told)
	select {
	case <-ctx.Done():
	case <-told:
		cancel()
	}
}

// compareView warns when the server sees us under another address than the authorized one: then another
// rule let us in, and ours lets in somebody else.
func (a *app) compareView(rep keeper.Report, seen netip.Addr) {
	if !seen.IsValid() || !known(rep) {
		return
	}
	for _, v := range rep.Targets[0].Verdicts {
		if authorized, err := netip.ParseAddr(v.Address); err == nil && authorized == seen.Unmap() {
			return
		}
	}
	fmt.Fprintf(a.Err, "emr-accessd: warning: the node sees you as %s, which is not the address that was authorized; another rule let you in\n", seen)
}
