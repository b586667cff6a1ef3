package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
	"github.com/rogpeppe/go-internal/testscript"
)

const sshdPath = "/usr/sbin/sshd"

// havePeer is the conditions [sshd] and [peer:PROGRAM] of scripts: without the program they are skipped, but CI must have it.
func havePeer(cond string) (bool, error) {
	var err error
	if program, ok := strings.CutPrefix(cond, "peer:"); ok {
		_, err = exec.LookPath(program)
	} else if cond == "sshd" {
		_, err = os.Stat(sshdPath)
	} else {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("CI must have the other side of every test: %w", err)
	}
	return err == nil, nil
}

// cmdSSHD starts a real OpenSSH server as the cluster's primary node ("silent": its host keys are not on the
// console) and sets PORT, KEY and LOGIN.
func cmdSSHD(ts *testscript.TestScript, _ bool, args []string) {
	s, err := newSSHD(ts.MkAbs("sshd"), worldOf(ts), len(args) == 0)
	ts.Check(err)
	ts.Defer(s.stop)
	ts.Setenv("PORT", s.port)
	ts.Setenv("KEY", s.key)
	ts.Setenv("LOGIN", s.login)
}

// console FILE: the node's console shows the public key in that file, which is made, and no other.
func cmdConsole(ts *testscript.TestScript, _ bool, args []string) {
	file := strings.TrimSuffix(ts.MkAbs(args[0]), ".pub")
	if out, err := exec.Command("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", file).CombinedOutput(); err != nil {
		ts.Fatalf("ssh-keygen: %v %s", err, out)
	}
	text := "-----BEGIN SSH HOST KEY KEYS-----\r\n" + strings.TrimSpace(ts.ReadFile(args[0])) + "\r\n-----END SSH HOST KEY KEYS-----\r\n"
	worldOf(ts).sim.SetNode(worldOf(ts).instance, func(n *awssim.NodeSpec) { n.Console = text })
}

// plainShell is a line for a server whose sessions are not those of the login shell of whoever runs the test: what its files do takes
// any time, and must not be killed half way.
const plainShell = `ForceCommand exec sh -c "${SSH_ORIGINAL_COMMAND:-PS1='$ ' exec sh -i}"`

// startSSHD is the same for tests in Go.
func startSSHD(t *testing.T, w *simWorld, printed bool, lines ...string) *sshServer {
	t.Helper()
	if _, err := os.Stat(sshdPath); err != nil {
		mototest.Need(t, "an OpenSSH server", err)
	}
	s, err := newSSHD(filepath.Join(t.TempDir(), "sshd"), w, printed, lines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// sshServer is a real OpenSSH server on a loopback port, with fresh host keys and one login key.
type sshServer struct {
	dir, port, key, login string
	cmd                   *exec.Cmd
}

func (s *sshServer) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// The lines go into its configuration.
func newSSHD(dir string, w *simWorld, printed bool, lines ...string) (*sshServer, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &sshServer{dir: dir, key: filepath.Join(dir, "user"), login: u.Username}
	err = os.MkdirAll(dir, 0o700)
	if os.Geteuid() == 0 {
		err = errors.Join(err, os.MkdirAll("/run/sshd", 0o755)) // privilege separation wants it
	}
	l, lerr := net.Listen("tcp", "127.0.0.1:0")
	if err = errors.Join(err, lerr); err != nil {
		return nil, err
	}
	s.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	second := "" // the core node of the world
	if runtime.GOOS == "linux" {
		second = "ListenAddress 127.0.0.2\n"
	}
	// bash reads the user's own .bashrc for a session of sshd's, unless it seems to be a shell within a shell. What is
	// in there is none of the test's business, and may take a minute.
	config := fmt.Sprintf("SetEnv SHLVL=2\nPort %s\nListenAddress 127.0.0.1\n%sUsePAM no\nStrictModes no\nPidFile none\nPasswordAuthentication no\nAuthorizedKeysFile %s.pub\nSubsystem sftp internal-sftp\n", s.port, second, s.key)
	console := "[   27.5] cloud-init[1727]: Cloud-init v. 22.2.2 finished\r\n-----BEGIN SSH HOST KEY KEYS-----\r\n"
	for _, kind := range []string{"ecdsa", "ed25519", "user"} {
		algorithm := kind
		if kind == "user" {
			algorithm = "ed25519"
		}
		file := filepath.Join(dir, kind)
		if out, err := exec.Command("ssh-keygen", "-q", "-N", "", "-t", algorithm, "-C", "root@ip-10-0-0-1", "-f", file).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w %s", err, out)
		}
		pub, err := os.ReadFile(file + ".pub")
		if err != nil {
			return nil, err
		}
		if kind != "user" {
			console += string(bytes.TrimSpace(pub)) + "\r\n"
			config += "HostKey " + file + "\n"
		}
	}
	console += "-----END SSH HOST KEY KEYS-----\r\n"
	if !printed {
		console = ""
	}
	for _, n := range w.sim.Nodes(w.cluster) {
		w.sim.SetNode(n.InstanceID, func(n *awssim.NodeSpec) { n.Console = console })
	}
	config += strings.Join(append(lines, ""), "\n")
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(sshdPath, "-D", "-e", "-f", filepath.Join(dir, "config"))
	var log strings.Builder
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			_ = c.Close()
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("sshd does not answer: %s", log.String())
}
