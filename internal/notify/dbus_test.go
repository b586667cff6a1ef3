//go:build linux

package notify

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// startBus starts a real session bus for one test and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("dbus-daemon is missing")
		}
		t.Skip("no dbus-daemon")
	}
	dir, err := os.MkdirTemp("", "bus") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(program, "--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address", "--address=unix:path="+filepath.Join(dir, "bus"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// notificationServer is a server as a desktop has one.
type notificationServer struct {
	caps  []string
	mu    sync.Mutex
	shown []string
	hints []map[string]dbus.Variant
}

func (s *notificationServer) GetCapabilities() ([]string, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caps, nil
}

func (s *notificationServer) Notify(app string, _ uint32, _, title, text string, _ []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = append(s.shown, app+"|"+title+"|"+text)
	s.hints = append(s.hints, hints)
	return uint32(len(s.shown)), nil
}

func (s *notificationServer) serve(t *testing.T, address string) {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Export(s, serverAt, server); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(server, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
}

func TestBus(t *testing.T) {
	address := startBus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unixexec:path=/bin/false;"+address)
	if err := New().Show(t.Context(), Message{Title: "early"}); !errors.Is(err, ErrNoDesktop) {
		t.Fatalf("without a server: %v", err)
	}
	s := &notificationServer{caps: []string{"body", "body-markup"}}
	s.serve(t, address)
	if err := New().Show(t.Context(), Message{Title: "Sign in <now>", Text: "run\n`aws sso login` <b>&\x1b[2J", Urgent: true}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.caps = []string{"body"}
	s.mu.Unlock()
	if err := New().Show(t.Context(), Message{Title: "two", Text: "a <b>"}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{"emr-accessd|Sign in <now>|run `aws sso login` &lt;b&gt;&amp; [2J", "emr-accessd|two|a <b>"}
	if strings.Join(s.shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("shown %q, want %q", s.shown, want)
	}
	if s.hints[0]["urgency"].Value() != critical || s.hints[1]["urgency"].Value() != normal {
		t.Errorf("%v", s.hints)
	}
}

// A bus is looked for where the session has one, and nowhere else.
func TestSessionBus(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", "")
	for set, want := range map[string]string{"": "", "unix:path=/x": "unix:path=/x", "tcp:host=1.2.3.4,port=1": "", "unixexec:path=/bin/sh": "", "autolaunch:": "", "tcp:host=x;unix:abstract=y": "unix:abstract=y"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", set)
		if got := sessionBus(); got != want {
			t.Errorf("%q: %q, want %q", set, got, want)
		}
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if got := sessionBus(); got != "" {
		t.Errorf("an empty folder: %q", got)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	if got := sessionBus(); !strings.HasPrefix(got, "unix:path=") {
		t.Errorf("a socket: %q", got)
	}
	// One that takes the connection and says nothing holds up nobody for ever.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- New().Show(ctx, Message{}) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("shown by nobody")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
	}
}
