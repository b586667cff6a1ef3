package demo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// nodeUser is the account on every EMR node (EMR, "Connect to the primary node using SSH").
	nodeUser = "hadoop"
	// loginTime bounds the handshake and the login of one connection, as sshd's LoginGraceTime does.
	loginTime = 20 * time.Second
)

// node is the cluster's primary node: an SSH server that lets one key in and runs what it is told.
type node struct {
	login  ssh.PublicKey // the only key that may log in
	home   string        // where commands run
	listen netip.AddrPort

	mu     sync.Mutex
	keys   []ssh.Signer
	logins []netip.AddrPort // where each login came from, in order
}

// newHostKeys makes the two keys that Amazon Linux 2023 generates at its first boot.
func newHostKeys() ([]ssh.Signer, error) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a host key: %w", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a host key: %w", err)
	}
	var keys []ssh.Signer
	for _, key := range []any{ec, ed} {
		s, err := ssh.NewSignerFromKey(key)
		if err != nil {
			return nil, fmt.Errorf("make a host key: %w", err)
		}
		keys = append(keys, s)
	}
	return keys, nil
}

// setKeys changes the host keys for connections from now on and returns those before.
func (n *node) setKeys(keys []ssh.Signer) []ssh.Signer {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.keys
	n.keys = keys
	return old
}

// hostKeys returns the host keys that connections are shown now.
func (n *node) hostKeys() []ssh.Signer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.keys)
}

// loggedIn returns where each login so far came from.
func (n *node) loggedIn() []netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.logins)
}

// config is the server's side of a handshake.
func (n *node) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-emr-accessd-demo",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() == nodeUser && bytes.Equal(key.Marshal(), n.login.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("this user may not log in with this key")
		},
	}
	for _, k := range n.hostKeys() {
		c.AddHostKey(k)
	}
	return c
}

// serve speaks SSH on a connection that the gate admitted, until it ends. from is the client's address as the gate
// saw it.
func (n *node) serve(ctx context.Context, conn net.Conn, from netip.AddrPort) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return
	}
	c, channels, requests, err := ssh.NewServerConn(conn, n.config())
	if err != nil {
		return // the client knows why
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return
	}
	n.mu.Lock()
	n.logins = append(n.logins, from)
	n.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.Close() // before waiting: it ends the channels
	wg.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		switch ch.ChannelType() {
		case "session":
		case "direct-tcpip":
			wg.Go(func() { forward(ctx, ch) })
			continue
		default:
			_ = ch.Reject(ssh.UnknownChannelType, "the demo's node has sessions and forwarded ports only")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		s := &session{Channel: channel, env: n.env(from), home: n.home, resized: make(chan windowSize, 1), signals: make(chan string, 8)}
		wg.Go(func() { s.serve(ctx, requests) })
	}
}

// env is the environment of every command: nothing of the demo's own, and the connection as sshd tells it (sshd(8):
// "client IP address, client port number, server IP address, and server port number").
func (n *node) env(from netip.AddrPort) []string {
	return []string{
		"HOME=" + n.home, "USER=" + nodeUser, "LOGNAME=" + nodeUser, "SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin",
		fmt.Sprintf("SSH_CLIENT=%s %d %d", from.Addr(), from.Port(), n.listen.Port()),
		fmt.Sprintf("SSH_CONNECTION=%s %d %s %d", from.Addr(), from.Port(), n.listen.Addr(), n.listen.Port()),
	}
}
