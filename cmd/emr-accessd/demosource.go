package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// demoSource names a file with one loopback address: where the laptop of `demo` "is". Echo questions and
// SSH connections are sent from it, and a change of the file is a network event. It can only ever name a
// loopback address, so it opens nothing to anybody else.
const demoSource = "EMR_ACCESSD_DEMO_SOURCE"

// readDemoSource returns the address in the file; the zero Addr while it is being written, or names none.
func readDemoSource() netip.Addr {
	f, err := os.Open(os.Getenv(demoSource))
	if err != nil {
		return netip.Addr{}
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 64))
	a, err := netip.ParseAddr(strings.TrimSpace(string(b)))
	if err != nil || !a.IsLoopback() {
		return netip.Addr{}
	}
	return a
}

// demoBind is nil outside of the demo.
func demoBind() func(ipwatch.Family) netip.Addr {
	if os.Getenv(demoSource) == "" {
		return nil
	}
	return func(f ipwatch.Family) netip.Addr {
		if a := readDemoSource(); a.Is4() == (f == ipwatch.V4) && bindable(a) {
			return a
		}
		return netip.Addr{}
	}
}

// bindable reports whether this computer has the address: macOS has 127.0.0.1 alone, and there the demo's
// world goes by the file instead.
func bindable(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// demoDial is nil outside of the demo.
func demoDial() func(ctx context.Context, network, addr string) (net.Conn, error) {
	if os.Getenv(demoSource) == "" {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		if a := readDemoSource(); bindable(a) {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
		}
		return d.DialContext(ctx, network, addr)
	}
}

// demoPoll is how often the demo's laptop looks where it is.
const demoPoll = 100 * time.Millisecond

// demoMoves gives a hint for each change of the demo's source file.
type demoMoves struct{}

// Events starts to look. What the file says is not on this computer's interfaces, so it is a hint of its own kind,
// which the watcher passes on without comparing anything.
func (demoMoves) Events(ctx context.Context) (<-chan ipwatch.Hint, error) {
	hints, last := make(chan ipwatch.Hint, 1), readDemoSource()
	go func() {
		defer close(hints)
		tick := time.NewTicker(demoPoll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if now := readDemoSource(); now.IsValid() && now != last {
				last = now
				select {
				case hints <- ipwatch.Hint{Kind: ipwatch.HintAsked, Reason: "the demo's laptop moved", At: time.Now()}:
				default:
				}
			}
		}
	}()
	return hints, nil
}
