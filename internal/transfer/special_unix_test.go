//go:build unix

package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// What is no plain file keeps its place, on both sides: /dev/null is a device after `get CLUSTER FILE /dev/null` by root, too.
func TestSpecialFilesStay(t *testing.T) {
	here, home := t.TempDir(), t.TempDir()
	for _, dir := range []string{here, home} {
		tree(t, dir, map[string]string{"f": "f", "src/pipe": "p", "src/whole": "w", "dst/src/": ""})
		for _, name := range []string{"pipe", "dst/src/pipe"} {
			if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for name, to := range map[string]string{"link": "pipe", "proc": "/proc/self/fd/1"} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, _ := startServer(t, home)
	stays := func(path string, kind fs.FileMode) {
		t.Helper()
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != kind {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	for _, name := range []string{"pipe", "link"} {
		_, err := c.Get(t.Context(), []string{"f"}, filepath.Join(here, name), Options{})
		if err == nil || !strings.Contains(err.Error(), "no plain file") {
			t.Errorf("get to %s: %v", name, err)
		}
		if _, err = c.Put(t.Context(), []string{filepath.Join(here, "f")}, name, Options{}); err == nil || !strings.Contains(err.Error(), "no plain file") {
			t.Errorf("put to %s: %v", name, err)
		}
	}
	if _, err := c.PutStream(t.Context(), strings.NewReader("x"), "pipe", Options{}); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("a stream: %v", err)
	}
	if _, err := c.Get(t.Context(), []string{"f"}, filepath.Join(here, "proc"), Options{}); err == nil && runtime.GOOS == "linux" {
		t.Error("a name of this process's own standard output was replaced")
	}
	// In a folder the others are copied.
	r, err := c.Get(t.Context(), []string{"src"}, filepath.Join(here, "dst"), Options{})
	if rerr := r.Err(); err != nil || rerr == nil || !strings.Contains(rerr.Error(), "no plain file") {
		t.Errorf("%v, %v", err, rerr)
	}
	r, err = c.Put(t.Context(), []string{filepath.Join(here, "src")}, "dst", Options{})
	if rerr := r.Err(); err != nil || rerr == nil || !strings.Contains(rerr.Error(), "no plain file") {
		t.Errorf("%v, %v", err, rerr)
	}
	for _, dir := range []string{here, home} {
		stays(filepath.Join(dir, "pipe"), fs.ModeNamedPipe)
		stays(filepath.Join(dir, "dst/src/pipe"), fs.ModeNamedPipe)
		stays(filepath.Join(dir, "link"), fs.ModeSymlink)
		if runtime.GOOS == "linux" {
			stays(filepath.Join(dir, "proc"), fs.ModeSymlink)
		}
		if content(t, filepath.Join(dir, "dst/src/whole")) != "w" {
			t.Error("the other file is not there")
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "dst/src/.*")); len(left) > 0 {
			t.Errorf("parts are left: %q", left)
		}
	}
}
