package sshsession_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestEnsurePinned(t *testing.T) {
	for _, tt := range []struct {
		name   string
		output func(own, other []ssh.PublicKey) string // of the console
		stored bool                                    // another key is stored
		want   func(error) bool
		pins   int
	}{
		{"console keys", func(own, _ []ssh.PublicKey) string { return keyBlock("", "\n", own...) }, false, func(err error) bool { return err == nil }, 2},
		{"console fingerprint", func(own, _ []ssh.PublicKey) string { return printBlock("ec2: ", "\n", own[1]) }, false, func(err error) bool { return err == nil }, 1},
		{"stored, for the other client to judge", func(own, _ []ssh.PublicKey) string { return keyBlock("", "\n", own...) }, true, func(err error) bool { return err == nil }, 1},
		{"console of another host", func(_, other []ssh.PublicKey) string { return keyBlock("", "\n", other[0]) }, false, isMismatch, 0},
		{"console with a type that is not there", func(_, other []ssh.PublicKey) string { return keyBlock("", "\n", other[1]) }, false, isMismatch, 0},
		{"empty console", func(_, _ []ssh.PublicKey) string { return "" }, false, func(err error) bool { return errors.Is(err, sshsession.ErrUnverified) }, 0},
		{"contradiction", func(own, other []ssh.PublicKey) string {
			return keyBlock("", "\n", own...) + keyBlock("", "\n", other[0])
		}, false, func(err error) bool { return errors.Is(err, sshsession.ErrContradiction) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, srv := newTarget(t, "ed25519", "ecdsa")
			target.Addr = srv.listen()
			target.Login = sshsession.Login{} // none is used
			other := keySet(t, "ed25519", "rsa2")
			target.Verifier.Console = console(tt.output(srv.keys(), other))
			if tt.stored {
				mustAdd(t, target.Verifier.Store, instance, sshsession.OriginAsked, other[0])
			}
			if err := sshsession.EnsurePinned(t.Context(), target); !tt.want(err) {
				t.Errorf("error %v", err)
			}
			if got := storedKeys(t, target.Verifier.Store, instance); len(got) != tt.pins {
				t.Errorf("stored %v, want %d", got, tt.pins)
			}
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if len(srv.offered) > 0 {
				t.Error("a login was tried")
			}
		})
	}
}

func isMismatch(err error) bool {
	_, ok := errors.AsType[*sshsession.MismatchError](err)
	return ok
}

func TestTrust(t *testing.T) {
	kinds := []string{"ed25519", "ecdsa", "rsa"}
	for i, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			target, srv := newTarget(t, kinds...)
			target.Addr = srv.listen()
			want := ssh.FingerprintSHA256(srv.keys()[i])
			got, err := sshsession.Trust(t.Context(), target, want)
			if err != nil || got.SHA256 != want {
				t.Fatalf("%v, error %v", got, err)
			}
			if pins := storedKeys(t, target.Verifier.Store, instance); !slices.Equal(pins, []string{"trusted " + want}) {
				t.Errorf("stored %v", pins)
			}
			// From now on this key alone is right, and no other is slipped in.
			if c := mustDial(t, target); c.HostKey().Key.SHA256 != want {
				t.Errorf("dialled %v", c.HostKey())
			}
			if _, err := sshsession.Trust(t.Context(), target, ssh.FingerprintSHA256(srv.keys()[(i+1)%3])); !isMismatch(err) {
				t.Errorf("error %v", err)
			}
			before := srv.conns.Load()
			if _, err := sshsession.Trust(t.Context(), target, want); err != nil || srv.conns.Load() != before {
				t.Errorf("error %v, or the server was asked about a key that is known", err)
			}
		})
	}
	t.Run("not shown", func(t *testing.T) {
		target, srv := newTarget(t, "ecdsa", "rsa")
		target.Addr = srv.listen()
		_, err := sshsession.Trust(t.Context(), target, ssh.FingerprintSHA256(keySet(t, "ed25519")[0]))
		e, ok := errors.AsType[*sshsession.NotShownError](err)
		if !ok || len(e.Got) != 2 || !strings.Contains(err.Error(), ssh.FingerprintSHA256(srv.keys()[1])) {
			t.Errorf("error %v", err)
		}
		if got := storedKeys(t, target.Verifier.Store, instance); len(got) > 0 {
			t.Errorf("stored %v", got)
		}
	})
	t.Run("the console knows better", func(t *testing.T) {
		target, srv := newTarget(t, "ed25519")
		target.Addr = srv.listen()
		target.Verifier.Console = console(keyBlock("", "\n", keySet(t, "ed25519")...))
		if _, err := sshsession.Trust(t.Context(), target, ssh.FingerprintSHA256(srv.keys()[0])); !isMismatch(err) {
			t.Errorf("error %v", err)
		}
		if n := srv.conns.Load(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("the console agrees", func(t *testing.T) {
		target, srv := newTarget(t, "ed25519", "ecdsa")
		target.Addr = srv.listen()
		target.Verifier.Console = console(keyBlock("", "\n", srv.keys()...))
		if _, err := sshsession.Trust(t.Context(), target, ssh.FingerprintSHA256(srv.keys()[1])); err != nil {
			t.Error(err)
		}
		if got := storedKeys(t, target.Verifier.Store, instance); len(got) != 2 || !strings.HasPrefix(got[0], "console ") {
			t.Errorf("stored %v", got)
		}
	})
}

// TestProbeEnds has servers that never come to the point, and a caller that gives up.
func TestProbeEnds(t *testing.T) {
	for _, canceled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			target, _ := newTarget(t)
			target.Dial = func(context.Context, string, string) (net.Conn, error) {
				here, there := newPipe()
				go func() { _, _ = there.Read(make([]byte, 1000)) }()
				t.Cleanup(func() { there.Close() })
				return here, nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			want := sshsession.ErrHandshake
			if canceled {
				want = context.Canceled
				time.AfterFunc(time.Second, cancel)
			}
			start := time.Now()
			if err := sshsession.EnsurePinned(ctx, target); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if took := time.Since(start); took != sshsession.DefaultHandshakeTimeout && !canceled || took > sshsession.DefaultHandshakeTimeout {
				t.Errorf("took %v", took)
			}
		})
	}
}

func FuzzParseFingerprint(f *testing.F) {
	good := ssh.FingerprintSHA256(keySet(f, "ed25519")[0])
	for _, s := range []string{good, good + "=", good[:len(good)-1], "MD5:00", "sha256:" + good[7:], good + "\n", " " + good, "", "SHA256:", good[:20] + "\n" + good[20:]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := sshsession.ParseFingerprint(s)
		if err != nil {
			if s == good {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if got != s || len(s) != len(good) || !strings.HasPrefix(s, "SHA256:") || strings.ContainsAny(s, " \t\r\n\x1b=") {
			t.Errorf("%q is taken for a fingerprint", s)
		}
	})
}
