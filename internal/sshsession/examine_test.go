package sshsession_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestGreeting(t *testing.T) {
	for _, tt := range []struct {
		name, say string
		close     bool
		want      string // the greeting, or in the error
		is        error
	}{
		{"OpenSSH", "SSH-2.0-OpenSSH_8.7\r\n", false, "SSH-2.0-OpenSSH_8.7", nil},
		{"words before", "welcome\r\nstranger\r\nSSH-2.0-x\r\n", false, "SSH-2.0-x", nil},
		{"a web server", "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", true, "HTTP/1.1 400 Bad Request", sshsession.ErrNotSSH},
		{"half a line", "220 mail", true, "220 mail", sshsession.ErrNotSSH},
		{"hostile", "SSH-2.0-\x1b[2J\u202ex" + strings.Repeat("y", 300) + "\r\n", false, "", nil},
		{"hangs up", "", true, "hung up", sshsession.ErrSilent},
		{"silence", "", false, "for 10s", sshsession.ErrSilent},
		{"much", strings.Repeat("blah\n", 10000), false, "blah", sshsession.ErrNotSSH},
	} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			go func() {
				go func() { _, _ = io.Copy(io.Discard, there) }()
				_, _ = io.WriteString(there, tt.say)
				if tt.close {
					there.Close()
				}
			}()
			got, err := sshsession.Greeting(t.Context(), here)
			if !errors.Is(err, tt.is) || tt.is != nil && !strings.Contains(err.Error(), tt.want) || tt.is == nil && !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s: %q, %v", tt.name, got, err)
			}
			if strings.ContainsAny(got, "\x1b\u202e") || len(got) > 200 {
				t.Errorf("%s: %q", tt.name, got)
			}
			there.Close()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := sshsession.Greeting(ctx, here); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		there.Close()
	})
}

// Looking leaves no trace: nothing is stored and no login tried, whatever is found.
func TestCheckHostKey(t *testing.T) {
	target, srv := newTarget(t, "ed25519", "ecdsa")
	target.Addr = srv.listen()
	target.Verifier.ReadOnly = true
	target.Verifier.Ask = func(context.Context, sshsession.Question) (bool, error) { t.Error("asked"); return true, nil }
	_, err := sshsession.CheckHostKey(t.Context(), target)
	if u, ok := errors.AsType[*sshsession.UnverifiedError](err); !ok || u.Key.SHA256 == "" {
		t.Errorf("nothing is known: %v", err)
	}
	target.Verifier.Console = console(keyBlock("", "\n", srv.keys()...))
	if v, err := sshsession.CheckHostKey(t.Context(), target); err != nil || v.Origin != sshsession.OriginConsole || v.Stored {
		t.Errorf("%+v, %v", v, err)
	}
	if got := storedKeys(t, target.Verifier.Store, instance); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
	mustDial(t, target) // a login with the same verifier stores nothing either
	if got := storedKeys(t, target.Verifier.Store, instance); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
	target.Verifier.Console = console(keyBlock("", "\n", keySet(t, "rsa")...)) // a type that is not there
	if _, err := sshsession.CheckHostKey(t.Context(), target); !isMismatch(err) {
		t.Error(err)
	}
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginAsked, keySet(t, "ed25519")...)
	if _, err := sshsession.CheckHostKey(t.Context(), target); !isMismatch(err) {
		t.Error(err)
	}
}

func TestLoginKeys(t *testing.T) {
	wanted, other := newKey(t, "ecdsa"), newKey(t, "ed25519")
	dir := t.TempDir()
	writeKey(t, dir, "team.pem", traditional(t, wanted, ""))
	writeKey(t, dir, "id_rsa", traditional(t, newKey(t, "rsa"), ""))
	writeKey(t, dir, "putty.pem", []byte("PuTTY-User-Key-File-3: ssh-rsa\n"))
	writeKey(t, dir, "id_ed25519", locked().file)
	if err := os.Chmod(writeKey(t, dir, "open.pem", openSSH(t, newKey(t, "ed25519"))), 0o644); err != nil {
		t.Fatal(err)
	}
	l := sshsession.Login{User: "hadoop", Folder: dir, Agent: startAgent(t, agent.AddedKey{PrivateKey: other, Comment: "mine"}), WantPublicKey: authorized(publicKey(t, wanted)),
		Passphrase: func(context.Context, string) ([]byte, error) { t.Error("asked"); return nil, nil }}
	found, err := l.Keys(t.Context())
	if err != nil || len(found.Keys) != 4 {
		t.Fatalf("%+v, %v", found, err)
	}
	if k := found.Keys[0]; !k.Wanted || k.Agent || k.Encrypted || !strings.HasSuffix(k.Source, "team.pem") {
		t.Errorf("first %+v", k)
	}
	if k := found.Keys[1]; k.Wanted || !k.Agent || k.Source != "agent: mine" {
		t.Errorf("second %+v", k)
	}
	if k := found.Keys[2]; !k.Encrypted || k.Wanted {
		t.Errorf("third %+v", k)
	}
	text := ""
	for _, k := range found.Skipped {
		text += k.String() + "\n"
	}
	if !strings.Contains(text, "puttygen") || !strings.Contains(text, "chmod 600") {
		t.Errorf("skipped %s", text)
	}

	// A file that was named is the one that is looked at, and what is wrong with it is the error.
	l.KeyFiles = []string{dir + "/putty.pem"}
	if _, err := l.Keys(t.Context()); err == nil || !strings.Contains(err.Error(), "puttygen") {
		t.Error(err)
	}
	l.KeyFiles = []string{writeKey(t, dir, "locked.pem", traditional(t, newKey(t, "rsa2"), "secret"))} // it does not tell its public key
	found, err = l.Keys(t.Context())
	if err != nil || len(found.Keys) != 1 || !found.Keys[0].Agent || len(found.Skipped) != 1 || !strings.Contains(found.Skipped[0].Reason, "encrypted") {
		t.Errorf("%+v, %v", found, err)
	}
}
