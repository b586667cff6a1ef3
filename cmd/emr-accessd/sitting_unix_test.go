//go:build unix

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// sitting is a person before a terminal on which the program runs.
type sitting struct {
	t           *testing.T
	cmd         *exec.Cmd
	person, tty *os.File
	before      *term.State
	ended       chan struct{}
	left        atomic.Bool
	looking     sync.WaitGroup

	mu   sync.Mutex
	seen strings.Builder
	from int // what is expected comes behind this
}

// sit starts the program with these arguments.
func sit(t *testing.T, env []string, args ...string) *sitting {
	t.Helper()
	s := &sitting{t: t, ended: make(chan struct{}), cmd: exec.Command(programPath(t), args...)}
	var err error
	if s.person, s.tty, err = pty.Open(); err != nil {
		t.Fatal(err)
	}
	if s.before, err = term.GetState(int(s.tty.Fd())); err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.tty, s.tty, s.tty
	s.cmd.Env = append(env, "TERM=xterm", "PATH="+os.Getenv("PATH"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	s.looking.Go(s.look)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.leave()
		if t.Failed() {
			t.Logf("the screen: %q", s.screen())
		}
	})
	return s
}

// look reads what the terminal shows. It never waits in a read, which would keep the terminal open when it is closed.
func (s *sitting) look() {
	buf := make([]byte, 4096)
	fds := []unix.PollFd{{Fd: int32(s.person.Fd()), Events: unix.POLLIN}}
	for !s.left.Load() {
		if n, err := unix.Poll(fds, 20); n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		n, err := s.person.Read(buf)
		s.mu.Lock()
		s.seen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// leave closes the terminal.
func (s *sitting) leave() {
	s.left.Store(true)
	s.looking.Wait()
	s.tty.Close()
	s.person.Close()
}

func (s *sitting) screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// patientWait is for a machine that has much else to do.
const patientWait = 60 * time.Second

// expect waits until the screen shows this, behind what was expected before.
func (s *sitting) expect(pattern string) {
	s.t.Helper()
	want := regexp.MustCompile(pattern)
	ended := s.ended
	for deadline := time.Now().Add(patientWait); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if at := want.FindStringIndex(s.screen()[s.from:]); at != nil {
			s.from += at[1]
			return
		}
		select {
		case <-ended: // what it said last may not have been read yet
			ended, deadline = nil, time.Now().Add(10*time.Second)
		default:
		}
	}
	s.t.Fatalf("the screen does not show %q: %q", pattern, s.screen()[s.from:])
}

func (s *sitting) typed(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.person, keys); err != nil {
		s.t.Fatalf("type %q: %v", keys, err)
	}
}

// ready waits for a shell that answers.
func (s *sitting) ready() {
	s.t.Helper()
	s.expect(`[$#] $`)
	s.typed("echo ready-$((6*7))\r")
	s.expect("ready-42")
}

// exits waits for the end, and checks the status and that the terminal is as it was.
func (s *sitting) exits(status int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patientWait):
		s.t.Fatalf("it does not end: %q", s.screen())
	}
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		s.t.Errorf("exit status %d, want %d: %q", got, status, s.screen())
	}
	if after, err := term.GetState(int(s.tty.Fd())); err != nil || !reflect.DeepEqual(s.before, after) {
		s.t.Errorf("the terminal is not as it was: %+v (%v), and was %+v", after, err, s.before)
	}
}

// road is a way to a server that can be blocked.
type road struct {
	addr     string
	listener net.Listener

	mu    sync.Mutex
	conns []net.Conn // both sides of each
	halt  chan struct{}
}

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &road{addr: l.Addr().String(), listener: l, halt: make(chan struct{})}
	t.Cleanup(p.shut)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, near, far)
			halt := p.halt
			p.mu.Unlock()
			go carry(near, far, halt)
			go carry(far, near, halt)
		}
	}()
	return p
}

// carry copies until halt is closed; then nothing arrives any more, and nobody is told.
func carry(to, from net.Conn, halt chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-halt:
			return
		default:
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// freeze loses what goes over the connections of now; new ones work.
func (p *road) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.halt)
	p.halt = make(chan struct{})
}

// shut ends the connections of now, and there are no more.
func (p *road) shut() {
	p.listener.Close()
	p.cut()
}

// cut ends the connections of now.
func (p *road) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
	p.conns = nil
}

// killChild kills the one child of a process.
func killChild(t *testing.T, parent int) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 2 && f[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(f[0])
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%d has no child", parent)
}
