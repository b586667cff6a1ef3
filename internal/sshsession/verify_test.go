package sshsession_test

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// TestKnownTypeIsNegotiated is the golden rule: never a mismatch only because another type of key was negotiated.
func TestKnownTypeIsNegotiated(t *testing.T) {
	kinds := []string{"ed25519", "ecdsa", "rsa"}
	for i, kind := range kinds {
		t.Run("stored "+kind, func(t *testing.T) {
			target, srv := newTarget(t, kinds...)
			target.Addr = srv.listen()
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()[i])
			c := mustDial(t, target)
			if got, want := c.HostKey().Key.SHA256, ssh.FingerprintSHA256(srv.keys()[i]); got != want || !c.HostKey().Stored {
				t.Errorf("host key %+v, want the stored %s", c.HostKey(), want)
			}
		})
		for name, output := range map[string]func(ssh.PublicKey) string{
			"fingerprint of ": func(k ssh.PublicKey) string { return printBlock("ec2: ", "\r\n", k) },
			"key of ":         func(k ssh.PublicKey) string { return keyBlock("", "\r\n", k) },
		} {
			t.Run(name+kind, func(t *testing.T) {
				target, srv := newTarget(t, kinds...)
				target.Addr = srv.listen()
				target.Verifier.Console = console(output(srv.keys()[i]))
				c := mustDial(t, target)
				if got := c.HostKey(); got.Stored || got.Origin != sshsession.OriginConsole || got.Key.SHA256 != ssh.FingerprintSHA256(srv.keys()[i]) {
					t.Errorf("host key %+v", got)
				}
				want := []string{"console " + ssh.FingerprintSHA256(srv.keys()[i])}
				if got := storedKeys(t, target.Verifier.Store, instance); !slices.Equal(got, want) {
					t.Errorf("stored %v, want %v", got, want)
				}
			})
		}
	}
}

func TestConsoleIsAskedOnce(t *testing.T) {
	target, srv := newTarget(t, "ed25519", "ecdsa")
	target.Addr = srv.listen()
	calls := 0
	target.Verifier.Console = func(context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
		calls++
		keys, err := sshsession.ParseConsole(keyBlock("", "\n", srv.keys()...))
		return keys, sshsession.OriginConsoleLatest, err
	}
	target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) {
		t.Error("a person was asked although the console knows the keys")
		return false, nil
	}
	mustDial(t, target)
	mustDial(t, target)
	if calls != 1 {
		t.Errorf("the console was fetched %d times", calls)
	}
	if got := storedKeys(t, target.Verifier.Store, instance); len(got) != 2 || !strings.HasPrefix(got[0], "console-latest ") {
		t.Errorf("stored %v, want all keys that the console told", got)
	}
}

func TestHostKeyMismatch(t *testing.T) {
	other := keySet(t, "ed25519", "ecdsa", "rsa2")
	tests := []struct {
		name   string
		pinned []ssh.PublicKey
		output string
		got    string // label of the key that came; empty where the server has none of the types
	}{
		{"stored key changed", other[:1], "", "ED25519"},
		{"all stored keys changed", other, "", "ED25519"},
		{"stored RSA key changed", other[2:], "", "RSA"},
		{"stored against a console that agrees with the server", other[:1], "server", "ED25519"},
		{"console key", nil, keyBlock("", "\n", other[0]), "ED25519"},
		{"console fingerprint", nil, printBlock("ec2: ", "\n", other[1]), "ECDSA"},
		{"no key of the stored type", keySet(t, "ecdsa384"), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target, srv := newTarget(t, "ed25519", "ecdsa", "rsa")
			target.Addr = srv.listen()
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, tt.pinned...)
			if tt.output == "server" {
				tt.output = keyBlock("", "\n", srv.keys()...)
			}
			target.Verifier.Console = console(tt.output)
			target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) {
				t.Error("a person was asked about a mismatch")
				return true, nil
			}
			before := storedKeys(t, target.Verifier.Store, instance)
			_, err := sshsession.Dial(t.Context(), target)
			e, ok := errors.AsType[*sshsession.MismatchError](err)
			if !ok {
				t.Fatalf("error %v, want a MismatchError", err)
			}
			if label, _, _ := strings.Cut(e.Got.String(), " "); label != tt.got {
				t.Errorf("got %q, want %q", e.Got, tt.got)
			}
			if tt.got == "" && !slices.Contains(e.Offered, ssh.KeyAlgoED25519) {
				t.Errorf("offered %v", e.Offered)
			}
			if !strings.Contains(e.Error(), e.Want[0].SHA256) || !strings.Contains(e.Error(), instance) || !strings.Contains(e.Hint(), instance) {
				t.Errorf("the error does not say what was expected: %v", e)
			}
			if (e.File != "") != (tt.pinned != nil) {
				t.Errorf("file %q", e.File)
			}
			if after := storedKeys(t, target.Verifier.Store, instance); !slices.Equal(before, after) {
				t.Errorf("stored %v, before %v", after, before)
			}
			if len(srv.offered) > 0 {
				t.Error("a login key was offered to a server that was not verified")
			}
		})
	}
}

func TestAskForHostKey(t *testing.T) {
	target, srv := newTarget(t, "ecdsa", "ed25519", "rsa")
	target.Addr = srv.listen()
	target.Verifier.Console = console("nothing here")
	var asked []sshsession.Question
	answer := false
	target.Verifier.Ask = func(_ context.Context, q sshsession.Question) (bool, error) {
		asked = append(asked, q)
		return answer, nil
	}
	_, err := sshsession.Dial(t.Context(), target)
	if e, ok := errors.AsType[*sshsession.UnverifiedError](err); !ok || !e.Declined || !errors.Is(err, sshsession.ErrUnverified) {
		t.Fatalf("declined: error %v, want an UnverifiedError", err)
	}
	want := "ED25519 " + ssh.FingerprintSHA256(srv.keys()[1])
	if q := asked[0]; q.Key.String() != want || q.Instance != instance || !errors.Is(q.Why, sshsession.ErrNoHostKeys) {
		t.Errorf("question %+v, want it about %s", q, want)
	}
	if got := storedKeys(t, target.Verifier.Store, instance); got != nil {
		t.Errorf("stored %v after a no", got)
	}
	if len(srv.offered) > 0 {
		t.Error("a login key was offered before the answer")
	}

	answer = true
	if c := mustDial(t, target); c.HostKey().Origin != sshsession.OriginAsked || c.HostKey().Key.String() != want {
		t.Errorf("host key %+v", c.HostKey())
	}
	mustDial(t, target)
	if len(asked) != 2 {
		t.Errorf("asked %d times, want twice in three connections", len(asked))
	}
}

func TestNobodyToAsk(t *testing.T) {
	denied := errors.New("access denied to ec2:GetConsoleOutput")
	for name, fetch := range map[string]func(context.Context) (sshsession.HostKeys, sshsession.Origin, error){
		"no console":    nil,
		"empty console": console(""),
		"no permission": func(context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
			return sshsession.HostKeys{}, "", denied
		},
		"nothing at all": func(context.Context) (h sshsession.HostKeys, o sshsession.Origin, err error) { return },
	} {
		t.Run(name, func(t *testing.T) {
			target, srv := newTarget(t, "ed25519")
			target.Addr = srv.listen()
			target.Verifier.Console = fetch
			_, err := sshsession.Dial(t.Context(), target)
			if !errors.Is(err, sshsession.ErrUnverified) || !strings.Contains(err.Error(), ssh.FingerprintSHA256(srv.keys()[0])) {
				t.Errorf("error %v, want ErrUnverified with the fingerprint", err)
			}
			if name == "no permission" && !errors.Is(err, denied) {
				t.Errorf("error %v does not say why the console was of no use", err)
			}
		})
	}
}

func TestContradictionIsHardStop(t *testing.T) {
	target, srv := newTarget(t, "ed25519")
	target.Addr = srv.listen()
	target.Verifier.Console = console(keyBlock("", "\n", srv.keys()...) + keyBlock("", "\n", keySet(t, "ed25519")...))
	target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) {
		t.Error("a person was asked")
		return true, nil
	}
	if _, err := sshsession.Dial(t.Context(), target); !errors.Is(err, sshsession.ErrContradiction) {
		t.Errorf("error %v, want ErrContradiction", err)
	}
}

func TestVerifiedButNotStored(t *testing.T) {
	target, srv := newTarget(t, "ed25519")
	target.Addr = srv.listen()
	target.Verifier.Console = console(keyBlock("", "\n", srv.keys()...))
	file := target.Verifier.Store.Path()
	var warned error
	target.Warn = func(err error) { warned = err }
	target.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		// Whoever looked before now finds another key there.
		content := instance + " " + authorized(keySet(t, "ed25519")[0]) + "\n"
		defer func() { _ = os.WriteFile(file, []byte(content), 0o600) }()
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	target.Verifier.Store = nil
	mustDial(t, target) // without a store nothing is remembered, and nothing fails
	if warned != nil {
		t.Errorf("warning %v", warned)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	target.Dial = nil
	var err error
	if target.Verifier.Store, err = sshsession.OpenStore(file); err != nil {
		t.Fatal(err)
	}
	original := target.Verifier.Console
	target.Verifier.Console = func(ctx context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginAsked, keySet(t, "ed25519")...)
		return original(ctx)
	}
	mustDial(t, target)
	if !errors.Is(warned, sshsession.ErrPinned) {
		t.Errorf("warning %v, want that another key is stored", warned)
	}
}
