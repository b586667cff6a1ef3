//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

const (
	// roundTrip is a far cluster's: Europe to the east of the United States.
	roundTrip = 80 * time.Millisecond
	// awsTrip is the round trip to a region's API that is not next door.
	awsTrip = 40 * time.Millisecond

	sshdPath = "/usr/sbin/sshd"
)

// world is a cluster's node (a real OpenSSH server), AWS (moto) and the echoes, near and far.
type world struct {
	dir     string
	opt     options
	binary  string
	moto    *moto
	login   string
	closers []func()
	skipped []string

	node, farNode *relay // to the SSH server
	aws, farAWS   *relay // to moto
}

func newWorld(ctx context.Context, o options, progress io.Writer) (_ *world, err error) {
	w := &world{opt: o, binary: o.binary}
	if w.dir, err = os.MkdirTemp("", "ssh-"); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(w.dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if o.binary == "" {
		fmt.Fprintln(progress, "building emr-accessd")
		w.binary = w.path("emr-accessd")
		out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", w.binary, "github.com/emr-accessd/emr-accessd/cmd/emr-accessd").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("go build: %w: %s", err, out)
		}
	}
	if w.moto, err = startMoto(ctx, w.dir); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, w.moto.stop)
	addr, err := w.startSSHD(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range []struct {
		to        **relay
		addr      string
		roundTrip time.Duration
	}{
		{&w.node, addr, 0}, {&w.farNode, addr, roundTrip},
		{&w.aws, strings.TrimPrefix(w.moto.endpoint, "http://"), 0}, {&w.farAWS, strings.TrimPrefix(w.moto.endpoint, "http://"), awsTrip},
	} {
		if *r.to, err = newRelay(r.addr, r.roundTrip); err != nil {
			return nil, err
		}
		w.closers = append(w.closers, (*r.to).close)
	}
	if err := errors.Join(w.writeConfig(), w.writeFiles(), w.fakeSSH()); err != nil {
		return nil, err
	}
	return w, w.trust(ctx)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) close() error {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	return nil
}

// startSSHD starts an OpenSSH server as the node, with a key of its own and one to log in with.
func (w *world) startSSHD(ctx context.Context) (addr string, err error) {
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	w.login = me.Username
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // privilege separation wants it
			return "", err
		}
	}
	for _, name := range []string{"host", "login.pem"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", w.path(name)).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	config := fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nUsePAM no\nStrictModes no\nPidFile none\nPasswordAuthentication no\n"+
		"AuthorizedKeysFile %s\nHostKey %s\nSubsystem sftp internal-sftp\nSetEnv HOME=%s\n", port, w.path("login.pem.pub"), w.path("host"),
		w.dir) // without the .bashrc of who runs this, which may take any time
	if err := os.WriteFile(w.path("sshd_config"), []byte(config), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, sshdPath, "-D", "-e", "-f", w.path("sshd_config"))
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w.closers = append(w.closers, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, nil
		}
	}
	return "", errors.New("sshd does not answer")
}

// writeConfig writes the configurations of emr-accessd (one with the cluster in it, one without) and of ssh.
func (w *world) writeConfig() error {
	text := "[address]\naccept = [\"198.51.100.0/24\"]\negress-check = false\nipv6 = \"off\"\nstun = []\n"
	for _, op := range []string{"aws", "example"} {
		echo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "198.51.100.7\n") }))
		w.closers = append(w.closers, echo.Close)
		ca := w.path(op + ".pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: echo.Certificate().Raw}), 0o600); err != nil {
			return err
		}
		text += fmt.Sprintf("[[address.source]]\nurl = %q\noperator = %q\nca-file = %q\n", echo.URL+"/", op, ca)
	}
	text += "[rules]\nprobe = false\n"
	hosts := fmt.Sprintf("Host *\n    User %s\n    IdentityFile %s\n    IdentitiesOnly yes\n    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n"+
		"    HostKeyAlias node\n    StrictHostKeyChecking yes\n    HostName 127.0.0.1\n", w.login, w.path("login.pem"), w.path("known_hosts"))
	hosts = fmt.Sprintf("Host near\n    Port %s\nHost far\n    Port %s\nHost through\n    ProxyCommand %s proxy --host %s %s\n    ProxyUseFdpass yes\n",
		w.node.port(), w.farNode.port(), w.binary, w.node.addr(), w.moto.cluster) + hosts
	pub, err := os.ReadFile(w.path("host.pub"))
	return errors.Join(err,
		os.WriteFile(w.path("config.toml"), []byte(fmt.Sprintf("[[target]]\ncluster = %q\n", w.moto.cluster)+text), 0o600),
		os.WriteFile(w.path("notarget.toml"), []byte(text), 0o600),
		os.WriteFile(w.path("ssh_config"), []byte(hosts), 0o600),
		os.WriteFile(w.path("known_hosts"), append([]byte("node "), pub...), 0o600))
}

// writeFiles makes what is copied: bytes that cannot be compressed.
func (w *world) writeFiles() error {
	s := w.opt.sizes()
	source := rand.NewChaCha8([32]byte{1})
	write := func(name string, size int64) error {
		f, err := os.Create(w.path(name))
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, source, size)
		return errors.Join(err, f.Close())
	}
	err := errors.Join(write("near.bin", s.near), write("far.bin", s.far), os.Mkdir(w.path("small"), 0o755), os.Mkdir(w.path("out"), 0o755))
	for i := range s.smallFiles {
		err = errors.Join(err, write(fmt.Sprintf("small/%03d", i), 2000))
	}
	return err
}

// fakeSSH puts this program before ssh in the PATH of the AWS CLI, under ssh's name: it notes when it was called, and calls the real
// one with the node's address in place of the one that moto made up.
func (w *world) fakeSSH() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return errors.Join(os.Mkdir(w.path("bin"), 0o755), os.Symlink(self, w.path("bin/ssh")))
}

// What fakeSSH is told by its environment.
const (
	envNote   = "BENCH_SSH_NOTE"   // file for the time at which it was called, in nanoseconds since 1970
	envConfig = "BENCH_SSH_CONFIG" // file for ssh -F
	envHost   = "BENCH_SSH_HOST"   // name of the host in it
	envReal   = "BENCH_SSH_REAL"   // path of ssh itself; empty: do nothing
)

func sshMain() int {
	now := time.Now().UnixNano()
	if err := os.WriteFile(os.Getenv(envNote), fmt.Append(nil, now), 0o600); err != nil {
		return 255
	}
	real := os.Getenv(envReal)
	if real == "" {
		return 0
	}
	args := []string{"-F", os.Getenv(envConfig), os.Getenv(envHost), "true"}
	cmd := exec.Command(real, args...)
	cmd.Stderr = os.Stderr
	if cmd.Run() != nil {
		return 255
	}
	return 0
}

// trust pins the node's host key, as a user does whose node has printed none: moto's console knows no host keys.
func (w *world) trust(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-lf", w.path("host.pub")).Output()
	if err != nil {
		return err
	}
	fields := strings.Fields(string(out))
	if len(fields) < 2 {
		return fmt.Errorf("ssh-keygen says %q", out)
	}
	_, err = w.exec(ctx, w.tool("config.toml", w.aws, "trust", "--host", w.node.addr(), w.moto.cluster, fields[1]))
	return err
}
