package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/godbus/dbus/v5"
)

// desktop is a notification server on a session bus of its own.
type desktop struct {
	address string
	mu      sync.Mutex
	shown   []string
}

func (d *desktop) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

func (d *desktop) Notify(_ string, _ uint32, _, title, text string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown = append(d.shown, title+"|"+text)
	return 1, nil
}

func (d *desktop) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.shown)
}

func newDesktop(t *testing.T) *desktop {
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
	d := &desktop{address: strings.TrimSpace(line)}
	conn, err := dbus.Connect(d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	const name = "org.freedesktop.Notifications"
	if err := conn.Export(d, "/org/freedesktop/Notifications", name); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return d
}

// The daemon, on a real session bus: a sign-in that is missing is shown once, also by the next daemon; a change of the
// address is shown when that was asked for.
func TestDaemonTellsTheDesktop(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	config := filepath.Join(w.dir, "config.toml")
	text := w.config(w.dir, "[[target]]\ncluster = \""+w.cluster+"\"\n") + "[notify]\nchanges = true\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	run := func() (stop func()) {
		cmd := exec.CommandContext(t.Context(), programPath(t), "run")
		cmd.Env = append(w.env(), "HOME="+w.dir, "EMR_ACCESSD_CONFIG="+config, "EMR_ACCESSD_STATE="+w.dir+"/state",
			"DBUS_SESSION_BUS_ADDRESS="+d.address, "GORACE=atexit_sleep_ms=0")
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("the daemon ended with %v:\n%s", err, log.String())
			}
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: shown %q", what, d.all())
			}
		}
	}
	last := func() string { return append([]string{""}, d.all()...)[len(d.all())] }
	stop := run()
	until("a rule", func() bool { return strings.Contains(w.listing(), "198.51.100.7/32") })
	w.set("all", "203.0.113.9")
	until("the change", func() bool {
		return strings.HasPrefix(last(), "SSH access follows you to 203.0.113.9|moved 198.51.100.7 → 203.0.113.9")
	})
	stop()
	w.sim.AddPrincipal("AKIATEST", awssim.Principal{UserID: "AIDATEST", Expired: true})
	stop = run()
	until("the sign-in", func() bool { return strings.HasPrefix(last(), "Sign in to AWS to keep SSH to nightly-etl|") })
	stop()
	failed := func() int { return strings.Count(log.String(), "target failed") }
	before := failed()
	stop = run()
	until("two more attempts", func() bool { return failed() >= before+2 }) // the first one was judged before the second began
	stop()
	if n := len(d.all()); n != 2 {
		told, _ := os.ReadFile(w.dir + "/state/told.json")
		t.Errorf("shown was %q\n%s\n%s", d.all(), told, log.String())
	}
}
