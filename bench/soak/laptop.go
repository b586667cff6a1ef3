//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

const (
	oneWay = 5 * time.Millisecond // of a packet to the internet
	// lately is how long after the laptop has lost an address a call for it may still come: the look at it may be 30 s old
	// (sgsync.AddressWindow), the write is sent within 5 s of its read and has 5 s (sgsync.WriteWindow, AttemptTimeout), and
	// the process may sleep for 24 s in between.
	lately = 65 * time.Second
	// liar is an address that no laptop ever has, and that the program would take for a public one.
	liar = "192.0.2.250"
	// diskSize is that of the file system with the state.
	diskSize = "4m"
)

// laptop is a world with the daemon in it, and what is watched there.
type laptop struct {
	*netlab.World
	name     string
	lasting  bool // its daemon is never ended
	conspire bool // all echoes tell the same lie
	program  string
	routers  []*netlab.Router // home, cafe, twin: the last one has the same private addresses as the first
	at       int              // index of the router that the laptop is plugged into
	next     []byte           // the last byte of the next address of each router
	disk     string
	skew     atomic.Int64 // of AWS's clock, ns
	*notes

	mu     sync.Mutex
	active map[kind]bool
	now    netip.Addr // as which the laptop is seen; the zero Addr while it is offline
	had    map[netip.Addr]time.Time
	proc   *process
}

// newLaptop makes the world. Nothing runs in it yet.
func newLaptop(dir string, o options, n int) (_ *laptop, err error) {
	l := &laptop{name: fmt.Sprintf("world %d", n), lasting: lasting(n), program: o.binary, conspire: o.conspire, next: []byte{10, 10, 10}, notes: newNotes(),
		active: map[kind]bool{}, had: map[netip.Addr]time.Time{}, disk: filepath.Join(dir, "disk")}
	if err := os.MkdirAll(l.disk, 0o700); err != nil {
		return nil, err
	}
	l.World, err = netlab.NewWorld(dir, netlab.Options{OneWay: oneWay, NameServer: true, API: l.api})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := unix.Mount("tmpfs", l.disk, "tmpfs", 0, "mode=700,size="+diskSize); err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	l.OnClose(func() error { return unix.Unmount(l.disk, unix.MNT_DETACH) })
	cafe, err := l.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.9"))
	if err != nil {
		return nil, err
	}
	twin, err := l.Cafe("twin", netlab.HomeInner, netip.MustParseAddr("198.18.5.9"))
	if err != nil {
		return nil, err
	}
	l.routers = []*netlab.Router{l.Home, cafe, twin}
	for _, r := range l.routers {
		if err := errors.Join(l.Hijack(r), r.Redirect()); err != nil {
			return nil, err
		}
	}
	l.seenAs(l.Home.Outer)
	return l, l.Config(map[string]string{
		"accept": `["198.51.100.0/24", "192.0.2.0/24", "198.18.5.0/24"]`,
	})
}

// seenAs notes the address from now on; the zero Addr is none.
func (l *laptop) seenAs(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.IsValid() {
		l.had[l.now] = time.Now()
	}
	l.now = a
}

// foresee notes an address that the laptop is about to get: an echo may tell it first.
func (l *laptop) foresee(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.had[a] = time.Now()
}

// may reports whether a call for an address may come now.
func (l *laptop) may(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	left, had := l.had[a]
	return a == l.now || had && time.Since(left) < lately
}

// address is as which the laptop is seen, and whether nothing is being done to its world.
func (l *laptop) address() (a netip.Addr, healthy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.now.IsValid() && len(l.active) == 0
}

// fresh is an address of a router that it has not had for long.
func (l *laptop) fresh(router int) netip.Addr {
	four := l.routers[router].Outer.As4()
	four[3] = l.next[router]
	if l.next[router]++; l.next[router] > 200 {
		l.next[router] = 10
	}
	return netip.AddrFrom4(four)
}

// weather does a storm to the world: all tracks side by side, to their ends.
func (l *laptop) weather(ctx context.Context, s storm) error {
	var wg sync.WaitGroup
	errs := make([]error, len(s))
	for track, inject := range [...]func(context.Context, fault) error{l.network, l.source, l.cloud, l.process} {
		wg.Go(func() {
			for _, f := range s[track] {
				if errs[track] = wait(ctx, f.After); errs[track] != nil {
					return
				}
				l.begin(f.Kind)
				err := inject(ctx, f)
				l.end(f.Kind)
				if err != nil {
					errs[track] = fmt.Errorf("%s: %w", f.Kind, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *laptop) begin(k kind) {
	l.count(k)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active[k] = true
}

func (l *laptop) end(k kind) {
	l.note("%s ended", k)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, k)
}

// doing reports whether a kind is being done.
func (l *laptop) doing(k kind) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active[k]
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// noise is bytes that mean nothing, the same for the same number.
func noise(n uint64, length int) []byte {
	r := rand.New(rand.NewPCG(n, 1))
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
