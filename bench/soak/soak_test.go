//go:build linux

package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A storm is the same each time, deals every kind, and ends in time.
func TestStorm(t *testing.T) {
	for n := range 6 * (longEvery + 1) {
		world, number := n%6, n/6
		seen := map[kind]int{}
		s := newStorm(7, world, number, lasting(world))
		for track, faults := range s {
			length := time.Duration(0)
			for _, f := range faults {
				seen[f.Kind]++
				length += f.After + f.For
				if f.After <= 0 || f.For < 200*time.Millisecond {
					t.Errorf("%+v", f)
				}
			}
			if length > 35*time.Second*longer || length > 36*time.Second && number != longEvery-1 {
				t.Errorf("track %d takes %v", track, length)
			}
		}
		for _, k := range allKinds() {
			ends := slices.Contains(processKinds, k) && !slices.Contains(lastingKinds, k)
			if lasting(world) && ends != (seen[k] == 0) || !lasting(world) && seen[k] == 0 {
				t.Errorf("world %d: %q %d times", world, k, seen[k])
			}
		}
		if !reflect.DeepEqual(s, newStorm(7, world, number, lasting(world))) {
			t.Error("the same arguments give another storm")
		}
		for _, other := range []storm{newStorm(8, world, number, lasting(world)), newStorm(7, world+6, number, lasting(world)), newStorm(7, world, number+1, lasting(world))} {
			if reflect.DeepEqual(s, other) {
				t.Error("other arguments give the same storm")
			}
		}
	}
}

func TestWanted(t *testing.T) {
	for d, want := range map[time.Duration]int{30 * time.Minute: 100, 90 * time.Second: 5, time.Second: 0, time.Hour: 200} {
		if got := wanted(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

// A run that falls short says so.
func TestBroken(t *testing.T) {
	good := func() *result {
		r := newResult(options{})
		for _, k := range allKinds() {
			r.Injected[k] = 5
		}
		return r
	}
	if r := good().done(5); len(r.Broken) > 0 {
		t.Error(r.Broken)
	}
	if r := good().done(6); len(r.Broken) != len(allKinds()) {
		t.Error(r.Broken)
	}
	r := good()
	r.longest = settleLimit + 1
	if r.done(5); len(r.Broken) != 1 {
		t.Error(r.Broken)
	}
	k := leak{measured: true, First: size{10, 9, 30000}, Last: size{10, 9, 31000}, Goroutines: 20, FreshGoroutines: 20}
	if b := k.broken("x"); len(b) > 0 {
		t.Error(b)
	}
	k.Last, k.Goroutines = size{100, 90, 300000}, 200
	if b := k.broken("x"); len(b) != 4 {
		t.Error(b)
	}
	if b := (leak{}).broken("x"); len(b) != 1 {
		t.Error(b)
	}
}

func TestTail(t *testing.T) {
	var log tail
	for range 5000 {
		_, _ = log.Write([]byte("time=x level=INFO msg=\"panic: quoted\"\n"))
	}
	if len(log.String()) > tailSize || len(log.alarms()) > 0 {
		t.Errorf("%d bytes, %v", len(log.String()), log.alarms())
	}
	_, _ = log.Write([]byte("==================\nWARNING: DATA RACE\nRead at\n"))
	_, _ = log.Write([]byte("panic: runt"))
	_, _ = log.Write([]byte("ime error: x\n\ngoroutine 1 [running]:\n"))
	if got := strings.Join(log.alarms(), "|"); got != "WARNING: DATA RACE|panic: runtime error: x" {
		t.Error(got)
	}
}
