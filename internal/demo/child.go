package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// killAfter is how long a child that was asked to end may take before it is killed.
	killAfter = 2 * time.Second
	// keptOutput is how much of a child's output is kept, in bytes: the end, where the reason of a failure stands.
	keptOutput = 64 << 10
)

// child is a process of the program that acts as one of the people.
type child struct {
	name   string // the command as shown
	cmd    *exec.Cmd
	stdout tail
	stderr tail
	done   chan struct{} // closed when it has ended
}

// start starts the program as a person, in the world's folder.
func (s *story) start(ctx context.Context, who *Laptop, args ...string) (*child, error) {
	c := &child{name: commandLine(args), done: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, s.o.Program, append(append([]string{}, s.o.Args...), args...)...)
	c.cmd.Env = append(who.Env(), s.o.Env...)
	c.cmd.Dir = s.w.dir
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	c.cmd.Cancel = func() error { return askToEnd(c.cmd.Process) }
	c.cmd.WaitDelay = killAfter
	endWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	s.children = append(s.children, c)
	go func() {
		_ = c.cmd.Wait() // the state tells how it ended
		close(c.done)
	}()
	return c, nil
}

// stopAll ends every child that still runs, and waits for it.
func (s *story) stopAll() {
	var wg sync.WaitGroup
	for _, c := range s.children {
		wg.Go(func() { c.stop() })
	}
	wg.Wait()
}

// stop asks the child to end, kills it when it does not, and returns how long it took.
func (c *child) stop() time.Duration {
	begin := time.Now()
	if c.ended() {
		return 0
	}
	if err := askToEnd(c.cmd.Process); err != nil {
		_ = c.cmd.Process.Kill() // it may have ended by itself just now
	}
	select {
	case <-c.done:
	case <-time.After(killAfter):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return time.Since(begin)
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// code is the exit code of a child that has ended; -1 when a signal ended it.
func (c *child) code() int { return c.cmd.ProcessState.ExitCode() }

// said is the end of what the child wrote to standard error, for an error message.
func (c *child) said() string {
	text := strings.TrimSpace(c.stderr.String())
	if text == "" {
		return "it wrote nothing to standard error"
	}
	lines := strings.Split(text, "\n")
	const most = 20
	lines = lines[max(0, len(lines)-most):]
	return "it wrote to standard error:\n    " + strings.Join(lines, "\n    ")
}

// run starts the program as a person and waits for its end. The error says that there was none in time.
func (s *story) run(ctx context.Context, who *Laptop, args ...string) (*child, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Patience, errPatience)
	defer cancel()
	c, err := s.start(ctx, who, args...)
	if err != nil {
		return nil, err
	}
	<-c.done // the context's end kills it
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errPatience):
		return nil, fmt.Errorf("`%s` did not end within %v: %w; %s", c.name, s.o.Patience, errPatience, c.said())
	case cause != nil:
		return nil, cause
	}
	return c, nil
}

// must is run for a command that has to succeed.
func (s *story) must(ctx context.Context, who *Laptop, args ...string) (*child, error) {
	c, err := s.run(ctx, who, args...)
	if err == nil && c.code() != 0 {
		err = fmt.Errorf("`%s` ended with code %d, not 0; %s", c.name, c.code(), c.said())
	}
	return c, err
}

// errPatience says that something took too long.
var errPatience = errors.New("it takes too long")

// commandLine is the command as somebody would type it.
func commandLine(args []string) string {
	words := []string{"emr-accessd"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " '\"$\\`&|;<>()*?[]#~!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// tail keeps the end of what is written to it. What a terminal would obey is taken out: parts of it come from elsewhere.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - keptOutput; extra > 0 {
		t.data = bytes.Clone(t.data[extra:])
	}
	return len(p), nil
}

// String is the kept text without control characters but newlines and tabs.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, string(t.data))
}

// checkProgram says early when the program cannot be started at all.
func checkProgram(path string) error {
	if path == "" {
		return errors.New("the demo needs the path of the program")
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the program that the demo shows: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the program that the demo shows: %s is not a file", path)
	}
	return nil
}
