package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a folder with room for so many bytes.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		t.Skipf("a small disk needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// A full disk is told as such on both sides, and nothing remains of the file that did not fit; the old one stays.
func TestFullDisk(t *testing.T) {
	here, home := t.TempDir(), smallDisk(t, "size=1m")
	tree(t, here, map[string]string{"big": noise(3 << 20), "other": "x"})
	tree(t, home, map[string]string{"big": "old"})
	c, _ := startServer(t, home)
	r, err := c.Put(t.Context(), []string{filepath.Join(here, "big"), filepath.Join(here, "other")}, ".", Options{})
	if err != nil {
		t.Fatal(err)
	}
	full, ok := errors.AsType[*FullError](r.Files[0].Err)
	if !ok || full.Here || full.Files || strings.Contains(listing(t, home), partTail) || content(t, filepath.Join(home, "big")) != "old" {
		t.Errorf("put: %v; there is %s", r.Files[0].Err, listing(t, home))
	}
	r, err = c.Get(t.Context(), []string{filepath.Join(here, "big")}, home, Options{})
	if err != nil {
		t.Fatal(err)
	}
	full, ok = errors.AsType[*FullError](r.Files[0].Err)
	if !ok || !full.Here || strings.Contains(listing(t, home), partTail) || content(t, filepath.Join(home, "big")) != "old" {
		t.Errorf("get: %v; there is %s", r.Files[0].Err, listing(t, home))
	}
}

func TestNoMoreFiles(t *testing.T) {
	here, home := t.TempDir(), smallDisk(t, "nr_inodes=4")
	tree(t, here, map[string]string{"1": "", "2": "", "3": "", "4": "", "5": ""})
	c, _ := startServer(t, home)
	r, err := c.Put(context.WithoutCancel(t.Context()), []string{here + "/."}, ".", Options{})
	if err != nil {
		t.Fatal(err)
	}
	full, ok := errors.AsType[*FullError](r.Err())
	for _, f := range r.Files {
		if e, is := errors.AsType[*FullError](f.Err); is {
			full, ok = e, true
		}
	}
	if !ok || !full.Files || strings.Contains(listing(t, home), partTail) {
		t.Errorf("%v; there is %s", r.Err(), listing(t, home))
	}
	if _, err := os.Stat(filepath.Join(home, "5")); err == nil {
		t.Error("it has room for five files")
	}
}
