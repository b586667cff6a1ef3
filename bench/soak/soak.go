//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// soak makes the worlds and lets it storm in all of them.
func soak(ctx context.Context, o options, dir string, progress io.Writer) (*result, error) {
	laptops := make([]*laptop, o.worlds)
	res := newResult(o)
	begin := time.Now()
	deadline := begin.Add(o.length)
	var wg sync.WaitGroup
	errs := make([]error, o.worlds)
	storms := make([]int, o.worlds)
	leaks := make([]leak, o.worlds)
	for i := range laptops {
		wg.Go(func() {
			l, err := newLaptop(filepath.Join(dir, fmt.Sprint(i)), o, i)
			if err != nil {
				errs[i] = err
				return
			}
			laptops[i] = l
			err = l.live(ctx, o.seed, i, func(done int) bool {
				storms[i] = done
				if done > 0 {
					fmt.Fprintf(progress, "%4.0f s: %s has had %d storms\n", time.Since(begin).Seconds(), l.name, done)
				}
				return done == 0 || time.Now().Before(deadline)
			}, &leaks[i])
			if err != nil && ctx.Err() == nil {
				l.fault(fmt.Sprintf("%s, storm %d: %v", l.name, storms[i], err)) // a promise broken, not a broken soak
				err = nil
			}
			if p := l.running(); p != nil {
				_ = p.stop(unix.SIGKILL)
			}
			errs[i] = errors.Join(err, l.Close())
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted") // which is what all worlds say too
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	res.Seconds = time.Since(begin).Seconds()
	for i, l := range laptops {
		res.add(l, storms[i], leaks[i])
	}
	return res.done(wanted(o.length)), nil
}

// live is a laptop's life: storms and the calm after each while more says so, and the end.
func (l *laptop) live(ctx context.Context, seed uint64, world int, more func(done int) bool, leaked *leak) error {
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.watch(watching) })
	defer wg.Wait()
	defer stop()
	if err := errors.Join(l.start(), l.settle(ctx)); err != nil {
		return err
	}
	for done := 0; more(done); done++ {
		if err := l.weather(ctx, newStorm(seed, world, done, l.lasting)); err != nil {
			return err
		}
		if err := l.settle(ctx); err != nil {
			return err
		}
		if l.lasting {
			if err := leaked.look(ctx, l.running(), done == 0); err != nil {
				return err
			}
		}
	}
	stop() // from here on the address is meant to be without a rule
	wg.Wait()
	if l.lasting {
		if err := leaked.goroutines(ctx, l); err != nil {
			return err
		}
	} else if err := l.running().stop(unix.SIGTERM); err != nil {
		return err
	}
	cmd := l.Laptop.Command(ctx, l.program, "revoke")
	cmd.Env = l.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("revoke: %w: %s", err, out)
	}
	if left := l.Cloud.Own(); len(left) > 0 {
		l.leftover(left)
	}
	if !l.Cloud.Untouched() {
		l.touched(l.name)
	}
	return nil
}
