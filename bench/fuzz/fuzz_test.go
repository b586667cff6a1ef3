package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFind(t *testing.T) {
	found, err := find(fstest.MapFS{
		"a/x_test.go":          {Data: []byte("package a\nfunc FuzzOne(f *testing.F) {}\nfunc TestTwo(t *testing.T) {}\nfunc (x) FuzzNot() {}\n")},
		"a/b/y_test.go":        {Data: []byte("package b\n// func FuzzComment(f *testing.F)\nfunc FuzzTwo(f *testing.F) {}\n")},
		"a/x.go":               {Data: []byte("package a\nfunc FuzzNoTest() {}\n")},
		"a/testdata/z_test.go": {Data: []byte("package z\nfunc FuzzData(f *testing.F) {}\n")},
		".git/w_test.go":       {Data: []byte("no Go")},
	})
	if want := []target{{"a/b", "FuzzTwo"}, {"a", "FuzzOne"}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
}

func TestRead(t *testing.T) {
	var r result
	r.read("fuzz: elapsed: 0s, gathering baseline coverage: 0/7 completed\nfuzz: elapsed: 3s, execs: 10 (3/sec), new interesting: 1 (total: 8)\n" +
		"fuzz: elapsed: 6s, execs: 251340 (83774/sec), new interesting: 4 (total: 11)\nPASS\n")
	if r.Execs != 251340 || r.New != 4 || r.Corpus != 11 {
		t.Errorf("%+v", r)
	}
	if r = (result{}); r.Execs != 0 {
		t.Error(r)
	}
	r.read("ok\n")
	if r.Execs != 0 {
		t.Errorf("%+v", r)
	}
}

func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	c := corpus{filepath.Join(dir, "kept.txt"), filepath.Join(dir, "cache")}
	if err := c.give(); err != nil {
		t.Fatal("none is kept yet:", err)
	}
	if err := c.keep(); err != nil {
		t.Fatal("nothing was found:", err)
	}
	entry := func(s string) string { return entryHead + fmt.Sprintf("string(%q)\n", s) }
	one, two := entry("1"), entry("22\n"+entryHead) // quoted, so it is a part of the line
	write := func(dir, name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"a": two, "b": one, "c": one, "long": entry(strings.Repeat("x", maxEntry)), "empty": "", "no entry": "hello\n", "two": one + two, "cut": strings.TrimSuffix(one, "\n"), "later": "\n" + one} {
		write(c.cache, name, text)
	}
	if err := c.keep(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(c.kept); string(got) != one+two || err != nil {
		t.Errorf("kept %q, %v", got, err)
	}
	write(dir, "kept.txt", strings.ReplaceAll(one+two, "\n", "\r\n")) // as Git on Windows may write it
	c.cache = filepath.Join(dir, "another", "computer")
	for range 2 {
		if err := c.give(); err != nil {
			t.Fatal(err)
		}
	}
	var given []string
	files, err := os.ReadDir(c.cache)
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(c.cache, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, string(text))
	}
	if slices.Sort(given); err != nil || !slices.Equal(given, []string{one, two}) {
		t.Errorf("given %q, %v", given, err)
	}
	var many [][]byte
	for n := range 2000 {
		many = append(many, []byte(entry(fmt.Sprintf("%0100d", n))))
	}
	if n := len(join(many)); n > maxCorpus || n < maxCorpus-maxEntry {
		t.Errorf("%d bytes are kept", n)
	}
}

// docs/reliability.md says of each target how often it was executed.
func TestTargetsAreReported(t *testing.T) {
	targets, err := find(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		name := path.Base(target.folder) + "." + target.name
		if short, ok := strings.CutPrefix(name, "emr-accessd."); ok {
			name = short
		}
		if !strings.Contains(string(text), "`"+name+"` ") {
			t.Errorf("%s is not in docs/reliability.md", name)
		}
	}
}

// Each kept corpus is that of a target: one that was renamed would begin with nothing, unnoticed.
func TestCorporaHaveTargets(t *testing.T) {
	targets, err := find(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, target := range targets {
		known[target.file()] = true
	}
	files, err := os.ReadDir("corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("%s/%s is of no target", corpora, f.Name())
		}
		delete(known, f.Name())
		text, err := os.ReadFile(filepath.Join("corpora", f.Name()))
		if err != nil || !bytes.Equal(join(split(text)), bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) {
			t.Errorf("%s/%s is not as -keep writes it (%v)", corpora, f.Name(), err)
		}
	}
	for name := range known {
		t.Errorf("%s/%s is missing: go run ./bench/fuzz -keep", corpora, name)
	}
}

func TestOnlyLate(t *testing.T) {
	const end = "fuzz: elapsed: 5s, execs: 7321 (2010/sec), new interesting: 43 (total: 51)\n--- FAIL: FuzzLoad (5.05s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	for text, want := range map[string]bool{
		end: true, "": false, "--- FAIL: FuzzLoad (5.05s)\n    --- FAIL: FuzzLoad (0.00s)\n        x_test.go:1: context deadline exceeded\nFAIL\n": false,
		end + "Failing input written to testdata/fuzz/FuzzLoad/1\n": false,
	} {
		if got := onlyLate(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestLength(t *testing.T) {
	for text, want := range map[string]bool{"5s": true, "1m30s": true, "2000x": true, "0x": false, "": false, "x": false, "-5s": false, "5": false} {
		if got := lengthForm.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
