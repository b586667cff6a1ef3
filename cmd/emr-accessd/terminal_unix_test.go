//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// desk is a world with a real SSH server, for sessions on terminals.
type desk struct {
	*simWorld
	server *sshServer
	path   *road
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	server := startSSHD(t, w, true, plainShell)
	return &desk{simWorld: w, server: server, path: newRoad(t, "127.0.0.1:"+server.port)}
}

// connect sits down and runs connect with a state folder of its own.
func (d *desk) connect(t *testing.T, env []string, args ...string) *sitting {
	t.Helper()
	env = append(append(d.env(), "HOME="+t.TempDir(), "EMR_ACCESSD_CONFIG="+d.write(t), "EMR_ACCESSD_STATE="+filepath.Join(t.TempDir(), "state")), env...)
	return sit(t, env, append([]string{"connect", "--port", d.server.port, "--host", d.path.addr, "-i", d.server.key, "-l", d.server.login}, args...)...)
}

// ours counts our rules in the primary node's group.
func (d *desk) ours() (n int) {
	for _, r := range d.sim.Rules(d.master) {
		if r.Tags["emr-accessd-owner"] != "" {
			n++
		}
	}
	return n
}

// However a session ends: the terminal is as before, the exit status is the documented one, and the rule is given back.
func TestTerminalIsLeftAsItWas(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		name   string
		args   []string
		person func(s *sitting)
		status int
		says   string
	}{
		{"exit", nil, func(s *sitting) { s.typed("exit 7\r") }, 7, ""},
		{"the shell is killed", nil, func(s *sitting) { s.typed("kill -9 $$\r") }, 137, ""},
		{"Ctrl-C is the remote's", nil, func(s *sitting) {
			s.typed("echo beg''un; sleep 1000\r")
			s.expect("begun")
			s.typed("\x03")
			s.expect(`[$#] $`)
			s.typed("exit 3\r")
		}, 3, ""},
		{"lost link", nil, func(*sitting) { d.path.cut() }, 255, "the connection to the server is lost"},
		{"frozen server, and the escape", nil, func(s *sitting) {
			d.path.freeze()
			s.typed("anything\r~.")
		}, 255, "ended by its escape"},
		{"told to end", nil, func(s *sitting) { _ = s.cmd.Process.Signal(syscall.SIGTERM) }, 255, ""},
		{"a command, told to end", []string{d.cluster, "--", "echo ready-42; sleep 20"}, func(s *sitting) { _ = s.cmd.Process.Signal(syscall.SIGTERM) }, 255,
			"terminated signal received"},
		{"full screen", nil, func(s *sitting) {
			s.typed("printf '\\033[?1049h\\033[?25l'; echo fu''ll\r")
			s.expect("full")
			d.path.cut()
			s.expect(`\x1b\[\?25h.*\x1b\[\?1049l`)
		}, 255, "is lost"},
		{"Ctrl-C twice", []string{d.cluster, "--", "trap '' INT; echo ready-42; sleep 20"}, func(s *sitting) {
			for deadline := time.Now().Add(patientWait); time.Now().Before(deadline); { // the kernel tells two of the same signal as one
				s.typed("\x03")
				select {
				case <-s.ended:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}, 130, ""},
		{"a command with a terminal", []string{"-t", d.cluster, "--", "tty >/dev/null && echo ready-42; read line; exit 4"}, func(s *sitting) { s.typed("x\r") }, 4, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if args == nil {
				args = []string{d.cluster}
			}
			s := d.connect(t, nil, args...)
			if tt.args == nil {
				s.ready()
			} else {
				s.expect("ready-42")
			}
			tt.person(s)
			s.expect(tt.says)
			s.exits(tt.status)
			if n := d.ours(); n != 0 {
				t.Errorf("%d rules are left", n)
			}
		})
	}
	t.Run("the terminal is closed", func(t *testing.T) {
		s := d.connect(t, nil, d.cluster)
		s.ready()
		s.leave()
		select {
		case <-s.ended:
		case <-time.After(patientWait):
			t.Fatal("it does not end")
		}
		if n := d.ours(); n != 0 || s.cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("exit status %d, %d rules are left", s.cmd.ProcessState.ExitCode(), n)
		}
	})
}

// A session whose link is lost comes back by itself, whether the server hung up or the address changed under it.
func TestReconnect(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the laptop moves between addresses of loopback, of which only Linux has many")
	}
	d := newDesk(t)
	where := filepath.Join(t.TempDir(), "where")
	move := func(to, seen string) {
		d.set("all", seen)
		if err := os.WriteFile(where, []byte(to+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	move("127.0.0.1", "198.51.100.7")
	s := d.connect(t, []string{demoSource + "=" + where}, "--reconnect", d.cluster)
	s.ready()
	d.path.cut()
	s.expect("the connection to the server is lost")
	s.expect("connected again after .*, in a new session")
	s.ready()

	// The network changes: the rule follows, and a connection that still works is left alone.
	// The network is watched when a session has lasted for some time; a change before that is none.
	moved := regexp.MustCompile(`your address is 203\.0\.113\.9 now`)
	for n := 2; n < 100 && !moved.MatchString(s.screen()); n++ {
		move(fmt.Sprintf("127.0.0.%d", n), "203.0.113.9")
		time.Sleep(time.Second)
	}
	s.expect(`\r\n\x1b\[Kemr-accessd: your address is 203.0.113.9 now; the rule admits it\r\n`)
	s.typed("echo still-$((7*6))\r")
	s.expect("still-42")
	if got := d.listing(); !strings.Contains(got, "203.0.113.9/32") || strings.Contains(got, "198.51.100.7/32") {
		t.Errorf("the rules:\n%s", got)
	}
	// It changes, and the connection is dead: that is found out at once, not after three keepalives.
	d.path.freeze()
	move("127.0.1.1", "203.0.113.10")
	s.expect("your address has changed, and the server does not answer")
	s.expect("connected again after")
	s.ready()
	s.typed("exit 5\r")
	s.exits(5)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// Ctrl-C is the remote command's, which may go on: the rule follows the address still.
func TestFollowedAfterCtrlC(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the laptop moves between addresses of loopback, of which only Linux has many")
	}
	d := newDesk(t)
	where := filepath.Join(t.TempDir(), "where")
	s := d.connect(t, []string{demoSource + "=" + where}, d.cluster, "--", "trap '' INT; echo ready-$((6*7)); sleep 1000")
	s.expect("ready-42")
	s.typed("\x03")
	s.expect(`\^C`)
	d.set("all", "203.0.113.9")
	followed := regexp.MustCompile(`your address is 203\.0\.113\.9 now`)
	for n := 2; n < 60 && !followed.MatchString(s.screen()); n++ { // a change before the network is watched is none
		if err := os.WriteFile(where, fmt.Appendf(nil, "127.0.0.%d\n", n), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	s.expect(followed.String())
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.exits(255)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// A server that ends each session as soon as it begins is not asked again and again without a pause.
func TestReconnectLostAtOnce(t *testing.T) {
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	server := startSSHD(t, w, true, "ForceCommand kill -9 $PPID")
	d := &desk{simWorld: w, server: server, path: newRoad(t, "127.0.0.1:"+server.port)}
	s := d.connect(t, nil, "--reconnect", d.cluster)
	s.expect("connected again after [1-9]")
	s.expect("connected again after ([2-9]|[1-9][0-9])")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.exits(255)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// Ctrl-C while it tries to come back gives up.
func TestReconnectGivenUp(t *testing.T) {
	d := newDesk(t)
	s := d.connect(t, nil, "--reconnect", d.cluster)
	s.ready()
	d.path.shut()
	s.expect("not yet: ")
	s.typed("\x03")
	s.expect("gave up")
	s.exits(255)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// A pause and a revoke are the user's word: a session that lost its link changes nothing while it is paused, and does not bring
// back the rule that was revoked meanwhile.
func TestReconnectPausedAndRevoked(t *testing.T) {
	d := newDesk(t)
	s := d.connect(t, nil, "--reconnect", d.cluster)
	s.ready()
	other := func(args ...string) {
		t.Helper()
		cmd := exec.Command(programPath(t), args...)
		cmd.Env = s.cmd.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	other("pause")
	d.set("all", "203.0.113.9")
	writes := d.writes()
	d.path.cut()
	s.expect("connected again after") // by the rule that stands
	s.ready()
	if n := d.writes() - writes; n > 0 {
		t.Errorf("paused, and it wrote %d times", n)
	}
	other("resume")
	other("revoke", d.cluster) // which is on another port here
	if n := d.ours(); n != 0 {
		t.Errorf("revoked, and %d rules are left:\n%s", n, d.listing())
	}
	d.path.cut()
	s.expect("error: the rule was revoked while this session was open")
	s.expect("hint: .emr-accessd connect. brings it back")
	s.exits(255)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are back", n)
	}
}

// Without a name, the cluster is picked from a list; and ssh is run when it is asked for.
func TestPickedOnATerminal(t *testing.T) {
	d := newDesk(t)
	s := d.connect(t, nil)
	s.expect(`1  j-\w+  inside.*private`)
	s.expect(`2  ` + d.cluster + `  nightly-etl.*public`)
	s.expect(`Which one\? \[1-2\] `)
	s.typed("3\n")
	s.expect(`Which one\? \[1-2\] `)
	s.typed("2\n")
	s.ready()
	s.typed("exit 4\r")
	s.exits(4)
	s = d.connect(t, nil)
	s.expect(`Which one\? `)
	s.typed("\x03")
	s.exits(255)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// The system's ssh on a terminal: also when it is killed, the terminal is as before.
func TestOpenSSHOnATerminal(t *testing.T) {
	d := newDesk(t)
	s := d.connect(t, nil, "--openssh", d.cluster)
	s.ready()
	s.typed("exit 6\r")
	s.exits(6)
	s = d.connect(t, nil, "--openssh", d.cluster)
	s.ready()
	killChild(t, s.cmd.Process.Pid)
	s.exits(137)
	if n := d.ours(); n != 0 {
		t.Errorf("%d rules are left", n)
	}
}

// forget has the program know no host key of the node any more, as of a new node whose console is silent.
func (d *desk) forget(s *sitting) {
	s.t.Helper()
	for _, n := range d.sim.Nodes(d.cluster) {
		d.sim.SetNode(n.InstanceID, func(n *awssim.NodeSpec) { n.Console = "" })
	}
	for _, e := range s.cmd.Env {
		if dir, ok := strings.CutPrefix(e, "EMR_ACCESSD_STATE="); ok {
			if err := os.Remove(filepath.Join(dir, "known_hosts")); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// A question on the way back gets each key that is typed, although the session before has read the same keyboard.
func TestAskedOnTheWayBack(t *testing.T) {
	d := newDesk(t)
	s := d.connect(t, nil, "--reconnect", d.cluster)
	s.ready()
	d.forget(s)
	d.path.cut()
	s.expect(`\(yes/no/\[fingerprint\]\)\? `)
	s.typed("y")
	s.expect("y")
	s.typed("es\r")
	s.expect("connected again after")
	s.ready()
	d.forget(s)
	d.path.cut()
	s.expect(`\(yes/no/\[fingerprint\]\)\? `)
	s.typed("\x03")
	s.exits(255)
}

// Under nohup a command goes on when the terminal is closed.
func TestNohup(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{nil, {"--openssh"}} {
		args = append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, programPath(t), "connect", "--port", d.server.port, "-i", d.server.key, "-l", d.server.login}, args...)
		cmd := exec.Command("sh", append(args, d.cluster, "--", "echo ready; read line; echo got $line")...)
		cmd.Env = append(d.env(), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "EMR_ACCESSD_CONFIG="+d.write(t), "EMR_ACCESSD_STATE="+filepath.Join(t.TempDir(), "state"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // enough for one that obeys; one that is late to obey passes
		if _, err := io.WriteString(in, "on\n"); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != "got on" {
			t.Errorf("%q: %q, %v", args, lines.Text(), lines.Err())
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}
