//go:build unix

package sshsession_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func newPrompter(t *testing.T) (*sshsession.Prompter, *screen) {
	t.Helper()
	s := newScreen(t)
	p, err := sshsession.NewPrompter(s.In, s.In)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

func TestPromptPassphrase(t *testing.T) {
	p, s := newPrompter(t)
	done := make(chan bool)
	go func() {
		defer close(done)
		s.expect("evil\\x1b[2J.pem: ")
		s.typed("geheim äöü\r")
		shown := make([]byte, 2)
		if _, err := io.ReadFull(s.shown, shown); err != nil || string(shown) != "\r\n" {
			t.Errorf("the passphrase was shown: %q %v", shown, err)
		}
	}()
	secret, err := p.Passphrase(t.Context(), "/home/me/evil\x1b[2J.pem")
	if string(secret) != "geheim äöü" || err != nil {
		t.Errorf("passphrase %q, error %v", secret, err)
	}
	s.restored()
	<-done
}

func TestPromptHostKey(t *testing.T) {
	q := sshsession.Question{Instance: instance, Addr: "192.0.2.1:22", Why: errors.New("access\x1b[2Jdenied"),
		Key: sshsession.Fingerprint{Type: ssh.KeyAlgoED25519, SHA256: "SHA256:l4UB/neBad9tvkgJf1QZWxheQmR59WgrgzEimCG6kZY"}}
	tests := []struct {
		typed string
		want  bool
		err   error
	}{
		{"yes\r", true, nil},
		{"YES \r", true, nil},
		{"no\r", false, nil},
		{q.Key.SHA256 + "\r", true, nil},
		{"SHA256:kpEa+rw/Uq3zxaYZN8KT501iBtJOIdHG52dFi66EEfQ\r", false, nil},
		{"\ry\rok\ryes\r", true, nil},
		{"ye\x03", false, sshsession.ErrInterrupted},
		{"\x04", false, sshsession.ErrInterrupted},
	}
	for _, tt := range tests {
		p, s := newPrompter(t)
		go func() {
			s.expect("access\\x1b[2Jdenied")
			s.expect("ED25519 key fingerprint is " + q.Key.SHA256)
			s.expect("[fingerprint])? ")
			for line := range strings.SplitAfterSeq(tt.typed, "\r") {
				s.typed(line)
				if line == "\r" || line == "y\r" || line == "ok\r" {
					s.expect("Please type yes, no or the fingerprint: ")
				}
			}
		}()
		got, err := p.HostKey(t.Context(), q)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: %v, %v; want %v, %v", tt.typed, got, err, tt.want, tt.err)
		}
		s.restored()
	}
}

// TestTypedBefore has a person type before there is a question: that is no answer to it.
func TestTypedBefore(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("what was typed cannot be dropped here")
	}
	p, s := newPrompter(t)
	s.typed("yes\n")
	s.expect("yes\r\n") // its echo: the terminal has it
	go func() {
		s.expect("[fingerprint])? ")
		s.typed("no\r")
	}()
	if yes, err := p.HostKey(t.Context(), sshsession.Question{Instance: instance}); yes || err != nil {
		t.Errorf("%v, %v: that was answered before it was asked", yes, err)
	}
}

func TestPromptCanceled(t *testing.T) {
	p, s := newPrompter(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s.expect("key.pem: ")
		cancel()
	}()
	if _, err := p.Passphrase(ctx, "key.pem"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	s.restored()
}

func TestPromptNeedsTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := sshsession.NewPrompter(null, null); !errors.Is(err, sshsession.ErrNoTerminal) {
		t.Errorf("error %v, want ErrNoTerminal", err)
	}
}

// TestOpenPrompter runs in a process of its own that has a terminal, with its standard streams elsewhere.
func TestOpenPrompter(t *testing.T) {
	if os.Getenv("SSHSESSION_TEST_CHILD") == "1" {
		p, err := sshsession.OpenPrompter()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		secret, err := p.Passphrase(t.Context(), "key.pem")
		if string(secret) != "geheim" || err != nil {
			t.Errorf("passphrase %q, error %v", secret, err)
		}
		return
	}
	s := newScreen(t)
	var out syncBuffer
	child := exec.Command(os.Args[0], "-test.run=^TestOpenPrompter$", "-test.v")
	child.Env = append(os.Environ(), "SSHSESSION_TEST_CHILD=1")
	child.Stdout, child.Stderr = &out, &out
	child.ExtraFiles = []*os.File{s.In}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	go func() {
		s.expect("key.pem: ")
		s.typed("geheim\r")
	}()
	if err := child.Run(); err != nil || !strings.Contains(out.String(), "--- PASS: TestOpenPrompter") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
