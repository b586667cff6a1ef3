package sshsession_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// server is an SSH server inside the test. Its fields are set before the first connection.
type server struct {
	t        testing.TB
	hostKeys []ssh.Signer
	accept   []ssh.PublicKey // login keys, and certificate authorities
	noAuth   bool
	password bool // takes passwords only
	second   bool // wants a second proof after the key
	maxTries int
	rekey    uint64 // bytes until the keys are changed
	banner   string
	// command serves an exec and a shell request (then line is empty), and returns the exit status; below zero it leaves none.
	command func(s *remote, line string) int
	pty     bool // whether terminals are given
	deaf    bool // no session requests are answered
	// onward serves the other channels; nil refuses them.
	onward func(ch ssh.NewChannel)

	listener net.Listener
	wg       sync.WaitGroup
	conns    atomic.Int32
	mu       sync.Mutex
	open     []net.Conn
	offered  []string // fingerprints of the login keys that came, in order
}

// remote is one session on the server.
type remote struct {
	ssh.Channel
	server  *server
	env     []string
	term    string
	modes   []byte
	size    chan [2]uint32 // the first from pty-req, then from window-change
	signals chan string
	ctx     context.Context // ends with the session
}

func newServer(t testing.TB, login ssh.PublicKey, kinds ...string) *server {
	t.Helper()
	s := &server{t: t, pty: true, command: func(*remote, string) int { return 0 }}
	if login != nil {
		s.accept = []ssh.PublicKey{login}
	}
	for _, kind := range kinds {
		s.hostKeys = append(s.hostKeys, newSigner(t, kind))
	}
	return s
}

// listen starts the server on loopback and returns its address.
func (s *server) listen() string {
	s.t.Helper()
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.close)
	s.wg.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	return s.listener.Addr().String()
}

func (s *server) close() {
	if s.listener != nil {
		s.listener.Close()
	}
	s.mu.Lock()
	for _, c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) keys() []ssh.PublicKey {
	var keys []ssh.PublicKey
	for _, k := range s.hostKeys {
		keys = append(keys, k.PublicKey())
	}
	return keys
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	s.open = append(s.open, conn)
	s.mu.Unlock()
	s.conns.Add(1)
	authorities := ssh.CertChecker{IsUserAuthority: s.accepts}
	config := &ssh.ServerConfig{
		NoClientAuth: s.noAuth, MaxAuthTries: s.maxTries,
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			s.mu.Lock()
			if print := ssh.FingerprintSHA256(key); !slices.Contains(s.offered, print) {
				s.offered = append(s.offered, print)
			}
			s.mu.Unlock()
			if _, ok := key.(*ssh.Certificate); ok {
				return authorities.Authenticate(meta, key)
			}
			if s.accepts(key) && s.second {
				return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{PasswordCallback: noPassword}}
			}
			if s.accepts(key) {
				return nil, nil
			}
			return nil, fmt.Errorf("no")
		},
	}
	config.RekeyThreshold = s.rekey
	if s.password {
		config.PublicKeyCallback, config.PasswordCallback = nil, noPassword
	}
	if s.banner != "" {
		config.BannerCallback = func(ssh.ConnMetadata) string { return s.banner }
	}
	for _, k := range s.hostKeys {
		config.AddHostKey(k)
	}
	c, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer c.Close()
	s.wg.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		if ch.ChannelType() != "session" && s.onward != nil {
			s.wg.Go(func() { s.onward(ch) })
			continue
		}
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "no")
			continue
		}
		if s.deaf {
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		r := &remote{Channel: channel, server: s, ctx: ctx, size: make(chan [2]uint32, 100), signals: make(chan string, 100)}
		s.wg.Go(func() {
			defer cancel()
			r.serve(requests)
		})
	}
}

func noPassword(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, fmt.Errorf("no") }

func (s *server) accepts(key ssh.PublicKey) bool {
	return slices.ContainsFunc(s.accept, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) })
}

func (r *remote) serve(requests <-chan *ssh.Request) {
	for req := range requests {
		ok, begin := true, func() {}
		switch req.Type {
		case "env":
			var v struct{ Name, Value string }
			ok = ssh.Unmarshal(req.Payload, &v) == nil
			r.env = append(r.env, v.Name+"="+v.Value)
		case "pty-req":
			var v struct {
				Term                  string
				Columns, Rows, PW, PH uint32
				Modes                 string
			}
			ok = r.server.pty && ssh.Unmarshal(req.Payload, &v) == nil
			r.term, r.modes = v.Term, []byte(v.Modes)
			r.size <- [2]uint32{v.Columns, v.Rows}
		case "window-change":
			var v struct{ Columns, Rows, PW, PH uint32 }
			ok = ssh.Unmarshal(req.Payload, &v) == nil
			r.size <- [2]uint32{v.Columns, v.Rows}
		case "signal":
			var v struct{ Name string }
			ok = ssh.Unmarshal(req.Payload, &v) == nil
			r.signals <- v.Name
		case "exec", "shell":
			var v struct{ Line string }
			_ = ssh.Unmarshal(req.Payload, &v)
			begin = func() { r.server.wg.Go(func() { r.run(v.Line) }) } // after the answer, as sshd does it
		default:
			ok = false
		}
		if req.WantReply {
			_ = req.Reply(ok, nil)
		}
		begin()
	}
}

func (r *remote) run(line string) {
	defer r.Close()
	if status := r.server.command(r, line); status >= 0 {
		_, _ = r.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	}
}

// killed tells the client that a signal ended the command.
func (r *remote) killed(name string) {
	_, _ = r.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Name string
		Core bool
		Text string
		Lang string
	}{name, false, "", ""}))
}

// echo is a command that answers each byte, until the input ends.
func echo(r *remote, _ string) int {
	_, _ = io.Copy(r, r)
	return 0
}
