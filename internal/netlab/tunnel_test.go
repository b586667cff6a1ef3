//go:build linux

package netlab_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// A tunnel to a real OpenSSH server, behind a gate that admits whom the group does, goes on through the same port when the laptop changes
// its network, and when its router gets another address.
func TestTunnelMoves(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{OneWay: 10 * time.Millisecond})
	key, login := startNode(t, tr.World)
	page, err := tr.Internet.Listen("tcp", "127.0.0.1:8088")
	check(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ResourceManager") })}
	go func() { _ = server.Serve(page) }()
	defer server.Close()

	check(t, tr.Config(nil))
	path, err := program()
	check(t, err)
	var said bytes.Buffer
	tunnel := tr.Laptop.Command(t.Context(), path, "tunnel", "-i", key, "-l", login, "--ui", "yarn", tr.Cloud.Cluster)
	tunnel.Env, tunnel.Stderr = tr.Environ(), &said
	out, err := tunnel.StdoutPipe()
	check(t, err)
	check(t, tunnel.Start())
	ended := false
	end := func() error {
		if ended {
			return nil
		}
		ended = true
		_ = tunnel.Process.Signal(os.Interrupt)
		return tunnel.Wait()
	}
	defer func() {
		_ = end()
		if t.Failed() {
			t.Logf("the tunnel said:\n%s", said.String())
		}
	}()
	link := make([]byte, 100)
	n, _ := io.ReadAtLeast(out, link, 1)
	url, _, _ := strings.Cut(string(link[:n]), " ")
	if url != "http://localhost:8088/" {
		t.Fatalf("the link is %q", link[:n])
	}
	open := func(what string) {
		t.Helper()
		began := time.Now()
		for time.Since(began) < patience {
			if text, err := curl(t, tr.World, tr.Laptop, "--max-time", "30", url); err == nil && text == "ResourceManager" {
				t.Logf("%s: the page came after %v", what, time.Since(began).Round(time.Millisecond))
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s: the page does not come", what)
	}
	open("at first")
	tr.rules("at first", "198.51.100.10/32")

	cafe, err := tr.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	check(t, tr.WiFi.Plug(cafe))
	check(t, tr.WiFi.Configure(netip.MustParseAddr("192.168.7.2")))
	open("another network")
	tr.rules("another network", "192.0.2.10/32")

	check(t, cafe.Readdress(netip.MustParseAddr("192.0.2.20")))
	open("another address of the router")
	tr.rules("another address of the router", "192.0.2.20/32")

	if err := end(); err != nil {
		t.Errorf("the end by Ctrl-C: %v", err)
	}
	if n := strings.Count(said.String(), "connected again"); n < 2 {
		t.Errorf("it has connected again %d times", n)
	}
	if strings.Contains(said.String(), "DATA RACE") {
		t.Error("the tunnel has a data race")
	}
}

// startNode runs an OpenSSH server as the cluster's primary node, and returns a key and a user to log in with.
func startNode(t *testing.T, w *netlab.World) (key, login string) {
	t.Helper()
	const program = "/usr/sbin/sshd"
	_, err := os.Stat(program)
	need(t, err)
	me, err := user.Current()
	check(t, err)
	check(t, os.MkdirAll("/run/sshd", 0o755)) // privilege separation wants it
	dir := t.TempDir()
	for _, name := range []string{"host", "login"} {
		check(t, exec.Command("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", filepath.Join(dir, name)).Run())
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	check(t, err)
	w.Cloud.Sim.SetNode(w.Cloud.Instance, func(n *awssim.NodeSpec) {
		n.Console = "-----BEGIN SSH HOST KEY KEYS-----\r\n" + strings.TrimSpace(string(host)) + "\r\n-----END SSH HOST KEY KEYS-----\r\n"
	})
	config := filepath.Join(dir, "config")
	// The end of the lab kills what runs on the node, also a shell in the middle of its user's own start-up files: it gets none.
	check(t, os.WriteFile(config, fmt.Appendf(nil, "HostKey %[1]s/host\nAuthorizedKeysFile %[1]s/login.pub\nSetEnv HOME=%[1]s\nUsePAM no\nStrictModes no\nPidFile none\nPasswordAuthentication no\n", dir), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	t.Cleanup(func() {
		stop()
		sessions.Wait()
	})
	w.Cloud.ServeNode(func(conn net.Conn) { // as inetd does: what it forwards leaves from the node
		file, err := conn.(*net.TCPConn).File()
		conn.Close()
		if err != nil {
			t.Error(err)
			return
		}
		cmd := w.Internet.Command(ctx, program, "-i", "-e", "-f", config)
		cmd.Stdin, cmd.Stdout = file, file
		if err := cmd.Start(); err != nil {
			t.Error(err)
		} else {
			sessions.Go(func() { _ = cmd.Wait() })
		}
		file.Close()
	})
	return filepath.Join(dir, "login"), me.Username
}
