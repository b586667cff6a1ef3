package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// typist is a program on a terminal.
type typist struct {
	*testing.T
	cmd *exec.Cmd
	tty *os.File // our end
	far *os.File // the program's

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *typist) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *typist) expect(text string) {
	p.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.shown(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("%q was not shown:\n%q", text, p.shown())
		}
	}
}

func (p *typist) settings() unix.Termios {
	p.Helper()
	s, err := unix.IoctlGetTermios(int(p.far.Fd()), unix.TCGETS)
	if err != nil {
		p.Fatal(err)
	}
	return *s
}

// Whichever way the live view ends, the terminal is as it was.
func TestWatchRestoresTheTerminal(t *testing.T) {
	for name, end := range map[string]func(p *typist) error{
		"q":       func(p *typist) error { _, err := p.tty.WriteString("xq"); return err },
		"Ctrl-C":  func(p *typist) error { _, err := p.tty.WriteString("\x03"); return err },
		"SIGTERM": func(p *typist) error { return p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(p *typist) error { return p.cmd.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tty, far, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer tty.Close()
			defer far.Close()
			if err := pty.Setsize(tty, &pty.Winsize{Rows: 20, Cols: 60}); err != nil {
				t.Fatal(err)
			}
			p := &typist{T: t, tty: tty, far: far}
			before := p.settings()
			p.cmd = exec.CommandContext(t.Context(), programPath(t), "status", "--watch")
			p.cmd.Env = []string{coverage(), "HOME=" + dir, "EMR_ACCESSD_STATE=" + dir + "/state", "TERM=xterm", "GORACE=atexit_sleep_ms=0"}
			p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = far, far, far
			p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() {
				buf := make([]byte, 4096)
				for {
					n, err := tty.Read(buf)
					p.mu.Lock()
					p.out.Write(buf[:n])
					p.mu.Unlock()
					if err != nil {
						return
					}
				}
			}()
			p.expect("q ends")
			if p.settings() == before {
				t.Error("the keyboard was not taken: q would need a return")
			}
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v:\n%q", err, p.shown())
			}
			p.expect(showCursor)
			if after := p.settings(); after != before {
				t.Errorf("the terminal was\n%+v\nand is\n%+v", before, after)
			}
		})
	}
}
