package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// openTunnel is a tunnel in a process of its own, to a real OpenSSH server.
type openTunnel struct {
	*testing.T
	world  *simWorld
	server *sshServer
	cmd    *exec.Cmd
	answer tunnelAnswer
	stderr heard
}

// heard collects what a process says.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *heard) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *heard) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tunnelNode is an address where the node alone listens, and no other process that runs this test: the same port is free on 127.0.0.1.
var tunnelNode = fmt.Sprintf("127.77.%d.%d", os.Getpid()>>8&255, os.Getpid()&255)

func startTunnel(t *testing.T, args ...string) *openTunnel {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	u := &openTunnel{T: t, world: w, server: startSSHD(t, w, true)}
	w.sim.SetNode(w.instance, func(n *awssim.NodeSpec) { n.PrivateIP = tunnelNode })
	u.cmd = exec.Command(programPath(t), append([]string{"tunnel", "--json", "--port", u.server.port, "-i", u.server.key, "-l", u.server.login}, append(args, w.cluster)...)...)
	u.cmd.Env = append(w.env(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "EMR_ACCESSD_CONFIG="+w.write(t), "EMR_ACCESSD_STATE="+u.server.dir+"/state", "GORACE=atexit_sleep_ms=0")
	u.cmd.Stderr = &u.stderr
	mototest.DieWithParent(u.cmd)
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait()
		u.signal(syscall.SIGKILL)
		if t.Failed() || testing.Verbose() {
			t.Logf("it said:\n%s", u.stderr.String())
		}
	})
	if err := json.NewDecoder(out).Decode(&u.answer); err != nil {
		t.Fatalf("no answer: %v\n%s", err, u.stderr.String())
	}
	return u
}

// signal sends a signal to the server's processes for its connections, and not to the shells that they have started: those are the
// user's own, with locks that a killed one would leave behind.
func (u *openTunnel) signal(sig syscall.Signal) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, names := map[int]int{}, map[int]string{}
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if before, rest, ok := strings.Cut(string(text), ") "); ok { // the name before may have spaces
			parents[pid], _ = strconv.Atoi(strings.Fields(rest)[1])
			_, names[pid], _ = strings.Cut(before, "(")
		}
	}
	for pid := range parents {
		if !strings.HasPrefix(names[pid], "sshd") { // also sshd-session, and sshd-auth
			continue
		}
		for at := parents[pid]; at > 1; at = parents[at] {
			if at == u.server.cmd.Process.Pid {
				_ = syscall.Kill(pid, sig)
			}
		}
	}
}

// said waits until the process has said something so many times.
func (u *openTunnel) said(text string, times int) {
	u.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(u.stderr.String(), text) < times; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			u.Fatalf("it has not said %q %d times", text, times)
		}
	}
}

// get fetches a page, by its address here or through a proxy.
func (u *openTunnel) get(page, proxy string) {
	u.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if proxy != "" {
		p, err := url.Parse(proxy)
		if err != nil {
			u.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(p)
	}
	ctx, cancel := context.WithTimeout(u.Context(), time.Minute)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		u.Errorf("%s by %q: %v", page, proxy, err)
		return
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != pageText || err != nil {
		u.Errorf("%s by %q: %.50q, %v", page, proxy, text, err)
	}
}

// curl is the same with the program that most people have.
func (u *openTunnel) curl(page, proxy string) {
	u.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		mototest.Need(u.T, "curl", err)
	}
	ctx, cancel := context.WithTimeout(u.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, "-sS", "--proxy", proxy, page).CombinedOutput(); string(out) != pageText || err != nil {
		u.Errorf("curl --proxy %s %s: %.200q, %v", proxy, page, out, err)
	}
}

// pageText is more than a window of SSH, so that it takes both sides to come through.
var pageText = strings.Repeat("ResourceManager ", 200_000)

// servePage serves it.
func servePage(t *testing.T, addr string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, pageText) }))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func (u *openTunnel) interrupt() {
	u.Helper()
	if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
		u.Fatal(err)
	}
	if err := u.cmd.Wait(); err != nil {
		u.Errorf("the end by Ctrl-C: %v", err)
	}
}

// A tunnel with all that it offers, each used by a real client; the address changes and the connection is cut, and the same
// ports go on; the server freezes; Ctrl-C gives the rule back.
func TestTunnel(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	web := servePage(t, "127.0.0.1:0")
	servePage(t, tunnelNode+":8088")
	if taken, err := net.Listen("tcp", "127.0.0.1:8088"); err == nil { // else somebody else has it
		defer taken.Close()
	}
	u := startTunnel(t, "-D", "0", "-D", "unix:"+dir+"/proxy", "-L", "0:localhost:"+web, "--ui", "yarn")
	d := u.answer.Doors
	if len(d) != 4 || u.answer.Cluster != u.world.cluster || u.answer.Instance != u.world.instance || !strings.HasPrefix(u.answer.HostKey, "SHA256:") {
		t.Fatalf("the answer is %+v", u.answer)
	}
	socks, private, forward, yarn := d[0], d[1], d[2], d[3]
	u.said("port 8088 is taken, so YARN ResourceManager is at ", 1)
	u.said("every user of this computer", 1)
	everything := func() {
		t.Helper()
		u.get("http://localhost:"+web+"/", socks.URL)
		u.get("http://"+forward.Listen+"/", "")
		u.get(yarn.URL, "")
	}
	everything()
	u.curl("http://"+tunnelNode+":8088/", socks.URL)
	u.curl("http://localhost:"+web+"/", private.URL)
	if info, err := os.Stat(dir + "/proxy"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if !strings.Contains(u.world.listing(), "198.51.100.7/32") {
		t.Error("there is no rule")
	}

	u.world.set("all", "198.51.100.8")
	u.signal(syscall.SIGKILL)
	everything()
	u.said("connected again", 1)
	if rules := u.world.listing(); !strings.Contains(rules, "198.51.100.8/32") || strings.Contains(rules, "198.51.100.7/32") {
		t.Errorf("the rule has not followed:\n%s", rules)
	}

	u.signal(syscall.SIGSTOP) // the link looks alive, and nobody answers
	u.curl("http://localhost:"+web+"/", private.URL)
	u.said("connected again", 2)

	// AWS cannot be asked, for what reason ever: the rule stands, and the node is where it was.
	u.world.sim.Inject(awssim.Fault{DropBefore: true})
	u.signal(syscall.SIGKILL)
	u.get(yarn.URL, "")
	u.said("connected again", 3)
	u.world.sim.ClearFaults()

	u.interrupt()
	if rules := u.world.listing(); strings.Contains(rules, "198.51.100.8/32") {
		t.Errorf("the rule was not given back:\n%s", rules)
	}
	if _, err := os.Lstat(dir + "/proxy"); err == nil {
		t.Error("the socket is still there")
	}
}

// A second Ctrl-C ends it at once, also while AWS does not answer.
func TestTunnelTwoInterrupts(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	u := startTunnel(t, "-D", "unix:"+dir+"/proxy")
	u.world.sim.Inject(awssim.Fault{Latency: time.Hour})
	done := make(chan error, 1)
	go func() { done <- u.cmd.Wait() }()
	for begin := time.Now(); ; {
		if time.Since(begin) > time.Minute {
			t.Fatal("it does not end")
		}
		_ = u.cmd.Process.Signal(os.Interrupt)
		select {
		case <-done:
			if code := u.cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit code %d", code)
			}
			u.said("ended at once", 1)
			if _, err := os.Lstat(dir + "/proxy"); err == nil {
				t.Error("the socket is still there")
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// timeout(1) sends its signal twice, to the process and to its group: the rule is given back all the same.
func TestTunnelSameInterrupt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		again, done := make(chan os.Signal, 1), make(chan struct{})
		go func() { insisted(again); close(done) }()
		for _, pause := range []time.Duration{0, sameInterrupt / 2, sameInterrupt} {
			select {
			case <-done:
				t.Error("ended at once by the first Ctrl-C")
			case <-time.After(pause):
			}
			again <- os.Interrupt
			synctest.Wait()
		}
		<-done
	})
}

// A node that is somebody else by now ends the tunnel: nothing is tried against a wrong host key.
func TestTunnelHostKeyChanges(t *testing.T) {
	t.Parallel()
	u := startTunnel(t, "-D", "0")
	for _, kind := range []string{"ecdsa", "ed25519"} {
		file := filepath.Join(u.server.dir, kind)
		_ = os.Remove(file)
		if out, err := exec.Command("ssh-keygen", "-q", "-N", "", "-t", kind, "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v %s", err, out)
		}
	}
	if err := u.server.cmd.Process.Signal(syscall.SIGHUP); err != nil { // it reads its keys anew, and keeps the connections
		t.Fatal(err)
	}
	u.awaitNewKeys()
	u.signal(syscall.SIGKILL)
	var exit *exec.ExitError
	if err := u.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("it ended with %v", err)
	}
	if said := u.stderr.String(); !strings.Contains(said, "is not the expected one") {
		t.Errorf("it said %q", said)
	}
	if rules := u.world.listing(); strings.Contains(rules, "198.51.100.7/32") {
		t.Errorf("the rule was not given back:\n%s", rules)
	}
}

// awaitNewKeys waits until the server shows the keys that are in its files now.
func (u *openTunnel) awaitNewKeys() {
	u.Helper()
	want, err := os.ReadFile(filepath.Join(u.server.dir, "ed25519.pub"))
	if err != nil {
		u.Fatal(err)
	}
	key := strings.Fields(string(want))[1]
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, _ := exec.Command("ssh-keyscan", "-p", u.server.port, "-t", "ed25519", "127.0.0.1").Output()
		if strings.Contains(string(out), key) {
			return
		}
		if time.Now().After(deadline) {
			u.Fatal(fmt.Errorf("the server keeps its keys: %s", out))
		}
	}
}
