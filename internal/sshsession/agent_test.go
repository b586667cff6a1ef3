package sshsession_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// startAgent serves a keyring on a Unix socket and returns its path.
func startAgent(t *testing.T, keys ...agent.AddedKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return serveAgent(t, func(c net.Conn) { _ = agent.ServeAgent(ring, c) })
}

func serveAgent(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path may have some hundred bytes only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return path
}

func TestAgentSparesThePassphrase(t *testing.T) {
	key := newKey(t, "locked")
	target, srv := newTarget(t, "ed25519")
	srv.accept = []ssh.PublicKey{publicKey(t, key)}
	target.Addr = srv.listen()
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	target.Login = sshsession.Login{User: "hadoop", Agent: startAgent(t, agent.AddedKey{PrivateKey: key, Comment: "mine"}),
		KeyFiles: []string{writeKey(t, t.TempDir(), "key", locked().file)}}
	if got := mustDial(t, target).LoginKey().Source; got != "agent: mine" {
		t.Errorf("logged in with %s", got)
	}
}

// TestAgentSignsWithSHA2 meets a server that refuses SHA-1 signatures, as current ones do.
func TestAgentSignsWithSHA2(t *testing.T) {
	key := newKey(t, "rsa")
	target, srv := newTarget(t, "ed25519")
	srv.accept = []ssh.PublicKey{publicKey(t, key)}
	target.Addr = srv.listen()
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	target.Login = sshsession.Login{User: "hadoop", Agent: startAgent(t, agent.AddedKey{PrivateKey: key})}
	mustDial(t, target)
}

func TestAgentOutOfOrder(t *testing.T) {
	tests := []struct {
		name, path, want string
	}{
		{"gone", filepath.Join(t.TempDir(), "none"), "cannot be reached"},
		{"hangs up", serveAgent(t, func(net.Conn) {}), "does not list its keys"},
		{"garbage", serveAgent(t, func(c net.Conn) {
			_, _ = c.Write([]byte("\x00\x00\x00\x05garbage\x1b[2J"))
			_, _ = io.Copy(io.Discard, c)
		}), "does not list its keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			writeKey(t, folder, "id_ed25519", openSSH(t, newKey(t, "ed25519")))
			e, offered := refuse(t, sshsession.Login{User: "hadoop", Agent: tt.path, Folder: folder})
			if len(offered) != 1 {
				t.Errorf("%d keys offered, want the folder's one", len(offered))
			}
			if !strings.Contains(e.Error(), tt.want) || strings.ContainsRune(e.Error(), '\x1b') {
				t.Errorf("error %q, want one with %q", e.Error(), tt.want)
			}
		})
	}
}

// TestSilentAgent has an agent that takes the question and never answers.
func TestSilentAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := newPipe()
		defer there.Close()
		start := time.Now()
		if err := sshsession.ListAgent(here); err == nil || !strings.Contains(err.Error(), "no answer in 5s") || time.Since(start) > 5*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}
