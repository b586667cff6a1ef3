package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/tunnel"
	"github.com/spf13/cobra"
)

// door is one thing that a tunnel offers on this computer.
type door struct {
	kind string // socks, forward or interface
	ui   tunnel.UI
	tunnel.Forward
	listeners []net.Listener
	wanted    int // the port, where another one would do
}

// doors are what the flags ask for.
func (f *tunnelFlags) doors(cmd *cobra.Command) (all []*door, err error) {
	wrong := func(err error) ([]*door, error) { return nil, usageError{err, cmd.CommandPath()} }
	for _, text := range f.dynamic {
		b, err := tunnel.ParseBind(text)
		if err != nil {
			return wrong(fmt.Errorf("-D: %w", err))
		}
		all = append(all, &door{kind: "socks", Forward: tunnel.Forward{Bind: b}})
	}
	for _, text := range f.forwards {
		to, err := tunnel.ParseForward(text)
		if err != nil {
			return wrong(fmt.Errorf("-L: %w", err))
		}
		all = append(all, &door{kind: "forward", Forward: to})
	}
	for _, text := range f.ui {
		for name := range strings.SplitSeq(text, ",") {
			u, ok := tunnel.FindUI(name)
			if !ok {
				return nil, hinted{fmt.Errorf("--ui %q is no web interface that is known", name), exitUsage, "`emr-accessd tunnel --list` has the names; -L forwards any port"}
			}
			all = append(all, &door{kind: "interface", ui: u, wanted: u.LocalPort(), Forward: tunnel.Forward{Title: u.Title, Bind: tunnel.Bind{Host: "localhost", Port: u.LocalPort()}}})
		}
	}
	if len(all) == 0 {
		all = append(all, &door{kind: "socks", Forward: tunnel.Forward{Bind: tunnel.Bind{Host: "localhost", Port: tunnel.DefaultSOCKS}}})
	}
	for _, d := range all {
		if d.Bind.Exposed() && !f.expose {
			return nil, hinted{fmt.Errorf("other computers could reach %s, and through it the cluster", d.Bind), exitUsage, "leave the address away, or say --expose if that is what you want"}
		}
	}
	return all, nil
}

// open listens.
func (d *door) open() (err error) {
	listen := tunnel.Listen
	if d.kind == "interface" {
		listen = tunnel.ListenNear
	}
	d.listeners, d.Bind, err = listen(d.Bind)
	switch {
	case errors.Is(err, tunnel.ErrUnsafeFolder):
		return hinted{err, exitFailed, "take a folder of your own, such as $XDG_RUNTIME_DIR or your home, that only you may write to"}
	case errors.Is(err, fs.ErrPermission) && d.Bind.Path == "":
		return hinted{err, exitFailed, "ports below 1024 are often reserved: take a higher one"}
	case err != nil && d.Bind.Path == "":
		return hinted{err, exitFailed, "is a tunnel open already? Otherwise take another port, or 0 for a free one"}
	}
	return err
}

// remotes are where a web interface may be: at the node's own address, where most listen, or at its loopback address.
func remotes(u tunnel.UI, node netip.Addr) (to []tunnel.Remote) {
	for _, port := range u.Ports {
		if node.IsValid() {
			to = append(to, tunnel.Remote{Network: "tcp", Addr: netip.AddrPortFrom(node, uint16(port)).String()})
		}
		to = append(to, tunnel.Remote{Network: "tcp", Addr: fmt.Sprintf("localhost:%d", port)})
	}
	return to
}

func (d *door) serve(ctx context.Context, s *tunnel.Server) {
	if d.kind == "socks" {
		s.SOCKS(ctx, d.listeners)
		return
	}
	s.Forward(ctx, d.listeners, d.Forward)
}

func closeDoors(doors []*door) {
	for _, d := range doors {
		for _, l := range d.listeners {
			_ = l.Close()
		}
	}
}
