//go:build unix

package sshsession_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// screen is a terminal with a scripted person before it.
type screen struct {
	t      *testing.T
	person *os.File // the person's side
	*sshsession.Terminal
	before *term.State
	shown  *bufio.Reader
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	person, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		person.Close()
		tty.Close()
	})
	s := &screen{t: t, person: person, shown: bufio.NewReader(person)}
	s.Terminal = &sshsession.Terminal{In: tty, Out: tty, Err: tty, Term: "xterm-256color"}
	s.resize(100, 40)
	if s.before, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *screen) resize(width, height uint16) {
	s.t.Helper()
	if err := pty.Setsize(s.person, &pty.Winsize{Cols: width, Rows: height}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) typed(keys string) {
	if _, err := s.person.WriteString(keys); err != nil {
		s.t.Errorf("type %q: %v", keys, err)
	}
}

// expect reads the screen until this text.
func (s *screen) expect(text string) {
	var seen []byte
	for !bytes.HasSuffix(seen, []byte(text)) {
		b, err := s.shown.ReadByte()
		if err != nil {
			s.t.Errorf("the screen ended with %q, want %q", seen, text)
			return
		}
		seen = append(seen, b)
	}
}

// restored checks that the terminal is as it was.
func (s *screen) restored() {
	s.t.Helper()
	after, err := term.GetState(int(s.In.Fd()))
	if err != nil || !reflect.DeepEqual(s.before, after) {
		s.t.Errorf("the terminal was not restored: %v", err)
	}
}

func (s *screen) isRaw() bool {
	now, err := term.GetState(int(s.In.Fd()))
	return err == nil && !reflect.DeepEqual(s.before, now)
}

func TestShell(t *testing.T) {
	s := newScreen(t)
	var peer *remote
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, line string) int {
			peer = r
			if line != "" {
				t.Errorf("command %q instead of a shell", line)
			}
			fmt.Fprintf(r, "%v$ ", <-r.size)
			in := bufio.NewReader(r)
			for {
				b, err := in.ReadByte()
				if err != nil {
					return 1
				}
				switch b {
				case 3:
					fmt.Fprint(r, "^C")
				case 4:
					return 7
				case 'r':
					fmt.Fprintf(r, "%v", <-r.size)
				default:
					fmt.Fprintf(r, "<%c>", b)
				}
			}
		}
	}, "LC_ALL=C.UTF-8")
	go func() {
		s.expect("[100 40]$ ")
		if !s.isRaw() {
			t.Error("the terminal is not raw")
		}
		s.typed("a")
		s.expect("<a>") // shown once, by the server
		s.typed("\x03")
		s.expect("^C")
		s.resize(132, 50)
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
			t.Error(err)
		}
		s.typed("r")
		s.expect("[132 50]")
		s.typed("\r~~")
		s.expect("<\r><~>")
		s.typed("\r~?")
		s.expect("end the connection\r\n")
		s.expect("newline.)\r\n")
		s.typed("\x04")
	}()
	status, err := c.Shell(t.Context(), s.Terminal)
	if status != 7 || err != nil {
		t.Errorf("status %d, error %v; want 7", status, err)
	}
	s.restored()
	if peer.term != "xterm-256color" || len(peer.env) != 1 || peer.env[0] != "LC_ALL=C.UTF-8" {
		t.Errorf("TERM %q, environment %v", peer.term, peer.env)
	}
	modes := decodeModes(t, peer.modes)
	for mode, want := range map[uint8]uint32{ssh.ECHO: 1, ssh.ICANON: 1, ssh.ISIG: 1, ssh.ICRNL: 1, ssh.OPOST: 1, ssh.ONLCR: 1, ssh.CS8: 1,
		ssh.VINTR: 3, ssh.VEOF: 4, ssh.VERASE: 0x7f, ssh.VEOL: 255} {
		if got, ok := modes[mode]; !ok || got != want {
			t.Errorf("terminal mode %d is %d (sent: %v), want %d", mode, got, ok, want)
		}
	}
}

func decodeModes(t *testing.T, encoded []byte) map[uint8]uint32 {
	modes := map[uint8]uint32{}
	for len(encoded) >= 5 {
		modes[encoded[0]] = binary.BigEndian.Uint32(encoded[1:])
		encoded = encoded[5:]
	}
	if !bytes.Equal(encoded, []byte{0}) {
		t.Errorf("the modes end with %v", encoded)
	}
	return modes
}

// TestShellEnds ends sessions in every way, and looks at the terminal afterwards.
func TestShellEnds(t *testing.T) {
	tests := []struct {
		name    string
		server  func(*server)
		person  func(s *screen, c *sshsession.Client, cancel func())
		command string
		status  int
		err     error
		text    string
		gone    bool // the terminal itself
	}{
		{name: "exit", status: 0, person: func(s *screen, _ *sshsession.Client, _ func()) { s.typed("\x04") }},
		{name: "signal", server: func(srv *server) {
			srv.command = func(r *remote, _ string) int { r.killed("HUP"); return -1 }
		}, status: 129},
		{name: "escape", person: func(s *screen, _ *sshsession.Client, _ func()) { s.typed("x\r~.") }, status: 255, err: sshsession.ErrEscape},
		{name: "escape while the server takes nothing", server: func(srv *server) {
			srv.command = func(r *remote, _ string) int {
				fmt.Fprint(r, "$ ")
				<-r.ctx.Done()
				return 0
			}
		}, person: func(s *screen, _ *sshsession.Client, _ func()) {
			for range 5 << 9 { // more than the window of two megabytes
				s.typed(strings.Repeat("x", 1<<10-1) + "\r")
			}
			s.typed("~.")
		}, status: 255, err: sshsession.ErrEscape},
		{name: "canceled", person: func(_ *screen, _ *sshsession.Client, cancel func()) { cancel() }, status: 255, err: context.Canceled},
		{name: "lost link", person: func(_ *screen, c *sshsession.Client, _ func()) { sshsession.Break(c) }, status: 255, err: sshsession.ErrLostLink},
		{name: "terminal closed", person: func(s *screen, _ *sshsession.Client, _ func()) { s.person.Close() }, status: 255, err: sshsession.ErrTerminalClosed, gone: true},
		{name: "no terminal given", server: func(srv *server) { srv.pty = false }, status: 255, text: "ask for a terminal"},
		{name: "a command", command: "tmux new -A", server: func(srv *server) {
			srv.command = func(r *remote, line string) int {
				if line != "tmux new -A" || r.term == "" {
					t.Errorf("command %q, terminal %q", line, r.term)
				}
				return 3
			}
		}, status: 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScreen(t)
			s.Command = tt.command
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := connect(t, func(srv *server) {
				srv.command = func(r *remote, _ string) int {
					fmt.Fprint(r, "$ ")
					_, _ = bufio.NewReader(r).ReadBytes(4)
					return 0
				}
				if tt.server != nil {
					tt.server(srv)
				}
			})
			if tt.person != nil {
				go func() {
					s.expect("$ ")
					tt.person(s, c, cancel)
				}()
			}
			status, err := c.Shell(ctx, s.Terminal)
			if status != tt.status || !errors.Is(err, tt.err) && tt.err != nil || (err != nil) != (tt.err != nil || tt.text != "") {
				t.Errorf("status %d, error %v; want %d, %v", status, err, tt.status, tt.err)
			}
			if tt.text != "" && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want one with %q", err, tt.text)
			}
			if !tt.gone {
				s.restored()
			}
		})
	}
}

// TestLostScreen loses the link under a program that fills the screen: the screen is brought back, not only its modes.
func TestLostScreen(t *testing.T) {
	s := newScreen(t)
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, _ string) int {
			fmt.Fprint(r, "\x1b[?1049h\x1b[?25lvi: ")
			<-r.ctx.Done()
			return 0
		}
	})
	result := make(chan error, 1)
	go func() {
		_, err := c.Shell(t.Context(), s.Terminal)
		result <- err
	}()
	s.expect("vi: ")
	sshsession.Break(c)
	s.expect("\x1b[?25h\x1b[?1049l\x1b(B\x1b[0m")
	if err := <-result; !errors.Is(err, sshsession.ErrLostLink) {
		t.Errorf("error %v", err)
	}
	s.restored()
}

// TestForget drops the keys that were pressed while there was no session.
func TestForget(t *testing.T) {
	s := newScreen(t)
	session := func(person func()) {
		c := connect(t, func(srv *server) {
			srv.command = func(r *remote, _ string) int {
				fmt.Fprint(r, "$ ")
				if line, _ := bufio.NewReader(r).ReadString('\r'); line != "x\r" {
					t.Errorf("the session got %q", line)
				}
				return 0
			}
		})
		go func() {
			s.expect("$ ")
			person()
		}()
		if status, err := c.Shell(t.Context(), s.Terminal); status != 0 || err != nil {
			t.Errorf("status %d, error %v", status, err)
		}
	}
	session(func() { s.typed("x\r") })
	s.typed("rm -rf precious\n") // the terminal is not raw now
	s.expect("precious\r\n")     // its echo: the terminal has it
	s.typed("half a li")
	s.expect("li")
	// Whether the reader has the line by now or the terminal still has it: both are emptied. What is on the way from one to the other
	// needs a moment.
	for range 20 {
		s.Forget()
		time.Sleep(5 * time.Millisecond)
	}
	session(func() { s.typed("x\r") })
}

// TestNextSessionGetsTheKeys has a session end while the person types on: what comes is for the next one.
func TestNextSessionGetsTheKeys(t *testing.T) {
	s := newScreen(t)
	got := make(chan string, 2)
	run := func() {
		c := connect(t, func(srv *server) {
			srv.command = func(r *remote, _ string) int {
				fmt.Fprint(r, "$ ")
				line, _ := bufio.NewReader(r).ReadString('\r')
				got <- line
				return 0
			}
		})
		go func() {
			s.expect("$ ")
			s.typed("line\r")
		}()
		if status, err := c.Shell(t.Context(), s.Terminal); status != 0 || err != nil {
			t.Errorf("status %d, error %v", status, err)
		}
		if line := <-got; line != "line\r" {
			t.Errorf("the session got %q", line)
		}
	}
	for range 3 {
		run()
	}
}

// TestShellWithoutTerminal feeds a script: no terminal on the server, and the streams stay apart.
func TestShellWithoutTerminal(t *testing.T) {
	in, script, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	go func() {
		fmt.Fprint(script, "echo hello\n~.\n")
		script.Close()
	}()
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, _ string) int {
			if r.term != "" {
				t.Errorf("a terminal %q was asked for", r.term)
			}
			text, _ := io.ReadAll(r)
			fmt.Fprintf(r, "%s", text)
			fmt.Fprint(r.Stderr(), "problem")
			return 2
		}
	})
	var stdout, stderr bytes.Buffer
	status, err := c.Shell(t.Context(), &sshsession.Terminal{In: in, Out: &stdout, Err: &stderr})
	if status != 2 || err != nil || stdout.String() != "echo hello\n~.\n" || stderr.String() != "problem" {
		t.Errorf("status %d, error %v, %q, %q", status, err, stdout.String(), stderr.String())
	}
}
