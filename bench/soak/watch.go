//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

const (
	watchEvery = 50 * time.Millisecond
	// settleLimit is how long the rules may take to be right after a storm. Its parts, each the longest that the program
	// may wait on purpose: six looks at the address a minute (ipwatch.LooksPerMinute), a minute between rounds while AWS
	// does not answer and the address has changed, ten percent over (keeper), and what a computer needs on which all
	// worlds share two processors.
	settleLimit = 60*time.Second + 66*time.Second + 24*time.Second
	reachLimit  = 30 * time.Second
)

// watch looks at the group until ctx ends.
func (l *laptop) watch(ctx context.Context) {
	var since time.Time
	touched := false
	for wait(ctx, watchEvery) == nil {
		if !touched && !l.Cloud.Untouched() {
			touched = true
			l.touched(l.name)
		}
		a, healthy := l.address()
		if healthy && !slices.Contains(l.Cloud.Own(), a.String()+"/32") {
			if since.IsZero() {
				since = time.Now()
			}
			l.closed(time.Since(since))
		} else {
			since = time.Time{}
		}
	}
}

// settle waits until the rules are what they should be, and the laptop reaches its cluster.
func (l *laptop) settle(ctx context.Context) error {
	a, _ := l.address()
	want := []string{a.String() + "/32"}
	begin := time.Now()
	for !slices.Equal(l.Cloud.Own(), want) {
		if err := wait(ctx, watchEvery); err != nil {
			return err
		}
		if time.Since(begin) > settleLimit {
			return fmt.Errorf("%v after the storm the rules are %v, want %v; the daemon wrote:\n%s", settleLimit, l.Cloud.Own(), want, l.running().log.String())
		}
	}
	l.took(time.Since(begin))
	for {
		dial, cancel := context.WithTimeout(ctx, 2*time.Second)
		c, err := l.Laptop.Dial(dial, "tcp4", netip.AddrPortFrom(netlab.NodeAddr, 22).String())
		cancel()
		if err == nil {
			l.reach()
			return c.Close()
		}
		if err := wait(ctx, watchEvery); err != nil {
			return err
		}
		if time.Since(begin) > settleLimit+reachLimit {
			return fmt.Errorf("the rule stands, and the laptop does not reach the cluster: %w", err)
		}
	}
}
