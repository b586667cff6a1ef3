package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/tunnel"
	"github.com/spf13/cobra"
)

// tunnelFlags are the flags of tunnel alone.
type tunnelFlags struct {
	connectFlags
	forwards, dynamic, ui []string
	list, expose          bool
}

func (a *app) tunnelCommand() *cobra.Command {
	var f tunnelFlags
	cmd := &cobra.Command{
		Use:   "tunnel [flags] CLUSTER",
		Short: "web pages and ports of the cluster on this computer, for as long as you like",
		Long: `Brings the rule for your address in place, verifies the node's host key, logs in, and
offers what the cluster can reach on this computer, until Ctrl-C (exit status 0):

  --ui NAME     a web interface of the primary node, as a link to click (--list has the
                names). Where the port is taken, the next free one is used
  -L [BIND:]PORT:HOST:HOSTPORT
                one port; HOST is looked up by the node, and may be one of its sockets
  -D [BIND:]PORT, -D unix:PATH
                a SOCKS5 proxy: every address and name that the node can reach. Without
                any of the three, there is one at port 8157

When your address changes, or the laptop wakes up elsewhere, the rule is put in place
and the connection made again; the ports stay. What was under way through them is cut,
and what comes meanwhile waits up to 20 seconds: reload the page.

Ports are opened for this computer alone, which means for each of its users: -D unix:PATH
keeps the proxy to yourself. --expose allows addresses that others can reach.

With the proxy, use socks5h, with an h: then the node looks up names, and links between
the cluster's pages work (YARN's to a job, for instance), as they name its private names:
  curl     curl --proxy socks5h://127.0.0.1:8157 http://ip-10-0-0-10.ec2.internal:8088/
  Chrome   google-chrome --user-data-dir=/tmp/emr --proxy-server=socks5://127.0.0.1:8157
           (a window of its own; it has the far side look up names by itself)
  Firefox  Settings, Network Settings: SOCKS Host 127.0.0.1, Port 8157, SOCKS v5,
           and "Proxy DNS when using SOCKS v5"`,
		Example: `  emr-accessd tunnel --ui yarn --ui spark j-2AXXXXXXGAPLF
  emr-accessd tunnel j-2AXXXXXXGAPLF
  emr-accessd tunnel -L 9000:localhost:9000 -L 5432:db.internal:5432 j-2AXXXXXXGAPLF
  emr-accessd tunnel -D unix:$HOME/.emr-proxy j-2AXXXXXXGAPLF
  emr-accessd tunnel --list`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.list {
				if len(args) > 0 {
					return usageError{errors.New("--list is about no cluster"), cmd.CommandPath()}
				}
				return nil
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return a.listInterfaces()
			}
			doors, err := f.doors(cmd)
			if err != nil {
				return err
			}
			if err := a.load(); err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.tunnel(cmd.Context(), args[0], doors, f)
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.forwards, "forward", "L", nil, "forward `[bind:]port:host:hostport`; may be given again")
	fs.StringArrayVarP(&f.dynamic, "socks", "D", nil, "SOCKS5 proxy at `[bind:]port` or unix:path; may be given again")
	fs.StringArrayVar(&f.ui, "ui", nil, "web interface by `name`, such as yarn, spark or jupyter; may be given again")
	fs.BoolVar(&f.list, "list", false, "list the names for --ui")
	fs.BoolVar(&f.expose, "expose", false, "allow addresses that other computers can reach")
	f.registerLogin(cmd)
	_ = cmd.RegisterFlagCompletionFunc("ui", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, u := range tunnel.UIs() {
			names = append(names, u.Name+"\t"+u.Title)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// tunnel runs until it is told to end.
func (a *app) tunnel(ctx context.Context, arg string, doors []*door, f tunnelFlags) error {
	defer closeDoors(doors)
	for _, d := range doors { // before anything else is done: a port that is taken is the most likely failure
		if err := d.open(); err != nil {
			return err
		}
	}
	signal.Ignore(syscall.SIGPIPE) // whoever read the answer may be gone: the rule is given back all the same
	go endAtOnce(ctx, doors)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // each packet is an allocation: it takes a fifth off the CPU time of a download, and costs some MB
	}
	a.status = newProgress(a.Err)
	a.Err = &warnOnce{w: a.Err}
	r := &redial{app: a, arg: a.clusterArg(arg), flags: f.connectFlags}
	defer r.end()
	client, err := r.connect(ctx)
	if err != nil {
		return err
	}
	link := sshsession.NewLink(client, r.again)
	link.Final = r.final
	link.Lost, link.Failed, link.Back = r.lost, r.failed, r.back
	// The context of the hints ends with the link, whatever ended it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.nudge(ctx, link, r)
	status := a.status // the goroutine of the link uses the field
	say := func(text string) {
		status.clear()
		fmt.Fprintf(a.Err, "emr-accessd: %s\n", printable(text))
	}
	s := &tunnel.Server{Dial: link.Dial, Say: say, Detail: func(text string) { a.logger().Debug("a connection through the tunnel failed", "why", printable(text)) }}
	var serving sync.WaitGroup
	for _, d := range doors {
		if d.kind == "interface" { // another primary node may take over while it is open
			d.Now = func() []tunnel.Remote { return remotes(d.ui, r.node()) }
		}
		serving.Go(func() { d.serve(ctx, s) })
	}
	if err := a.showTunnel(r, client, doors); err != nil {
		cancel()
		client.Close()
		serving.Wait()
		return err
	}
	err = link.Run(ctx)
	cancel()
	serving.Wait()
	return err
}

// nudge has the link looked at whenever the network may have changed.
func (a *app) nudge(ctx context.Context, link *sshsession.Link, r *redial) {
	p := r.current()
	det := p.keeper.Watch.(*ipwatch.Detector)
	node := func() []netip.Addr {
		if a, err := netip.ParseAddrPort(r.current().verified.Addr); err == nil {
			return []netip.Addr{a.Addr().Unmap()}
		}
		return nil
	}
	families := func() []ipwatch.Family {
		if nodes := node(); len(nodes) > 0 {
			return []ipwatch.Family{ipwatch.FamilyOf(nodes[0])}
		}
		return []ipwatch.Family{ipwatch.V4}
	}
	hints, err := a.notice(det, node, families, func() time.Duration { return a.interval(p.keeper.Store) }).Events(ctx)
	if err != nil { // the keepalives and the requests that get no answer have to do
		a.logger().Debug("changes of the network are not noticed", "error", err)
		return
	}
	changed := make(chan struct{}, 1)
	go func() {
		defer close(changed)
		for h := range hints {
			if h.Kind == ipwatch.HintStatus {
				continue
			}
			link.Nudge()
			select {
			case changed <- struct{}{}:
			default: // one is due already
			}
		}
	}()
	go func() {
		for range changed {
			r.refresh(ctx, link)
		}
	}()
}

// note says something to the user in one line. Of the goroutines of a tunnel only one may call it, since a round sets the progress.
func (a *app) note(text string) {
	a.status.clear()
	fmt.Fprintf(a.Err, "emr-accessd: %s\n", printable(text))
}

// endAtOnce ends the program at the second interrupt: giving the rule back may take a while, and somebody is in a hurry.
func endAtOnce(ctx context.Context, doors []*door) {
	<-ctx.Done()
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	insisted(again)
	closeDoors(doors)
	fmt.Fprintln(os.Stderr, "emr-accessd: ended at once; a rule that stands goes with its lease, or with: emr-accessd revoke")
	os.Exit(128 + int(syscall.SIGINT))
}

// sameInterrupt is how long further signals count as the first one: timeout(1) sends it to the process and to its group, and a
// system that shuts down is no user in a hurry either.
const sameInterrupt = 500 * time.Millisecond

// insisted returns when a signal comes that is another one than the first, which was a moment ago.
func insisted(again <-chan os.Signal) {
	for begin := time.Now(); ; {
		if <-again; time.Since(begin) > sameInterrupt {
			return
		}
	}
}
