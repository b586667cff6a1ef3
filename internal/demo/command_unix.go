//go:build unix

package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/creack/pty"
)

// command runs a line with the shell, or the shell itself for "". The context's end kills it with all that it started.
func (s *session) command(ctx context.Context, line string) exit {
	args := []string{"-c", line}
	if line == "" {
		args = nil // reads its commands from the terminal or the channel
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Env, cmd.Dir = s.env, s.home
	cmd.Cancel = func() error { return killGroup(cmd) }
	run := s.piped
	if s.term != nil {
		run = s.terminal
	}
	if err := run(ctx, cmd); err != nil {
		fmt.Fprintf(s.Stderr(), "demo: %v\n", err)
		return exit{status: 127}
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return exit{signal: signalName(status.Signal())}
	case ok:
		return exit{status: uint32(status.ExitStatus())}
	}
	return exit{status: 255}
}

// killGroup kills a command with all that it started. The command leads a process group of its own.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// piped runs a command without a terminal. Its error says that it could not be started.
func (s *session) piped(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Pipes of our own: exec's Wait would wait for input that never ends, and for output that something in the
	// background holds open.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	out, outEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	defer outEnd.Close()
	errs, errsEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer errs.Close()
	defer errsEnd.Close()
	cmd.Stdout, cmd.Stderr = outEnd, errsEnd
	if err := cmd.Start(); err != nil {
		return err
	}
	outEnd.Close()
	errsEnd.Close()
	go func() {
		_, _ = io.Copy(stdin, s) // ends with the channel at the latest
		stdin.Close()
	}()
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.Copy(s, out) })
	copies.Go(func() { _, _ = io.Copy(s.Stderr(), errs) })
	s.wait(cmd, func(windowSize) {})
	drain(ctx, copies.Wait)
	return nil
}

// terminal runs a command on a pseudo-terminal. Its error says that it could not be started.
func (s *session) terminal(ctx context.Context, cmd *exec.Cmd) error {
	tty, err := pty.StartWithSize(cmd, s.term.pty())
	if err != nil {
		return err
	}
	defer tty.Close()
	go func() { _, _ = io.Copy(tty, s) }()
	shown := make(chan struct{})
	go func() {
		_, _ = io.Copy(s, tty) // ends with EIO when the last process has closed the terminal
		close(shown)
	}()
	s.wait(cmd, func(w windowSize) { _ = pty.Setsize(tty, w.pty()) })
	drain(ctx, func() { <-shown })
	return nil
}

// drain waits until all output is with the client, or the client is gone.
func drain(ctx context.Context, copied func()) {
	done := make(chan struct{})
	go func() {
		copied()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// wait passes signals and sizes on until the command ends, and kills what it left running.
func (s *session) wait(cmd *exec.Cmd, resize func(windowSize)) {
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the state tells how it ended
		_ = killGroup(cmd)
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		case w := <-s.resized:
			resize(w)
		case name := <-s.signals:
			if sig, ok := signalOf(name); ok {
				_ = syscall.Kill(-cmd.Process.Pid, sig) // gone already, then the end comes next
			}
		}
	}
}

func (w windowSize) pty() *pty.Winsize {
	return &pty.Winsize{Cols: uint16(min(w.columns, math.MaxUint16)), Rows: uint16(min(w.rows, math.MaxUint16))}
}

// sshSignals are the signals that RFC 4254, section 6.10 names and that make sense here.
func sshSignals() map[string]syscall.Signal {
	return map[string]syscall.Signal{"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP,
		"ILL": syscall.SIGILL, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT,
		"SEGV": syscall.SIGSEGV, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}
}

func signalOf(name string) (syscall.Signal, bool) {
	sig, ok := sshSignals()[name]
	return sig, ok
}

func signalName(sig syscall.Signal) string {
	for name, s := range sshSignals() {
		if s == sig {
			return name
		}
	}
	return fmt.Sprintf("%d@emr-accessd-demo", int(sig))
}
