package demo_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/demo"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// openWorld is a world whose gate lets everybody through to the node.
func openWorld(t *testing.T) *demo.World {
	t.Helper()
	return newWorld(t, demo.WorldOptions{AlwaysOpen: true})
}

func loginKey(t *testing.T, w *demo.World) ssh.Signer {
	t.Helper()
	pem, err := os.ReadFile(w.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func dialNode(w *demo.World, user string, key ssh.Signer) (*ssh.Client, error) {
	var known []string
	for _, k := range w.HostKeys() {
		known = append(known, string(k.PublicKey().Marshal()))
	}
	return ssh.Dial("tcp", w.SSHAddr().String(), &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(w.HostKeys()[len(known)-1].PublicKey()), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}})
}

func session(t *testing.T, w *demo.World) *ssh.Session {
	t.Helper()
	c, err := dialNode(w, "hadoop", loginKey(t, w))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func needShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the node has its built-in commands only")
	}
}

func TestNodeLogin(t *testing.T) {
	w := openWorld(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialNode(w, "hadoop", stranger); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("another key: %v", err)
	}
	if _, err := dialNode(w, "root", loginKey(t, w)); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("another user: %v", err)
	}
	if logins := w.Logins(); len(logins) != 0 {
		t.Errorf("logins %v", logins)
	}
	c, err := dialNode(w, "hadoop", loginKey(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Dial("tcp", "127.0.0.1:1"); err == nil {
		t.Error("a connection was forwarded")
	}
	if ok, _, err := c.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
		t.Errorf("keep-alive: %t, %v", ok, err)
	}
	local := netip.MustParseAddrPort(c.LocalAddr().String())
	if logins := w.Logins(); len(logins) != 1 || logins[0] != local {
		t.Errorf("logins %v, want %v", logins, local)
	}
}

func TestNodeCommands(t *testing.T) {
	needShell(t)
	w := openWorld(t)
	at := w.SSHAddr()
	tests := []struct {
		name, line, in string
		out, err       string // patterns of the whole
		status         int
		signal         string
	}{
		{"output", "echo out; echo err >&2", "", "^out\n$", "^err\n$", 0, ""},
		{"status", "exit 7", "", "^$", "^$", 7, ""},
		{"input", "cat; echo .", "some\x00thing", "^some\x00thing\\.\n$", "^$", 0, ""},
		{"input that nobody reads", "echo done", strings.Repeat("x", 1<<20), "^done\n$", "^$", 0, ""},
		{"the connection", "echo $SSH_CONNECTION", "", fmt.Sprintf(`^127\.0\.0\.\d+ \d+ %s %d\n$`, regexp.QuoteMeta(at.Addr().String()), at.Port()), "^$", 0, ""},
		{"the client", "echo $SSH_CLIENT", "", fmt.Sprintf(`^127\.0\.0\.\d+ \d+ %d\n$`, at.Port()), "^$", 0, ""},
		{"who", "echo $USER $LOGNAME; pwd", "", `^hadoop hadoop\n.*node\n$`, "^$", 0, ""},
		{"nothing of the demo's own environment", "env | grep -c SECRET_OF_THE_DEMO", "", "^0\n$", "^$", 1, ""},
		{"killed", "kill -TERM $$", "", "^$", "^$", 0, "TERM"},
		{"not found", "no-such-command", "", "^$", "not found", 127, ""},
		{"no terminal", "tty", "", "^not a tty\n$", "^$", 1, ""},
		{"a child that stays", "sleep 1000 & echo started", "", "^started\n$", "^$", 0, ""},
	}
	t.Setenv("SECRET_OF_THE_DEMO", "1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, w)
			var out, errOut bytes.Buffer
			s.Stdout, s.Stderr = &out, &errOut
			in, err := s.StdinPipe() // a failure to write is the client's own, and no end of the command
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.WriteString(in, tt.in)
				in.Close()
			}()
			err = s.Run(tt.line)
			status, signal := 0, ""
			if e, ok := errors.AsType[*ssh.ExitError](err); ok {
				status, signal = e.ExitStatus(), e.Signal()
				if signal != "" {
					status = 0
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if status != tt.status || signal != tt.signal {
				t.Errorf("status %d, signal %q, want %d and %q", status, signal, tt.status, tt.signal)
			}
			if !regexp.MustCompile(tt.out).MatchString(out.String()) || !regexp.MustCompile(tt.err).MatchString(errOut.String()) {
				t.Errorf("output %.200q and %.200q, want %s and %s", out.String(), errOut.String(), tt.out, tt.err)
			}
		})
	}
}

// SSH_CONNECTION is the connection's own: address and port of both ends.
func TestNodeConnection(t *testing.T) {
	needShell(t)
	w := openWorld(t)
	c, err := dialNode(w, "hadoop", loginKey(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output("echo $SSH_CONNECTION")
	if err != nil {
		t.Fatal(err)
	}
	local := netip.MustParseAddrPort(c.LocalAddr().String())
	want := fmt.Sprintf("%s %d %s %d\n", local.Addr(), local.Port(), w.SSHAddr().Addr(), w.SSHAddr().Port())
	if string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func TestNodeEnvironment(t *testing.T) {
	needShell(t)
	s := session(t, openWorld(t))
	for name, accepted := range map[string]bool{"LC_ALL": true, "LANG": true, "LD_PRELOAD": false, "PATH": false} {
		if err := s.Setenv(name, "C"); (err == nil) != accepted {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := s.Output("echo $LC_ALL $LANG $PATH")
	if err != nil || string(out) != "C C /usr/local/bin:/usr/bin:/bin\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestNodeTerminal(t *testing.T) {
	needShell(t)
	s := session(t, openWorld(t))
	if err := s.RequestPty("vt100", 40, 100, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	screen := &screen{t: t, r: out}
	say := func(line string) {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Error(err)
		}
	}
	// The quotes keep the echo of what is typed apart from the output.
	say(`echo "siz""e" $(stty size) $TERM`)
	screen.await("size 40 100 vt100")
	if err := s.WindowChange(30, 90); err != nil {
		t.Fatal(err)
	}
	// The size may arrive after the line: both come on one channel, but the terminal hears of it on another way.
	say(`until [ "$(stty size)" = "30 90" ]; do :; done; echo "resiz""ed"`)
	screen.await("resized")
	say("exit 3")
	if e, ok := errors.AsType[*ssh.ExitError](s.Wait()); !ok || e.ExitStatus() != 3 {
		t.Errorf("the shell ended with %v, want status 3", e)
	}
}

// screen collects what a terminal shows.
type screen struct {
	t    *testing.T
	r    io.Reader
	seen strings.Builder
}

func (s *screen) await(text string) {
	s.t.Helper()
	buf := make([]byte, 1024)
	for !strings.Contains(s.seen.String(), text) {
		n, err := s.r.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("%v before %q came; the screen shows %q", err, text, s.seen.String())
		}
	}
}

func TestNodeSignal(t *testing.T) {
	needShell(t)
	s := session(t, openWorld(t))
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.01; done"); err != nil {
		t.Fatal(err)
	}
	screen := &screen{t: t, r: out}
	screen.await("ready")
	if err := s.Signal("NO-SUCH"); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(ssh.SIGINT); err != nil {
		t.Fatal(err)
	}
	screen.await("caught")
	if e, ok := errors.AsType[*ssh.ExitError](s.Wait()); !ok || e.ExitStatus() != 5 {
		t.Errorf("ended with %v, want status 5", e)
	}
}

// What a client started ends with its connection, and with the world.
func TestNodeEndsCommands(t *testing.T) {
	needShell(t)
	for _, end := range []string{"connection", "world"} {
		t.Run(end, func(t *testing.T) {
			w, err := demo.NewWorld(t.Context(), demo.WorldOptions{Dir: t.TempDir(), AlwaysOpen: true})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			c, err := dialNode(w, "hadoop", loginKey(t, w))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := c.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start("trap '' HUP TERM; echo pid $$ .; while :; do sleep 0.01; done"); err != nil {
				t.Fatal(err)
			}
			screen := &screen{t: t, r: out}
			screen.await(" .")
			pid := regexp.MustCompile(`pid (\d+)`).FindStringSubmatch(screen.seen.String())[1]
			if end == "connection" {
				c.Close()
			}
			if err := w.Close(); err != nil { // waits for everything on the node
				t.Error(err)
			}
			if err := exec.CommandContext(t.Context(), "kill", "-0", pid).Run(); err == nil {
				t.Errorf("process %s lives on", pid)
			}
		})
	}
}

// The program's own parser finds the node's keys in the console output, and all of them.
func TestConsole(t *testing.T) {
	keys, err := demo.NewHostKeys()
	if err != nil {
		t.Fatal(err)
	}
	found, err := sshsession.ParseConsole(demo.Console(keys, "ip-10-20-1-10"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, k := range keys {
		want[k.PublicKey().Type()] = ssh.FingerprintSHA256(k.PublicKey())
	}
	got := map[string]string{}
	for _, k := range found.Keys {
		got[k.Type()] = ssh.FingerprintSHA256(k)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if len(found.Fingerprints) != 2 {
		t.Errorf("fingerprints %v", found.Fingerprints)
	}
}

// The world's AWS has the console output of the very node that answers.
func TestConsoleOfTheNode(t *testing.T) {
	w := openWorld(t)
	found, err := sshsession.ParseConsole(w.Sim().Nodes(w.Cluster())[0].Console)
	if err != nil {
		t.Fatal(err)
	}
	ed := w.HostKeys()[1].PublicKey()
	if len(found.Keys) != 2 || !bytes.Equal(found.Keys[0].Marshal(), ed.Marshal()) {
		t.Errorf("keys %v", found.Fingerprints)
	}
}
