//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

const (
	// oneWay makes a round trip of 40 ms, as to a region on the same continent.
	oneWay = 20 * time.Millisecond
	// interval is the shortest one that the program takes; its results are given in units of it.
	interval = 5 * time.Second
	// scale is by how much the pollers' intervals are shortened, so that the benchmark ends the same day.
	scale = 20
	// localPause and behindPause separate the changes, so that neither the pollers are overtaken nor the program's limits
	// on its questions are met (ipwatch.LooksPerMinute, ipwatch.HintsPerMinute). Up to a fifth is added at random.
	localPause  = 18 * time.Second
	behindPause = 30 * time.Second
	// settle is the time from the first rule to the first change: both STUN servers have been asked then.
	settle = 15 * time.Second
)

// pollers are what the program is compared with, by their real intervals.
var pollers = []struct {
	name string
	real time.Duration
}{{"60s", time.Minute}, {"5m", 5 * time.Minute}}

// track is a world with the program and the pollers in it, and what it measures.
type track struct {
	w     *netlab.World
	desk  *desk
	began map[string]time.Time
	order []netip.Addr
	next  int
}

// newWorld makes a world in which nothing runs.
func newWorld(dir string) (*track, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	w, err := netlab.NewWorld(dir, netlab.Options{OneWay: oneWay})
	return &track{w: w, began: map[string]time.Time{}, next: 20}, err
}

// newTrack makes the world and starts everything. every is the program's interval.
func newTrack(o options, dir string, every time.Duration) (_ *track, err error) {
	t, err := newWorld(dir)
	if err != nil {
		return nil, err
	}
	w := t.w
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if t.desk, err = openDesk(w); err != nil {
		return nil, err
	}
	for _, p := range pollers {
		if err := startPoller(w, p.name, p.real/scale); err != nil {
			return nil, err
		}
	}
	if err := w.Config(map[string]string{"interval": fmt.Sprintf("%q", every)}); err != nil {
		return nil, err
	}
	d, err := w.Run(o.binary)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); w.Cloud.PutAt(netlab.HomeOuter.String() + "/32").IsZero(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no first rule; the program wrote:\n%s", d.Log())
		}
	}
	return t, nil
}

// fresh is an address of a /24 that was not used before: one that comes back within a minute is held on purpose.
func (t *track) fresh(net netip.Addr) netip.Addr {
	four := net.As4()
	four[3] = byte(t.next)
	t.next++
	return netip.AddrFrom4(four)
}

// changed notes that the laptop is seen as an address from now on.
func (t *track) changed(a netip.Addr) {
	t.began[a.String()] = time.Now()
	t.order = append(t.order, a)
}

// local takes the laptop from one network to another n times: Wi-Fi goes, comes up elsewhere, and has its address 0.3 s
// later. The clock starts when the address is in place.
func (t *track) local(ctx context.Context, n int, progress func()) error {
	cafe, err := t.w.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
	if err != nil {
		return err
	}
	for i := range n {
		to, inner := cafe, netip.MustParseAddr("192.168.7.30")
		if i%2 == 1 {
			to, inner = t.w.Home, netlab.Laptop
		}
		a := t.fresh(to.Outer)
		if err := errors.Join(to.Readdress(a), wait(ctx, pause(localPause)), t.w.WiFi.Unplug(), wait(ctx, 800*time.Millisecond),
			t.w.WiFi.Plug(to), wait(ctx, 300*time.Millisecond), t.w.WiFi.Configure(inner)); err != nil {
			return err
		}
		t.changed(a)
		progress()
	}
	return wait(ctx, localPause)
}

// behind gives the router another address n times. The clock starts when it has it.
func (t *track) behind(ctx context.Context, n int, progress func()) error {
	for range n {
		a := t.fresh(t.w.Home.Outer)
		if err := errors.Join(wait(ctx, pause(behindPause)), t.w.Home.Readdress(a)); err != nil {
			return err
		}
		t.changed(a)
		progress()
	}
	return wait(ctx, behindPause)
}

func pause(d time.Duration) time.Duration { return d + rand.N(d/5) }

// results are the latencies of the program and of the pollers.
func (t *track) results(unit time.Duration) []row {
	mine := row{Who: "emr-accessd", Interval: unit.String(), interval: unit, Scale: 1}
	calls := t.w.Cloud.Sim.Calls()
	for _, a := range t.order {
		began := t.began[a.String()]
		mine.follow(began, time.Time{}, t.w.Cloud.PutAt(a.String()+"/32"), goneIn(calls, t.w.Cloud.Group, began))
	}
	rows := []row{mine.done()}
	for _, p := range pollers {
		r := row{Who: "poll every " + p.name, Interval: (p.real / scale).String(), interval: p.real / scale, Scale: scale}
		for _, a := range t.order {
			r.follow(t.began[a.String()], time.Time{}, t.desk.when(p.name, a), time.Time{})
		}
		rows = append(rows, r.done())
	}
	return rows
}

// measureChanges measures both kinds of changes side by side, each in a world of its own.
func measureChanges(ctx context.Context, o options, dir string, progress io.Writer) (*changes, error) {
	kinds := []struct {
		name  string
		every time.Duration
		do    func(*track, context.Context, int, func()) error
	}{{"local", 30 * time.Second, (*track).local}, {"behind", interval, (*track).behind}}
	c := &changes{where: whereabouts(), Changes: o.n, RTT: 2 * oneWay.Seconds() * 1000, Results: map[string][]row{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, len(kinds))
	for i, kind := range kinds {
		wg.Go(func() {
			t, err := newTrack(o, filepath.Join(dir, kind.name), kind.every)
			if err != nil {
				errs[i] = err
				return
			}
			done := 0
			err = wait(ctx, settle)
			if err == nil {
				err = kind.do(t, ctx, o.n, func() {
					done++
					fmt.Fprintf(progress, "%s change %d of %d\n", kind.name, done, o.n)
				})
			}
			mu.Lock()
			c.Results[kind.name] = t.results(kind.every)
			mu.Unlock()
			errs[i] = errors.Join(err, t.strangers(), t.w.Close())
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || !o.script {
		return c, err
	}
	rows, err := measureScripts(ctx, o, dir, progress)
	c.Results["script"] = rows
	return c, err
}

// strangers fails when an address was authorized that the laptop never had: then no figure counts.
func (t *track) strangers() error {
	for _, cidr := range t.w.Cloud.Authorized() {
		a := strings.TrimSuffix(cidr, "/32")
		if _, had := t.began[a]; !had && a != netlab.HomeOuter.String() {
			return fmt.Errorf("%s was authorized, which the laptop never had", cidr)
		}
	}
	return nil
}
