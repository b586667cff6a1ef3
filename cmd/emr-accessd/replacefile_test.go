package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A report is whole or it is not there, only the user reads it, and it goes nowhere else than was said.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		data, err := os.ReadFile(in(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if err := os.WriteFile(in("old"), []byte("old, and much longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "old"} {
		if err := replaceFile(in(name), []byte("report")); err != nil || read(name) != "report" {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(in(name)); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if err := os.Mkdir(in("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(in("folder"), []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if runtime.GOOS != "windows" {
		for link, to := range map[string]string{"link": "old", "dangling": "outside"} {
			if err := os.Symlink(in(to), in(link)); err != nil {
				t.Fatal(err)
			}
			if err := replaceFile(in(link), []byte("x")); err == nil {
				t.Errorf("%s: a link was followed or replaced", link)
			}
		}
		if read("old") != "report" {
			t.Error("what a link leads to was written")
		}
	}
	if _, err := os.Lstat(in("outside")); err == nil {
		t.Error("something was made outside")
	}
	if left, _ := filepath.Glob(in(".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What cannot be written leaves the file of before as it is: a name that is too long for the file beside it.
func TestReplaceFileFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 250))
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Skip(err)
	}
	if err := replaceFile(path, []byte("new")); err == nil {
		t.Error("no error")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
}
