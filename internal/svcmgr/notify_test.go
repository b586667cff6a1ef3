//go:build unix

package svcmgr_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

func TestNotify(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func() string {
		t.Helper()
		buf := make([]byte, 4096)
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "6000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := svcmgr.NewNotifier()
	if n.Watchdog() != 6*time.Second {
		t.Errorf("watchdog %v", n.Watchdog())
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if os.Getenv(name) != "" {
			t.Errorf("children inherit %s", name)
		}
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { n.Status("looking") }, "WATCHDOG=1\nREADY=1\nSTATUS=looking"},
		{n.Alive, "WATCHDOG=1"},
		{func() { n.Status("looking") }, "WATCHDOG=1"},
		{func() { n.Status("a\nMAINPID=1") }, "WATCHDOG=1\nSTATUS=a MAINPID=1"},
		{n.Stopping, "STOPPING=1"},
	} {
		step.do()
		if got := read(); got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
	c.Close()
	n.Alive() // nobody listens any more
}

// A busy manager whose socket takes nothing is told again: else it would wait for the beginning, and end the program.
func TestNotifyAgain(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	t.Setenv("NOTIFY_SOCKET", socket)
	n := svcmgr.NewNotifier()
	n.Status("looking") // nobody listens yet
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n.Status("looking")
	buf := make([]byte, 4096)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	size, err := c.Read(buf)
	if got := string(buf[:size]); err != nil || got != "WATCHDOG=1\nREADY=1\nSTATUS=looking" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNobodyToNotify(t *testing.T) {
	for _, socket := range []string{"", "relative", "vsock:2:1234"} {
		t.Setenv("NOTIFY_SOCKET", socket)
		n := svcmgr.NewNotifier()
		n.Alive()
		n.Status("x")
		n.Stopping()
		if n.Watchdog() != 0 {
			t.Error("a watchdog")
		}
	}
}
