package sshsession_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// login writes a private key file and returns it as a Login.
func login(t testing.TB, dir string) (sshsession.Login, ssh.PublicKey) {
	t.Helper()
	key := newKey(t, "ed25519")
	path := writeKey(t, dir, "login.pem", openSSH(t, key))
	return sshsession.Login{User: "hadoop", KeyFiles: []string{path}}, publicKey(t, key)
}

// newTarget is a target with a login that the server accepts and an empty store.
func newTarget(t *testing.T, kinds ...string) (sshsession.Target, *server) {
	t.Helper()
	l, pub := login(t, t.TempDir())
	srv := newServer(t, pub, kinds...)
	return sshsession.Target{
		Verifier: sshsession.Verifier{Store: openStore(t), Instance: instance},
		Login:    l,
		Warn:     func(err error) { t.Errorf("warning: %v", err) },
	}, srv
}

func mustDial(t *testing.T, target sshsession.Target) *sshsession.Client {
	t.Helper()
	c, err := sshsession.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func console(output string) func(context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
	return func(context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
		keys, err := sshsession.ParseConsole(output)
		return keys, sshsession.OriginConsole, err
	}
}

func TestDialErrors(t *testing.T) {
	target, _ := newTarget(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target.Addr = listener.Addr().String()
	listener.Close()
	tests := []struct {
		name string
		dial func(ctx context.Context, network, addr string) (net.Conn, error)
		want sshsession.DialProblem
	}{
		{"closed port", nil, sshsession.DialRefused},
		{"packets dropped", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, sshsession.DialTimeout},
		{"no such name", func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "ec2-192-0-2-1.\x1b[2Jcompute.amazonaws.com", IsNotFound: true}
		}, sshsession.DialOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target.Dial, target.ConnectTimeout = tt.dial, 0
			if tt.want == sshsession.DialTimeout {
				target.ConnectTimeout = time.Millisecond
			}
			_, err := sshsession.Dial(t.Context(), target)
			if e, ok := errors.AsType[*sshsession.DialError](err); !ok || e.Problem != tt.want || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("error %v, want a DialError %q", err, tt.want)
			}
		})
	}
}

// TestBrokenServers meets servers that do not get through a handshake.
func TestBrokenServers(t *testing.T) {
	tests := []struct {
		name  string
		serve func(net.Conn)
	}{
		{"hangs up", func(c net.Conn) { c.Close() }},
		{"another protocol", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); c.Close() }},
		{"garbage", func(c net.Conn) {
			_, _ = c.Write([]byte("SSH-2.0-\x1b[2Jx\r\n\x00\x00\x00\x01garbage\xff\xff\xff\xff"))
			c.Close()
		}},
		{"says nothing", func(c net.Conn) { _, _ = c.Read(make([]byte, 1000)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, _ := newTarget(t)
				target.Dial = func(context.Context, string, string) (net.Conn, error) {
					here, there := newPipe()
					go tt.serve(there)
					t.Cleanup(func() { there.Close() })
					return here, nil
				}
				start := time.Now()
				_, err := sshsession.Dial(t.Context(), target)
				if !errors.Is(err, sshsession.ErrHandshake) || strings.ContainsRune(err.Error(), '\x1b') {
					t.Errorf("error %q, want ErrHandshake", err)
				}
				if took := time.Since(start); (took == sshsession.DefaultHandshakeTimeout) != (tt.name == "says nothing") {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestPeopleMayTakeTheirTime has a person type a passphrase for longer than the handshake may take.
func TestPeopleMayTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "locked")
		target, srv := newTarget(t, "ed25519")
		srv.accept = []ssh.PublicKey{publicKey(t, key)}
		target.Login.KeyFiles = []string{writeKey(t, t.TempDir(), "key", locked().file)}
		target.Login.Passphrase = func(context.Context, string) ([]byte, error) {
			time.Sleep(time.Minute)
			return []byte("secret"), nil
		}
		connections := 0
		target.Dial = func(context.Context, string, string) (net.Conn, error) {
			connections++
			here, there := newPipe()
			srv.wg.Go(func() { srv.serve(there) })
			return here, nil
		}
		target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) {
			time.Sleep(5 * time.Minute) // beyond sshd's LoginGraceTime of two minutes
			return true, nil
		}
		c, err := sshsession.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		srv.close()
		if connections != 2 {
			t.Errorf("%d connections, want one to see the key and one to use it", connections)
		}
	})
}

func TestDialCanceled(t *testing.T) {
	reason := errors.New("the user gave up")
	for _, when := range []string{"before", "tcp", "console", "handshake", "question"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				target, srv := newTarget(t, "ed25519")
				defer srv.close()
				target.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					if when == "tcp" {
						cancel(reason)
						<-ctx.Done()
						return nil, ctx.Err()
					}
					here, there := newPipe()
					t.Cleanup(func() { there.Close() })
					switch when {
					case "handshake":
						go func() {
							_, _ = there.Read(make([]byte, 100)) // the client's version
							cancel(reason)
						}()
					case "question":
						srv.wg.Go(func() { srv.serve(there) })
					}
					return here, nil
				}
				target.Verifier.Console = func(ctx context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
					if when == "console" {
						cancel(reason)
						return sshsession.HostKeys{}, "", ctx.Err()
					}
					return sshsession.HostKeys{}, "", sshsession.ErrNoHostKeys
				}
				target.Verifier.Ask = func(ctx context.Context, _ sshsession.Question) (bool, error) {
					cancel(reason)
					return false, context.Cause(ctx)
				}
				if when == "before" {
					cancel(reason)
				}
				start := time.Now()
				if _, err := sshsession.Dial(ctx, target); !errors.Is(err, reason) || time.Since(start) > 0 {
					t.Errorf("error %v after %v, want the context's cause at once", err, time.Since(start))
				}
			})
		})
	}
}

func TestBanner(t *testing.T) {
	for _, times := range []int{1, 10000} { // the second is cut
		target, srv := newTarget(t, "ed25519")
		srv.banner = strings.Repeat("Authorized use only\n", times)
		target.Addr = srv.listen()
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
		var got string
		target.Banner = func(text string) { got += text }
		mustDial(t, target)
		if got != srv.banner[:min(len(srv.banner), 64<<10)] {
			t.Errorf("a banner of %d bytes: %.100q, %d bytes", len(srv.banner), got, len(got))
		}
	}
}
