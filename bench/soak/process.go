//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long the program may take to end, on a busy computer.
const stopTime = 30 * time.Second

// process is a running daemon.
type process struct {
	cmd      *exec.Cmd
	log      tail
	kill     context.CancelFunc
	ended    chan struct{}
	mu       sync.Mutex
	expected bool
}

// start starts the daemon.
func (l *laptop) start() error {
	ctx, kill := context.WithCancel(context.Background())
	p := &process{cmd: l.Laptop.Command(ctx, l.program, "--verbose", "run"), kill: kill, ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = l.environ(), &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		kill()
		return err
	}
	l.mu.Lock()
	l.proc = p
	l.mu.Unlock()
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.expected {
			l.fault(fmt.Sprintf("%s: the daemon ended by itself: %v; it wrote:\n%s", l.name, err, p.log.String()))
		}
		for _, line := range p.log.alarms() {
			l.alarm(fmt.Sprintf("%s: the daemon wrote: %s; the end of its log:\n%s", l.name, line, p.log.String()))
		}
		close(p.ended)
	}()
	return nil
}

// running is the daemon of now.
func (l *laptop) running() *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proc
}

// stop ends the daemon with a signal, and waits.
func (p *process) stop(s unix.Signal) error {
	p.mu.Lock()
	p.expected = true
	p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.kill()
		<-p.ended
		return fmt.Errorf("the daemon does not end; it wrote:\n%s", p.log.String())
	}
	// One that has not written a word yet may end by the signal itself: it has not begun.
	if code := p.cmd.ProcessState.ExitCode(); s == unix.SIGTERM && code != 0 && p.log.String() != "" {
		return fmt.Errorf("the daemon ended with code %d; it wrote:\n%s", code, p.log.String())
	}
	return nil
}

func (l *laptop) environ() []string {
	return append(l.Environ(), "EMR_ACCESSD_STATE="+l.stateDir(), "GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0")
}

func (l *laptop) stateDir() string { return filepath.Join(l.disk, "state") }

// process does a fault to the daemon.
func (l *laptop) process(ctx context.Context, f fault) error {
	p := l.running()
	switch f.Kind {
	case "killed":
		return errors.Join(p.stop(unix.SIGKILL), wait(ctx, f.For/4), l.start(), wait(ctx, f.For/2))
	case "restarted":
		if err := p.stop(unix.SIGTERM); err != nil {
			return err
		}
		return errors.Join(l.start(), wait(ctx, f.For/2))
	case "half a state file":
		return errors.Join(p.stop(unix.SIGKILL), l.damage(f.N), l.start(), wait(ctx, f.For/2))
	case "asleep":
		return errors.Join(p.cmd.Process.Signal(unix.SIGSTOP), wait(ctx, f.For), p.cmd.Process.Signal(unix.SIGCONT))
	case "disk full":
		filler := filepath.Join(l.disk, "filler")
		return errors.Join(fill(filler), wait(ctx, f.For), os.Remove(filler))
	}
	return errors.New("no such fault")
}

// damage leaves of the state file a part, or what a disk makes of it: zeros, or anything. Half of the time it meets the lines
// that follow the state instead, if there are any.
func (l *laptop) damage(n uint64) error {
	file := filepath.Join(l.stateDir(), "state.jsonl")
	text, err := os.ReadFile(file)
	if err != nil || n>>2%2 == 0 {
		file = filepath.Join(l.stateDir(), "state.json")
		text, err = os.ReadFile(file)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil // it has been killed before it wrote one
	}
	if err != nil {
		return err
	}
	cut := int(n >> 8 % uint64(len(text)+1))
	switch n % 4 {
	case 0:
		clear(text[cut:])
	case 1:
		copy(text[cut:], noise(n, len(text)-cut))
	default:
		text = text[:cut]
	}
	return os.WriteFile(file, text, 0o600)
}

// fill writes a file until nothing more fits on the disk.
func fill(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

// alarm is what no program may write.
var alarm = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|WARNING: DATA RACE)$`)

// tail keeps the end of a log.
type tail struct {
	mu    sync.Mutex
	b     []byte
	line  []byte // not yet ended
	found []string
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = append(t.line, p...) // what it writes may come in pieces
	if whole := bytes.LastIndexByte(t.line, '\n') + 1; whole > 0 {
		for _, m := range alarm.FindAll(t.line[:whole], -1) {
			t.found = append(t.found, string(m))
		}
		t.line = append([]byte(nil), t.line[whole:]...)
	}
	t.b = append(t.b, p...)
	// A dump of all goroutines is longer, and is looked at when the process has ended.
	if n := len(t.b) - tailSize; n > 0 && !bytes.Contains(t.b, []byte("SIGQUIT")) {
		t.b = append([]byte(nil), t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) alarms() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
