package sshsession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// connect dials a server on loopback whose host key is stored.
func connect(t *testing.T, change func(*server), env ...string) *sshsession.Client {
	t.Helper()
	target, srv := newTarget(t, "ed25519")
	target.Env = env
	change(srv)
	target.Addr = srv.listen()
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	return mustDial(t, target)
}

// connectPipe dials a server over a link in memory; it works in a synctest bubble. It returns the server's end of the link.
func connectPipe(t *testing.T, change func(*server)) (*sshsession.Client, *pipeEnd) {
	t.Helper()
	target, srv := newTarget(t, "ed25519")
	change(srv)
	here, there := newPipe()
	target.Dial = func(context.Context, string, string) (net.Conn, error) { return here, nil }
	srv.wg.Go(func() { srv.serve(there) })
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	c, err := sshsession.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		srv.close()
	})
	return c, there
}

func TestExec(t *testing.T) {
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, line string) int {
			in, _ := io.ReadAll(r)
			fmt.Fprintf(r, "out:%s:%s", line, in)
			fmt.Fprintf(r.Stderr(), "err:%s", strings.Join(r.env, ","))
			return 7
		}
	}, "LANG=de_DE.UTF-8", "HOME=/home/me", "LC_TIME=C", "AWS_SECRET_ACCESS_KEY=x")
	var stdout, stderr bytes.Buffer
	command := sshsession.JoinCommand([]string{"echo", "a  b", "$HOME"})
	status, err := c.Exec(t.Context(), command, strings.NewReader("input"), &stdout, &stderr, nil)
	if status != 7 || err != nil {
		t.Errorf("status %d, error %v; want 7", status, err)
	}
	if got, want := stdout.String(), "out:echo a  b $HOME:input"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got, want := stderr.String(), "err:LANG=de_DE.UTF-8,LC_TIME=C"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	if status, err := c.Exec(t.Context(), "again, without streams", nil, nil, nil, nil); status != 7 || err != nil {
		t.Errorf("second command: status %d, error %v", status, err)
	}
}

func TestExecEnds(t *testing.T) {
	tests := []struct {
		name    string
		command func(r *remote, line string) int
		status  int
		err     string
	}{
		{"success", func(*remote, string) int { return 0 }, 0, ""},
		{"255 of its own", func(*remote, string) int { return 255 }, 255, ""},
		{"killed", func(r *remote, _ string) int { r.killed("KILL"); return -1 }, 137, ""},
		{"segmentation fault", func(r *remote, _ string) int { r.killed("SEGV"); return -1 }, 139, ""},
		{"unknown signal", func(r *remote, _ string) int { r.killed("\x1b[2J"); return -1 }, 128, ""},
		{"no status", func(*remote, string) int { return -1 }, 255, "without an exit status"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := connectPipe(t, func(srv *server) { srv.command = tt.command })
				status, err := c.Exec(t.Context(), "x", nil, nil, nil, nil)
				if status != tt.status || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("status %d, error %v; want %d, %q", status, err, tt.status, tt.err)
				}
			})
		})
	}
}

func TestExecSignals(t *testing.T) {
	got := make(chan string, 10)
	started := make(chan bool, 1)
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, line string) int {
			started <- true
			for {
				select {
				case name := <-r.signals:
					got <- name
					if name == "TERM" {
						r.killed("TERM")
						return -1
					}
				case <-r.ctx.Done():
					return -1
				}
			}
		}
	})
	signals := make(chan os.Signal)
	go func() {
		<-started
		signals <- os.Interrupt
		if name := <-got; name != "INT" {
			t.Errorf("the command got %q", name)
		}
		signals <- syscall.SIGTERM
	}()
	if status, err := c.Exec(t.Context(), "x", nil, nil, nil, signals); status != 143 || err != nil {
		t.Errorf("status %d, error %v; want 143", status, err)
	}
	go func() {
		<-started
		signals <- os.Interrupt
		signals <- os.Interrupt // the command ignores the first
	}()
	if status, err := c.Exec(t.Context(), "x", nil, nil, nil, signals); status != 130 || !errors.Is(err, sshsession.ErrInterrupted) {
		t.Errorf("status %d, error %v; want 130 and ErrInterrupted", status, err)
	}
}

// TestExecFullDisk has the output fail: the session ends, although the command would go on for ever.
func TestExecFullDisk(t *testing.T) {
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, _ string) int {
			for {
				if _, err := r.Write(make([]byte, 32<<10)); err != nil {
					return -1
				}
			}
		}
	})
	status, err := c.Exec(t.Context(), "yes", nil, fullDisk{}, nil, nil)
	if status != sshsession.ExitFailed || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("status %d, error %v; want %d and that the disk is full", status, err, sshsession.ExitFailed)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestExecCanceled(t *testing.T) {
	reason := errors.New("time to go")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, _ string) int {
			cancel(reason)
			<-r.ctx.Done()
			return 0
		}
	})
	if status, err := c.Exec(ctx, "sleep", nil, nil, nil, nil); status != sshsession.ExitFailed || !errors.Is(err, reason) {
		t.Errorf("status %d, error %v", status, err)
	}
	<-c.Done() // the connection is closed too
	if c.Err() != nil {
		t.Errorf("closed by ourselves, but %v", c.Err())
	}
}

// TestStuckOutputAndStdin ends a session whose output nobody takes and whose input never comes.
func TestStuckOutputAndStdin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, _ := connectPipe(t, func(srv *server) { srv.command = func(r *remote, _ string) int { return echo(r, "") } })
		in, typed := io.Pipe()
		shown, out := io.Pipe()
		go func() {
			_, _ = typed.Write([]byte("x"))
			_, _ = shown.Read(make([]byte, 1)) // the output works, once
			_, _ = typed.Write([]byte("y"))
			synctest.Wait()
			cancel()
		}()
		start := time.Now()
		if status, err := c.Exec(ctx, "cat", in, out, nil, nil); status != sshsession.ExitFailed || !errors.Is(err, context.Canceled) {
			t.Errorf("status %d, error %v", status, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		typed.Close()
		shown.Close()
	})
}

// TestRekey changes the connection's keys in the middle: the host key is checked again and found good.
func TestRekey(t *testing.T) {
	target, srv := newTarget(t, "ed25519", "ecdsa")
	srv.rekey = 64 << 10
	srv.command = echo
	target.Addr = srv.listen()
	target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) { return true, nil }
	c := mustDial(t, target)
	data := bytes.Repeat([]byte("0123456789abcdef"), 32<<10)
	var out bytes.Buffer
	if status, err := c.Exec(t.Context(), "cat", bytes.NewReader(data), &out, nil, nil); status != 0 || err != nil || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("status %d, error %v, %d bytes back", status, err, out.Len())
	}
	if got := storedKeys(t, target.Verifier.Store, instance); !slices.Equal(got, []string{"asked " + ssh.FingerprintSHA256(srv.keys()[0])}) {
		t.Errorf("stored %v", got)
	}
}
