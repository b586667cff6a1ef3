//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// quiet is the time for connections that are kept open to be closed, before anything is counted.
	quiet = 6 * time.Second
	// What may be more at the end than at the beginning: a look may be under way in just that moment. Threads are the
	// runtime's, which never ends one; its heap grows until the collector finds it worth a run.
	mayFiles, mayGoroutines, mayThreads, mayKB = 8, 12, 16, 24 << 10
)

// size is what a process has.
type size struct {
	Files   int `json:"files"`
	Threads int `json:"threads"`
	KB      int `json:"resident_kb"`
}

// leak compares a daemon after its first storm with itself after the last one.
type leak struct {
	First           size `json:"after_first_storm"`
	Last            size `json:"after_last_storm"`
	Goroutines      int  `json:"goroutines"`       // of the daemon at the end
	FreshGoroutines int  `json:"fresh_goroutines"` // of one that has just been started in its place
	measured        bool
}

// look measures a process.
func (k *leak) look(ctx context.Context, p *process, first bool) error {
	if err := wait(ctx, quiet); err != nil {
		return err
	}
	s, err := sizeOf(p.cmd.Process.Pid)
	if first {
		k.First = s
	}
	k.Last, k.measured = s, true
	return err
}

// goroutines ends the daemon with a dump of its goroutines, and a fresh one likewise. None runs after that.
func (k *leak) goroutines(ctx context.Context, l *laptop) (err error) {
	if k.Goroutines, err = l.dump(); err != nil {
		return err
	}
	if err := errors.Join(l.start(), l.settle(ctx), wait(ctx, quiet)); err != nil {
		return err
	}
	k.FreshGoroutines, err = l.dump()
	return err
}

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ .*:$`)

// dump ends the daemon with SIGQUIT and counts the goroutines in what it writes then.
func (l *laptop) dump() (int, error) {
	p := l.running()
	if err := p.stop(unix.SIGQUIT); err != nil {
		return 0, err
	}
	n := len(goroutine.FindAllString(p.log.String(), -1))
	if n == 0 {
		return 0, fmt.Errorf("the daemon ended without a dump; it wrote:\n%s", p.log.String())
	}
	return n, nil
}

// sizeOf reads what /proc says of a process (proc_pid_status(5)).
func sizeOf(pid int) (s size, err error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return s, err
	}
	s.Files = len(files)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "Threads: %d", &s.Threads)
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &s.KB)
	}
	return s, err
}

// broken is what has grown.
func (k leak) broken(name string) (all []string) {
	if !k.measured {
		return []string{name + ": nothing was measured"}
	}
	for _, g := range []struct {
		what        string
		first, last int
		may         int
	}{{"descriptors", k.First.Files, k.Last.Files, mayFiles}, {"threads", k.First.Threads, k.Last.Threads, mayThreads},
		{"resident KB", k.First.KB, k.Last.KB, mayKB}, {"goroutines", k.FreshGoroutines, k.Goroutines, mayGoroutines}} {
		if g.last > g.first+g.may {
			all = append(all, fmt.Sprintf("%s: from %d %s to %d", name, g.first, g.what, g.last))
		}
	}
	return all
}
