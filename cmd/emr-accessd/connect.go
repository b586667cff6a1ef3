package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// connectFlags are the flags of the commands that log in.
type connectFlags struct {
	stay
	identity []string
	login    string
}

// registerLogin adds the flags of every command that logs in.
func (f *connectFlags) registerLogin(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.identity, "identity", "i", nil, "private key `file` to log in with")
	cmd.Flags().StringVarP(&f.login, "login", "l", "hadoop", "user to log in as")
	f.register(cmd)
}

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
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.connect(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.registerLogin(cmd)
	return cmd
}

func (a *app) connect(ctx context.Context, arg string, command []string, f connectFlags) error {
	p, err := a.prepare(ctx, arg, f.stay)
	if err != nil {
		return err
	}
	defer p.end()
	client, err := a.dial(ctx, p, f)
	if err != nil {
		return err
	}
	defer client.Close()
	return a.use(ctx, client, p.report, command)
}

// dial connects and logs in. A rule that was changed a moment ago may need some seconds to act.
func (a *app) dial(ctx context.Context, p *prepared, f connectFlags) (*sshsession.Client, error) {
	t := p.verified
	t.Env = os.Environ()
	t.Login = sshsession.Login{User: f.login, KeyFiles: f.identity, Folder: sshFolder(), Agent: sshsession.DefaultAgent(), WantPublicKey: a.keyPair(ctx, p.target, p.report)}
	t.Banner = func(text string) { fmt.Fprintf(a.Err, "%s\n", printable(text)) }
	if q, err := sshsession.OpenPrompter(); err == nil {
		defer q.Close()
		t.Verifier.Ask = func(ctx context.Context, question sshsession.Question) (bool, error) {
			a.status.clear()
			return q.HostKey(ctx, question)
		}
		t.Login.Passphrase = func(ctx context.Context, file string) ([]byte, error) {
			a.status.clear()
			return a.secrets.ask(ctx, file, q.Passphrase)
		}
	}
	var client *sshsession.Client
	err := a.settled(ctx, p, func() (err error) {
		client, err = sshsession.Dial(ctx, t)
		return err
	})
	return client, err
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
