//go:build unix

package sshsession_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// sshd is a real OpenSSH server on loopback. Each connection has an sshd of its own in inetd mode, a direct child of the test that ends
// with its connection, so that nothing stays behind.
type sshd struct {
	t        *testing.T
	addr     string
	folder   string
	login    string
	hostKeys map[string]ssh.PublicKey
	log      syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func startSSHD(t *testing.T, login ssh.PublicKey, kinds ...string) *sshd {
	t.Helper()
	program := "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		needPeer(t, program)
	}
	if os.Geteuid() == 0 { // privilege separation wants this folder, which a distribution's service makes
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := &sshd{t: t, folder: t.TempDir(), hostKeys: map[string]ssh.PublicKey{}}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	d.login = me.Username
	for _, kind := range kinds {
		d.setHostKey(kind)
	}
	writeKey(t, d.folder, "authorized_keys", []byte(authorized(login)+"\n"))
	config := fmt.Sprintf("UsePAM no\nStrictModes no\nPidFile none\nAuthorizedKeysFile %s/authorized_keys\nPasswordAuthentication no\n"+
		"KbdInteractiveAuthentication no\nAcceptEnv LANG LC_*\nSetEnv SHLVL=2\nPermitRootLogin yes\nLogLevel INFO\n", d.folder)
	for _, kind := range kinds {
		config += fmt.Sprintf("HostKey %s/host_%s\n", d.folder, kind)
	}
	configFile := writeKey(t, d.folder, "sshd_config", []byte(config))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = listener.Addr().String()
	var children sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		children.Wait()
		if t.Failed() {
			t.Logf("sshd:\n%s", d.log.String())
		}
	})
	children.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			file, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				t.Error(err)
				return
			}
			cmd := exec.Command(program, "-i", "-e", "-f", configFile)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, &d.log
			if err := cmd.Start(); err != nil {
				t.Error(err)
			} else {
				children.Go(func() { _ = cmd.Wait() })
			}
			file.Close()
		}
	})
	return d
}

// setHostKey makes a new host key of this kind; the next connection meets it.
func (d *sshd) setHostKey(kind string) {
	d.t.Helper()
	key := newKey(d.t, kind)
	if kind == "rsa" && d.hostKeys[kind] != nil {
		key = newKey(d.t, "rsa2")
	}
	writeKey(d.t, d.folder, "host_"+kind, openSSH(d.t, key))
	d.hostKeys[kind] = publicKey(d.t, key)
}

// newSSHD is a real server and a target that can log in there.
func newSSHD(t *testing.T, kinds ...string) (sshsession.Target, *sshd) {
	t.Helper()
	l, pub := login(t, t.TempDir())
	d := startSSHD(t, pub, kinds...)
	l.User = d.login
	return sshsession.Target{
		Addr: d.addr, Login: l,
		Verifier: sshsession.Verifier{Store: openStore(t), Instance: instance},
		Warn:     func(err error) { t.Errorf("warning: %v", err) },
	}, d
}

func TestSSHDExec(t *testing.T) {
	target, d := newSSHD(t, "ed25519", "ecdsa", "rsa")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	target.Env = []string{"LC_TEST=Grüße"}
	c := mustDial(t, target)
	var stdout, stderr bytes.Buffer
	status, err := c.Exec(t.Context(), `echo out $LC_TEST; echo err >&2; cat; exit 7`, strings.NewReader("in"), &stdout, &stderr, nil)
	if status != 7 || err != nil || stdout.String() != "out Grüße\nin" || stderr.String() != "err\n" {
		t.Errorf("status %d, error %v, stdout %q, stderr %q", status, err, stdout.String(), stderr.String())
	}
	if status, err := c.Exec(t.Context(), `kill -9 $$`, nil, nil, nil, nil); status != 137 || err != nil {
		t.Errorf("killed: status %d, error %v; want 137", status, err)
	}
	stdout.Reset()
	const size = 3 << 20 // more than the window
	if status, err := c.Exec(t.Context(), fmt.Sprintf("head -c %d /dev/zero", size), nil, &stdout, nil, nil); status != 0 || err != nil || stdout.Len() != size {
		t.Errorf("bulk: status %d, error %v, %d bytes", status, err, stdout.Len())
	}
	if view, err := c.ServerView(t.Context()); err != nil || view.String() != "127.0.0.1" {
		t.Errorf("server's view: %v, %v", view, err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// endlessInput never ends.
type endlessInput struct{}

func (endlessInput) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestSSHDUnreadInput has commands end that leave input unread: their status is the answer, as in "generate | connect … head -1".
func TestSSHDUnreadInput(t *testing.T) {
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	c := mustDial(t, target)
	for command, want := range map[string]int{"true": 0, "head -c 10 >/dev/null": 0, "head -c 5000000 | tail -c 3": 0, "exec <&-; sleep 0.1": 0, "head -c 10 >/dev/null; exit 3": 3} {
		if status, err := c.Exec(t.Context(), command, endlessInput{}, nil, nil, nil); status != want || err != nil {
			t.Errorf("%s: status %d, error %v; want %d", command, status, err, want)
		}
	}
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if status, err := c.Exec(t.Context(), "cat", folder, nil, nil, nil); status != sshsession.ExitFailed || err == nil || !strings.Contains(err.Error(), "read the input") {
		t.Errorf("input that cannot be read: status %d, error %v", status, err)
	}
}

// TestSSHDKnownType is the golden rule against OpenSSH: one type of key is known, the server has three.
func TestSSHDKnownType(t *testing.T) {
	kinds := []string{"ed25519", "ecdsa", "rsa"}
	target, d := newSSHD(t, kinds...)
	for _, kind := range kinds {
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys[kind])
		if got := mustDial(t, target).HostKey().Key.SHA256; got != ssh.FingerprintSHA256(d.hostKeys[kind]) {
			t.Errorf("%s: host key %s", kind, got)
		}
		if err := target.Verifier.Store.Forget(instance); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSSHDConsoleThenChanged(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			target, d := newSSHD(t, kind)
			target.Verifier.Console = console(printBlock("ec2: ", "\r\n", d.hostKeys[kind]) + keyBlock("", "\r\n", d.hostKeys[kind]))
			mustDial(t, target).Close()
			before := ssh.FingerprintSHA256(d.hostKeys[kind])
			d.setHostKey(kind)
			_, err := sshsession.Dial(t.Context(), target)
			e, ok := errors.AsType[*sshsession.MismatchError](err)
			if !ok || e.Want[0].SHA256 != before || e.Got.SHA256 != ssh.FingerprintSHA256(d.hostKeys[kind]) {
				t.Errorf("error %v, want a MismatchError", err)
			}
		})
	}
}

func TestSSHDWrongKey(t *testing.T) {
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	other := writeKey(t, t.TempDir(), "other.pem", traditional(t, newKey(t, "rsa"), ""))
	target.Login.KeyFiles = []string{other}
	_, err := sshsession.Dial(t.Context(), target)
	e, ok := errors.AsType[*sshsession.AuthError](err)
	if !ok || len(e.Tried) != 1 || e.Tried[0].Source != other {
		t.Errorf("error %v, want an AuthError", err)
	}
}

// TestSSHDKeys logs in with each type of key that EC2 and ssh-keygen make.
func TestSSHDKeys(t *testing.T) {
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	for _, kind := range []string{"rsa", "ecdsa", "ecdsa384", "ed25519"} {
		key := newKey(t, kind)
		writeKey(t, d.folder, "authorized_keys", []byte(authorized(publicKey(t, key))+"\n"))
		target.Login.KeyFiles = []string{writeKey(t, t.TempDir(), kind+".pem", pkcs8(t, key))}
		if status, err := mustDial(t, target).Exec(t.Context(), "exit 3", nil, nil, nil, nil); status != 3 || err != nil {
			t.Errorf("%s: status %d, error %v", kind, status, err)
		}
	}
}

// TestSSHDLoadedAgent has ssh-add's agent full of keys, of which none is the right one.
func TestSSHDLoadedAgent(t *testing.T) {
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	file := target.Login.KeyFiles[0]
	agentPath := filepath.Join(t.TempDir(), "agent")
	program, err := exec.LookPath("ssh-agent")
	if err != nil {
		needPeer(t, "ssh-agent")
	}
	cmd := exec.Command(program, "-D", "-a", agentPath)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, _ = io.ReadAtLeast(out, make([]byte, 1), 1) // it prints its settings when it listens
	folder := t.TempDir()
	for i := range 7 {
		path := writeKey(t, folder, fmt.Sprintf("key%d", i), openSSH(t, newKey(t, "ed25519")))
		add := exec.Command("ssh-add", "-q", path)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+agentPath)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add: %v\n%s", err, out)
		}
	}
	target.Login.Agent = agentPath
	if got := mustDial(t, target).LoginKey().Source; got != file {
		t.Errorf("logged in with %s", got)
	}
	target.Login.KeyFiles = nil
	_, err = sshsession.Dial(t.Context(), target)
	if e, ok := errors.AsType[*sshsession.AuthError](err); !ok || len(e.Tried) != 5 || len(e.Skipped) != 2 {
		t.Errorf("error %v, want an AuthError after five keys", err)
	}
}

func TestSSHDShell(t *testing.T) {
	s := newScreen(t)
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	c := mustDial(t, target)
	s.Command = "/bin/sh -i"
	go func() {
		s.typed("PS1=READY; stty -a | tr ';' '\\n' | sed -n 's/^ *\\(rows\\|columns\\|erase\\|intr\\)/&/p'; echo T=$TERM; tty | cut -c1-9\r")
		s.expect("rows 40")
		s.expect("columns 100")
		s.expect("intr = ^C")
		s.expect("erase = ^?")
		s.expect("T=xterm-256color\r\n/dev/pts/")
		s.expect("READY")
		s.typed("sleep 1000\r\x03")
		s.expect("READY") // Ctrl-C stopped the sleep, not us
		s.typed("exit 7\r")
	}()
	status, err := c.Shell(t.Context(), s.Terminal)
	if status != 7 || err != nil {
		t.Errorf("status %d, error %v; want 7", status, err)
	}
	s.restored()
}

func TestSSHDShellEscape(t *testing.T) {
	s := newScreen(t)
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	c := mustDial(t, target)
	s.Command = "echo READY; exec sleep 1000"
	go func() {
		s.expect("READY")
		s.typed("\r~.")
	}()
	if status, err := c.Shell(t.Context(), s.Terminal); status != sshsession.ExitFailed || !errors.Is(err, sshsession.ErrEscape) {
		t.Errorf("status %d, error %v; want ErrEscape", status, err)
	}
	s.restored()
}

// TestSSHDStoreServesOpenSSH gives our host key file to the system's ssh, as "connect --openssh" will.
func TestSSHDStoreServesOpenSSH(t *testing.T) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		needPeer(t, "ssh")
	}
	target, d := newSSHD(t, "ed25519", "ecdsa", "rsa")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["rsa"])
	host, port, _ := net.SplitHostPort(d.addr)
	run := func() (string, error) {
		out, err := exec.Command(program, "-F", "none", "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes",
			"-o", "HostKeyAlias="+instance, "-o", "UserKnownHostsFile="+target.Verifier.Store.Path(), "-o", "StrictHostKeyChecking=yes",
			"-o", "GlobalKnownHostsFile=none", "-i", target.Login.KeyFiles[0], "-p", port, d.login+"@"+host, "echo welcome").CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil || !strings.Contains(out, "welcome") {
		t.Errorf("ssh: %v\n%s", err, out)
	}
	d.setHostKey("rsa")
	if out, err := run(); err == nil {
		t.Errorf("ssh takes another host key:\n%s", out)
	}
}
