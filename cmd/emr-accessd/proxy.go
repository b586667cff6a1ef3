package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// errNoSocket: ssh gives a ProxyCommand a socket with ProxyUseFdpass, and pipes without.
var errNoSocket = errors.New("standard output is no socket that a connection can be handed over by")

func (a *app) proxyCommand() *cobra.Command {
	var f stay
	stdio := !canPass
	cmd := &cobra.Command{
		Use:   "proxy [flags] CLUSTER",
		Short: "the ProxyCommand of ssh: rule ensured, host key pinned, connection handed over",
		Long: `What an ssh configuration runs as ProxyCommand; ` + "`emr-accessd ssh-config`" + ` writes it.
Brings the rule for your address in place, pins the host key of the cluster's primary
node for ssh, connects, and hands the connection to ssh (ProxyUseFdpass yes): no byte
goes through this program, and it ends. With --stdio it copies instead.

A host key that the node did not print to EC2's console is refused; see
` + "`emr-accessd trust`" + `.

A cluster that is not in the configuration keeps its rule for an hour after the last
connection was made, or as long as --for says. With --stdio it is given back at the end.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.proxy(cmd.Context(), args[0], stdio, f)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&stdio, "stdio", stdio, "copy between standard input and output instead of handing the connection over")
	return cmd
}

func (a *app) proxy(ctx context.Context, arg string, stdio bool, f stay) error {
	out, ok := a.Out.(*os.File)
	if !stdio {
		if !ok {
			return errNoSocket
		}
		if err := passable(out); err != nil { // before anything is changed
			return hinted{err, exitUsage, "set `ProxyUseFdpass yes` beside the ProxyCommand, or use --stdio"}
		}
	}
	p, err := a.prepare(ctx, arg, f.forSSH())
	if err != nil {
		return err
	}
	defer p.end()
	if err := a.pin(ctx, p); err != nil {
		return err
	}
	var conn net.Conn
	err = a.settled(ctx, p, func() (err error) {
		conn, err = sshsession.Connect(ctx, p.verified)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if stdio {
		return relay(ctx, conn, a.In, a.Out)
	}
	if err := p.keeper.Store.Keep(ctx, p.target); err != nil {
		return err // else the end of this program would take the rule away at once
	}
	return pass(out, conn)
}

// clusterArg writes a cluster's id as EMR does. OpenSSH lowers the names of hosts, and so do people.
func (a *app) clusterArg(arg string) string {
	for _, t := range a.cfg.Targets {
		if targetLabel(t) == arg {
			return arg
		}
	}
	if clusterID.MatchString(arg) {
		return "j-" + strings.ToUpper(arg[2:])
	}
	return arg
}

// pin stores the node's host keys and exports them for ssh. Nobody is asked: a ProxyCommand has no terminal of its own.
func (a *app) pin(ctx context.Context, p *prepared) error {
	if err := p.pinnable(); err != nil {
		return err
	}
	err := a.settled(ctx, p, func() error { return sshsession.EnsurePinned(ctx, p.verified) })
	if u, ok := errors.AsType[*sshsession.UnverifiedError](err); ok {
		return hinted{err, exitFailed, "when the fingerprint is the node's: " + a.trustLine(p, u.Key.SHA256)}
	}
	if err != nil {
		return err
	}
	return a.export(p)
}

// pinnable says why no host key can be pinned: ssh knows it by the cluster's id, which names a file as well.
func (p *prepared) pinnable() error {
	if !literalID.MatchString(p.cluster) {
		return hinted{errors.New("a host key is pinned for a cluster, and this is none"), exitUsage, "name the cluster (j-…)"}
	}
	return nil
}

// export writes the host keys of the cluster's present primary node for ssh, under the cluster's name: the node may be
// replaced, the name in the ssh configuration stays.
func (a *app) export(p *prepared) error {
	v := p.verified.Verifier
	return v.Store.Export(a.hostsPath(p.alias()), v.Instance, p.alias())
}

// alias is the name under which ssh knows the host key of the node.
func (p *prepared) alias() string { return hostAlias(p.cluster) + p.which.suffix() }

// hostAlias is the name under which ssh knows a cluster's host key. Lower case: see sshsession.KnownHosts.
func hostAlias(cluster string) string { return strings.ToLower(cluster) }

// hostsPath is the known_hosts file for one alias.
func (a *app) hostsPath(alias string) string { return a.statePath("ssh/" + alias + ".known_hosts") }

// relay copies until the server ends the connection, or ssh ends this program.
func relay(ctx context.Context, conn net.Conn, in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // ssh may be gone first; the rule is given back all the same
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() { // ends with the program, at the latest
		_, _ = io.Copy(conn, in)
		if c, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}()
	_, err := io.Copy(out, conn)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.Is(err, syscall.EPIPE):
		return exitStatus(exitFailed) // ssh has ended, which is how each session ends
	}
	return fmt.Errorf("the connection is lost: %w", err)
}
