package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const zlib = `Copyright (c) 2015 Some Body

This software is provided 'as-is', without any express or implied
warranty. Permission is granted to anyone to use it.
`

func TestFingerprint(t *testing.T) {
	same := []string{
		zlib,
		strings.ReplaceAll(zlib, "2015 Some Body", "2020-2026, Others"),
		strings.ReplaceAll(zlib, "\n", "\r\n"),
		"Copyright 1999 A\n© 2000 B\nAll rights reserved.\n\n   " + strings.Join(strings.Fields(strings.SplitN(zlib, "\n\n", 2)[1]), "\n\t# "),
	}
	for _, s := range same {
		if fingerprint(s) != fingerprint(zlib) {
			t.Errorf("differs, and should not:\n%s", s)
		}
	}
	for _, other := range []string{
		strings.Replace(zlib, "anyone", "anyone but competitors", 1),
		zlib + "\nNot for commercial use.",
		strings.Replace(zlib, "without", "with", 1),
		zlib + "\ncopyright licences are revocable",
		"",
	} {
		if fingerprint(other) == fingerprint(zlib) {
			t.Errorf("does not differ, and should:\n%s", other)
		}
	}
}

// Everything in the program has a licence that somebody has looked at. It is asked for this system, whose modules are
// there; .ci/packages builds for all.
func TestThirdParty(t *testing.T) {
	works, err := thirdParty(t.Context(), "../..", target{runtime.GOOS, runtime.GOARCH})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]borrowed{}
	for _, w := range works {
		names[w.module] = w
	}
	for _, module := range []string{"std", "github.com/aws/aws-sdk-go-v2/service/ec2", "golang.org/x/crypto", "github.com/spf13/cobra"} {
		if w := names[module]; len(w.licences()) == 0 || w.version == "" {
			t.Errorf("%s: %+v", module, w)
		}
	}
	for _, module := range []string{"github.com/emr-accessd/emr-accessd", "github.com/google/go-cmp", "pgregory.net/rapid"} {
		if _, there := names[module]; there {
			t.Errorf("%s is not somebody else's work in the program", module)
		}
	}
	// Apache-2.0 wants NOTICE passed on, and parts have licences of their own.
	for _, file := range []string{"NOTICE.txt", "internal/sync/singleflight/LICENSE"} {
		if !slices.ContainsFunc(names["github.com/aws/aws-sdk-go-v2"].texts, func(t text) bool { return t.file == file }) {
			t.Errorf("github.com/aws/aws-sdk-go-v2: %s is missing", file)
		}
	}
	all := string(notices("1.2.3", works))
	for _, w := range works {
		for _, text := range w.texts {
			if !strings.Contains(all, strings.TrimSpace(text.data)) {
				t.Errorf("%s: %s is not in THIRD_PARTY_LICENSES", w.module, text.file)
			}
		}
	}
	if n := strings.Count(all, "TERMS AND CONDITIONS FOR USE, REPRODUCTION"); n > 4 {
		t.Errorf("the Apache licence is there %d times, though most are the same", n)
	}
}

func TestUnknownLicence(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"unknown": {"LICENSE": "You may look at it."},
		"none":    {"README": "Free for all!"},
		"notice":  {"NOTICE": "This is no licence."},
		"hidden":  {"LICENSE": zlib, "sub/COPYING.md": "All yours."},
	} {
		dir := t.TempDir()
		for file, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		w := borrowed{module: "example.org/x", version: "v1.0.0", dir: dir}
		err := w.read([]string{dir, filepath.Join(dir, ".")})
		if name == "hidden" {
			err = w.read([]string{filepath.Join(dir, "sub")})
		}
		if err == nil || !strings.Contains(err.Error(), "example.org/x v1.0.0") {
			t.Errorf("%s: %v, %+v", name, err, w)
		}
	}
}

// docs/dependencies.md lists what is in the program for Linux.
func TestDependencies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the list is that for Linux")
	}
	works, err := thirdParty(t.Context(), "../..", target{"linux", runtime.GOARCH})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			listed = append(listed, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, w := range works {
		if w.module != "std" {
			want = append(want, "| `"+w.module+"` | "+w.version+" | "+strings.Join(w.licences(), " AND ")+" |")
		}
	}
	slices.Sort(want)
	slices.Sort(listed)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("docs/dependencies.md (-in the program +listed):\n%s", diff)
	}
}
