package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
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

	tty, reconnect, openssh bool // of connect alone
}

// registerLogin adds the flags of every command that logs in.
func (f *connectFlags) registerLogin(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.identity, "identity", "i", nil, "private key `file` to log in with")
	cmd.Flags().StringVarP(&f.login, "login", "l", "", "user to log in as (default: the one of your ssh configuration, or hadoop)")
	f.register(cmd)
}

func (a *app) connectCommand() *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect [flags] [CLUSTER] [-- COMMAND…]",
		Short: "make sure that you may, verify the host, and open a session or run a command",
		Long: `Brings the rule for your address in place, finds the cluster's primary node, verifies
its host key (by what the node printed to EC2's console at its first boot; else it
asks), and opens a session there as hadoop, or runs one command. Without a cluster it
shows a list to pick from.

A cluster that is not in the configuration needs none: its rule is given back at
the end of the session, unless the daemon runs, or --keep or --for says otherwise.
So is a rule for another --port or --group than the configuration has.

When your address changes under a session, the rule is put in place again, and you are
told. With --reconnect a session whose link is lost comes back by itself, as a new shell.

The keys and settings of your ~/.ssh/config are followed as far as this client knows
them; --openssh runs the system's ssh instead, which knows all of them, with the same
rule and the same verified host key. What stands behind -- goes to ssh then.

In a session, after a newline: ~. ends the connection, ~? shows the other escapes.
The exit status is the remote one, or 255 for a failure of the connection itself.`,
		Example: `  emr-accessd connect j-2AXXXXXXGAPLF
  emr-accessd connect -i ~/.ssh/team.pem j-2AXXXXXXGAPLF -- yarn application -list
  emr-accessd connect --wait nightly-etl              # a cluster that starts, by its name
  emr-accessd connect --node core:0 j-2AXXXXXXGAPLF
  emr-accessd connect --reconnect -t j-2AXXXXXXGAPLF -- tmux new -A -s work
  emr-accessd connect --openssh j-2AXXXXXXGAPLF -- -L 8088:localhost:8088`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			cluster, command := "", args
			before := len(args) // the dashes
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				before = dash
			}
			if before > 1 { // its flags may have been taken for ours, and another command would be run
				return hinted{usageError{errors.New("a command stands behind --"), ""}, exitUsage, "put -- between the cluster and the command: " + cmd.CommandPath() + " CLUSTER -- COMMAND…"}
			}
			if before == 1 {
				cluster, command = args[0], args[1:]
			}
			if err := f.checkSession(cmd, command, a.onTerminal()); err != nil {
				return err
			}
			return a.connect(cmd.Context(), cluster, command, f)
		},
	}
	f.registerLogin(cmd)
	cmd.Flags().BoolVarP(&f.tty, "tty", "t", false, "run the command on a terminal")
	cmd.Flags().BoolVar(&f.reconnect, "reconnect", false, "come back by itself when the link is lost")
	cmd.Flags().BoolVar(&f.openssh, "openssh", false, "run the system's ssh")
	return cmd
}

// checkSession refuses what does not go together.
func (f *connectFlags) checkSession(cmd *cobra.Command, command []string, terminal bool) error {
	var why string
	switch {
	case !f.reconnect:
		return nil
	case f.openssh:
		why = "--reconnect is not for --openssh: ssh ends with its connection"
	case !terminal:
		why = "--reconnect needs a terminal: without one, nobody sees that what ran is gone"
	case len(command) > 0 && !f.tty:
		why = "--reconnect would run the command again; with -t it does, which suits `tmux new -A`"
	default:
		return nil
	}
	return usageError{errors.New(why), cmd.CommandPath()}
}

// onTerminal reports whether somebody types into this program.
func (a *app) onTerminal() bool { return a.In != nil && term.IsTerminal(int(a.In.Fd())) }

func (a *app) connect(ctx context.Context, arg string, command []string, f connectFlags) error {
	p, err := a.prepare(ctx, arg, f.stay)
	if err != nil {
		return err
	}
	defer p.end()
	a.noteNodes(p)
	if f.openssh {
		return a.systemSSH(ctx, p, f, command)
	}
	if j := p.options.jump; j != "" {
		fmt.Fprintf(a.Err, "emr-accessd: note: the %s of your ssh configuration is not followed; --openssh follows it\n", j)
	}
	v := &visit{app: a, p: p, f: f, command: sshsession.JoinCommand(command), interactive: a.onTerminal() && (f.tty || len(command) == 0)}
	return v.run(ctx)
}

// noteNodes says which of several primary nodes was taken when none was named.
func (a *app) noteNodes(p *prepared) {
	var primaries []keeper.Node
	for _, n := range p.report.Targets[0].Place.Nodes {
		if n.Role == awsclient.RolePrimary {
			primaries = append(primaries, n)
		}
	}
	if p.which == (nodeChoice{}) && p.host == "" && len(primaries) > 1 {
		fmt.Fprintf(a.Err, "emr-accessd: note: this is the first of %s\n", printable(listNodes(primaries)))
	}
}

// dial connects and logs in. A rule that was changed a moment ago may need some seconds to act.
func (a *app) dial(ctx context.Context, p *prepared, f connectFlags) (*sshsession.Client, error) {
	a.secrets.begin()
	t, o := p.verified, p.options
	t.Env, t.SendEnv, t.SetEnv = os.Environ(), o.sendEnv, o.setEnv
	t.KeepAlive, t.KeepAliveMisses, t.ConnectTimeout = o.alive, o.aliveMisses, o.connectTimeout
	t.Login = a.loginTo(ctx, p, f)
	t.Banner = func(text string) {
		a.status.clear()
		for line := range strings.Lines(text) {
			fmt.Fprintln(a.Err, printable(strings.TrimRight(line, "\r\n")))
		}
	}
	if q, err := sshsession.OpenPrompter(); err == nil {
		defer q.Close()
		q.After(a.shell)
		t.Verifier.Ask = a.asking(q)
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
	if e, ok := errors.AsType[*sshsession.AuthError](err); ok {
		err = hinted{err, exitFailed, loginHint(e, p.report.Targets[0].Place.KeyName)}
	}
	return client, err
}

// loginHint says what to do when the server takes none of the keys. keyPair is the name of the cluster's; "" for none.
func loginHint(e *sshsession.AuthError, keyPair string) string {
	switch {
	case e.Partial || len(e.Methods) > 0:
		return "`emr-accessd connect --openssh` can answer what the server asks"
	case keyPair == "":
		return "the cluster was made without a key pair: name a key that the node knows otherwise with -i, or use AWS Systems Manager; check the user (-l, on EMR usually hadoop)"
	}
	return fmt.Sprintf("name the private key of the cluster's key pair %s with -i, or put it into ~/.ssh or the agent; check the user (-l, on EMR usually hadoop)", keyPair)
}

// asking asks about a host key on a terminal.
func (a *app) asking(q *sshsession.Prompter) func(context.Context, sshsession.Question) (bool, error) {
	return func(ctx context.Context, question sshsession.Question) (bool, error) {
		a.status.clear()
		return q.HostKey(ctx, question)
	}
}

// defaultLogin is the user on every EMR node, unless Kerberos or LDAP is set up.
const defaultLogin = "hadoop"

// loginTo is who logs in and with what: what the flags say, then the user's ssh configuration, then what fits the
// cluster's key pair.
func (a *app) loginTo(ctx context.Context, p *prepared, f connectFlags) sshsession.Login {
	l := loginWith(p.options, f.login, f.identity, p.target.Profile)
	l.WantPublicKey = a.keyPair(ctx, p.target, p.report.Targets[0].Place.KeyName)
	return l
}

// loginWith is how to log in by the flags, then the user's ssh configuration, then ~/.aws/config.
func loginWith(o sshOptions, login string, identity []string, profile string) sshsession.Login {
	l := sshsession.Login{User: cmp.Or(login, o.user, defaultLogin), KeyFiles: identity, Files: o.identity, Certificates: o.certificates,
		Only: o.onlyIdentity, Folder: sshFolder(), Agent: cmp.Or(o.agent, sshsession.DefaultAgent())}
	if o.noAgent {
		l.Agent = ""
	}
	if file := keyPairFile(profile); file != "" && !o.onlyIdentity {
		l.Files = append(slices.Clone(l.Files), file)
	}
	return l
}

// keyPair is the public key of the cluster's key pair; it only helps to find the right private key.
func (a *app) keyPair(ctx context.Context, target keeper.Target, name string) string {
	client := a.client(target)
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
