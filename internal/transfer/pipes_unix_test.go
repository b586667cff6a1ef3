//go:build unix

package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe or a device is not a file that may be replaced: for root, "get … /dev/null" would take it away from the whole computer.
func TestOnlyFilesAreReplaced(t *testing.T) {
	here, home := t.TempDir(), t.TempDir()
	tree(t, here, map[string]string{"f": "here", "d/pipe": "here"})
	tree(t, home, map[string]string{"f": "there", "d/pipe": "there", "d/other": "there"})
	c, _ := startServer(t, home)
	mkfifo := func(path string) string {
		t.Helper()
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stays := func(path string, err error) {
		t.Helper()
		if info, serr := os.Lstat(path); serr != nil || info.Mode().Type() != fs.ModeNamedPipe {
			t.Errorf("%s is replaced: %v, %v", path, info.Mode(), serr)
		}
		if err == nil || !strings.Contains(err.Error(), "is a named pipe") {
			t.Errorf("error %v", err)
		}
	}
	pipe := mkfifo(filepath.Join(here, "pipe"))
	_, err := c.Get(t.Context(), []string{"f"}, pipe, Options{})
	stays(pipe, err)
	link := filepath.Join(here, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), []string{"f"}, link, Options{})
	stays(pipe, err)
	if _, err := os.Readlink(link); err != nil {
		t.Error(err)
	}
	pipe = mkfifo(filepath.Join(here, "d", "pipe"))
	r, err := c.Get(t.Context(), []string{"d"}, here, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stays(pipe, r.Err())
	if got := listing(t, filepath.Join(here, "d")); got != "other pipe" {
		t.Errorf("there is %s", got)
	}
	pipe = mkfifo(filepath.Join(home, "pipe"))
	_, err = c.Put(t.Context(), []string{filepath.Join(here, "f")}, "pipe", Options{})
	stays(pipe, err)
}
