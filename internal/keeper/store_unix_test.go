//go:build unix

package keeper_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// Whoever writes the state decides which rules are moved.
func TestStateOfOthersIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777, 0o720, 0o702} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keeper.OpenStore(dir, dir); err == nil || !strings.Contains(err.Error(), "chmod go-w "+dir) {
			t.Errorf("a folder with mode %o: %v", mode, err)
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.OpenStore(dir, dir); err != nil {
		t.Errorf("a folder that others can read: %v", err)
	}
	if _, err := keeper.OpenStore(filepath.Join(dir, "file", "x"), dir); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.OpenStore(filepath.Join(dir, "plain"), dir); err == nil {
		t.Error("a file was taken for a state folder")
	}
	if os.Geteuid() != 0 {
		return // only root can give a folder to somebody else
	}
	if err := os.Chown(dir, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.OpenStore(dir, dir); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("a folder of another user: %v", err)
	}
}

func TestStateFileThatOthersCanWrite(t *testing.T) {
	s := openStore(t)
	st, _ := s.Load()
	st.Installation = "planted"
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(s.Path("state.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(s.Path("state.json"), 0o666); err != nil {
		t.Fatal(err)
	}
	if st, warning := s.Load(); warning == "" || st.Installation != "" {
		t.Errorf("it was read: %q, %q", st.Installation, warning)
	}
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	if _, warning := s.Load(); warning != "" {
		t.Errorf("it was not made anew: %s", warning)
	}
}
