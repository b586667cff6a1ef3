//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// transferring is a put or get of the real program that is under way, to a real server.
type transferring struct {
	cmd   *exec.Cmd
	sshd  *sshServer
	world *simWorld
	far   string // the folder on the server
	near  string // here
	errs  bytes.Buffer
}

// startTransfer starts one that has no end by itself, and waits until some of it has arrived.
func startTransfer(t *testing.T, verb string) *transferring {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	x := &transferring{world: w, sshd: startSSHD(t, w, true), far: t.TempDir(), near: t.TempDir()}
	args := []string{verb, "--port", x.sshd.port, "-i", x.sshd.key, "-l", x.sshd.login, w.cluster}
	arrives := x.far
	if verb == "put" {
		args = append(args, "-", filepath.Join(x.far, "endless"))
	} else {
		if err := os.WriteFile(filepath.Join(x.far, "huge"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(x.far, "huge"), 1<<36); err != nil { // 64 GB of holes, which take no room
			t.Skip(err)
		}
		args, arrives = append(args, filepath.Join(x.far, "huge"), x.near), x.near
	}
	x.cmd = exec.Command(programPath(t), args...)
	x.cmd.Env = append(w.env(), "PATH="+os.Getenv("PATH"), "HOME="+w.dir, "EMR_ACCESSD_CONFIG="+w.write(t), "EMR_ACCESSD_STATE="+filepath.Join(w.dir, "state"))
	x.cmd.Stderr = &x.errs
	x.cmd.Stdin = zeros(t)
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.cmd.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		parts, _ := filepath.Glob(filepath.Join(arrives, ".*.part"))
		if len(parts) == 1 {
			if info, err := os.Stat(parts[0]); err == nil && info.Size() > 1<<20 {
				return x
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing arrives: %s", x.errs.String())
		}
	}
}

// zeros is an endless input that goes slowly enough to fill no disk.
func zeros(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer w.Close()
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	t.Cleanup(func() { r.Close() })
	return r
}

// wait returns the exit code.
func (x *transferring) wait(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- x.cmd.Wait() }()
	select {
	case err := <-done:
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("it does not end: %s", x.errs.String())
	}
	return x.cmd.ProcessState.ExitCode()
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// Ctrl-C, and a terminal that is closed: nothing remains, and the rule is given back.
func TestTransferInterrupted(t *testing.T) {
	for _, c := range []struct {
		verb   string
		signal os.Signal
	}{{"put", os.Interrupt}, {"get", os.Interrupt}, {"put", syscall.SIGHUP}} {
		t.Run(c.verb+" "+c.signal.String(), func(t *testing.T) {
			t.Parallel()
			x := startTransfer(t, c.verb)
			if err := x.cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := x.wait(t); code != exitFailed || !strings.Contains(x.errs.String(), "error: interrupted") {
				t.Errorf("exit code %d: %s", code, x.errs.String())
			}
			far, near := names(t, x.far), names(t, x.near)
			if far != "" && far != "huge" || near != "" {
				t.Errorf("there remain %q there and %q here", far, near)
			}
			if strings.Contains(x.world.listing(), "198.51.100.7/32") {
				t.Errorf("the rule was not given back:\n%s", x.world.listing())
			}
		})
	}
}

// The server dies, or the program does: what remains has a part's name, and a lost link is told with that name.
func TestTransferCut(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		x := startTransfer(t, "put")
		killChildren(t, x.sshd.cmd.Process.Pid)
		if code := x.wait(t); code != exitFailed {
			t.Errorf("exit code %d", code)
		}
		left := names(t, x.far)
		if !strings.HasSuffix(left, ".part") || !strings.Contains(x.errs.String(), "may remain on the node: "+filepath.Join(x.far, left)) || !strings.Contains(x.errs.String(), "lost") {
			t.Errorf("there remains %q, and it said %s", left, x.errs.String())
		}
	})
	t.Run("program", func(t *testing.T) {
		t.Parallel()
		x := startTransfer(t, "get")
		_ = x.cmd.Process.Kill()
		x.wait(t)
		if left := names(t, x.near); !strings.HasPrefix(left, ".huge.emr-accessd-") || !strings.HasSuffix(left, ".part") {
			t.Errorf("there remains %q", left)
		}
	})
}

// killChildren kills the processes of a server that serve connections, but not the one that listens.
func killChildren(t *testing.T, parent int) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Skip(err)
	}
	children := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			children[f[0]] = f[1]
		}
	}
	for pid := range children {
		for up := children[pid]; up != "" && up != "0"; up = children[up] {
			if up == strconv.Itoa(parent) {
				_ = exec.Command("kill", "-9", pid).Run()
				break
			}
		}
	}
}

// On a terminal there is one line about what goes on, and it is gone at the end; then one sentence.
func TestTransferOnTerminal(t *testing.T) {
	t.Parallel()
	x := startTransferOn(t)
	if code := x.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit code %d: %s", code, x.errs.String())
	}
	out := x.errs.String()
	if !strings.Contains(out, "% of 30.0 MB, ") || !strings.Contains(out, "\r\x1b[Kemr-accessd: put "+x.far) {
		t.Errorf("on the terminal: %q", out)
	}
	for l := range strings.Lines(out) {
		parts := strings.Split(strings.TrimSuffix(l, "\r\n"), "\r\x1b[K")
		if last := parts[len(parts)-1]; !strings.HasPrefix(last, "emr-accessd: ") {
			t.Errorf("the line about what goes on stays on the terminal: %q", l)
		}
	}
}

// startTransferOn puts a file with its messages on a terminal, over a line that is slow enough for a progress line.
func startTransferOn(t *testing.T) *transferring {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	x := &transferring{world: w, sshd: startSSHD(t, w, true), far: t.TempDir(), near: t.TempDir()}
	file := filepath.Join(x.near, "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte{'x'}, 30_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	slow := slowLine(t, "127.0.0.1:"+x.sshd.port)
	x.cmd = exec.Command(programPath(t), "put", "--host", slow, "-i", x.sshd.key, "-l", x.sshd.login, w.cluster, file, x.far)
	x.cmd.Env = append(w.env(), "PATH="+os.Getenv("PATH"), "HOME="+w.dir, "EMR_ACCESSD_CONFIG="+w.write(t), "EMR_ACCESSD_STATE="+filepath.Join(w.dir, "state"))
	terminal, theirs, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	x.cmd.Stderr = theirs
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() { _ = x.cmd.Process.Kill() })
	_, _ = io.Copy(&x.errs, terminal) // ends with an error when the program has ended
	_ = x.cmd.Wait()
	return x
}

// slowLine passes connections on to an address, some megabytes a second in the client's direction.
func slowLine(t *testing.T, to string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(client, server)
				client.Close()
			}()
			go func() {
				defer server.Close()
				buf := make([]byte, 128<<10)
				for {
					n, err := client.Read(buf)
					if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
		}
	}()
	return l.Addr().String()
}
