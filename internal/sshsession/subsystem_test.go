//go:build unix

package sshsession_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestSSHDSubsystem(t *testing.T) {
	target, d := newSSHD(t, "ed25519")
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, d.hostKeys["ed25519"])
	c := mustDial(t, target)
	if _, err := c.Subsystem(t.Context(), "sftp"); !errors.Is(err, sshsession.ErrNoSubsystem) {
		t.Errorf("a server without it: %v", err)
	}
	config, err := os.OpenFile(filepath.Join(d.folder, "sshd_config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	// More complaints than a channel's window holds: they are read and dropped, or else nothing would go on.
	_, err = config.WriteString("Subsystem noisy head -c 5000000 /dev/zero >&2; cat\n")
	if err := errors.Join(err, config.Close()); err != nil {
		t.Fatal(err)
	}
	c = mustDial(t, target)
	stream, err := c.Subsystem(t.Context(), "noisy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stream, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(stream, got); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	// Close of the client ends a read that waits.
	read := make(chan error, 1)
	go func() {
		_, err := stream.Read(got)
		read <- err
	}()
	c.Close()
	select {
	case err := <-read:
		if err == nil {
			t.Error("something was read from a closed connection")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the read still waits")
	}
	if _, err := c.Subsystem(t.Context(), "noisy"); err == nil {
		t.Error("a closed connection has subsystems")
	}
}
