//go:build unix

package sshsession_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// A named pipe in the place of a key is refused, or passed over, and nobody waits for who writes into it.
func TestKeyFileIsAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "key")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for why, l := range map[string]sshsession.Login{"not a regular file": {User: "hadoop", KeyFiles: []string{pipe}}, "": {User: "hadoop", Files: []string{pipe}}} {
		done := make(chan error, 1)
		go func() {
			_, err := l.Keys(t.Context())
			done <- err
		}()
		select {
		case err := <-done:
			if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
				t.Errorf("%v, want %q", err, why)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it waits for a writer")
		}
	}
}
