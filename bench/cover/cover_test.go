package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// profile has a block that the tests of two packages tell of, and only one of them has run.
const profile = `mode: atomic
github.com/emr-accessd/emr-accessd/internal/b/x.go:1.1,2.2 3 0
github.com/emr-accessd/emr-accessd/internal/b/y.go:1.1,2.2 1 0
github.com/emr-accessd/emr-accessd/internal/a/x.go:1.1,2.2 400 18446744073709551615
mode: atomic
github.com/emr-accessd/emr-accessd/internal/b/x.go:1.1,2.2 3 7
github.com/emr-accessd/emr-accessd/internal/b/y.go:1.1,2.2 1 0
github.com/emr-accessd/emr-accessd/internal/a/x.go:1.1,2.2 400 0
`

func TestRun(t *testing.T) {
	const ok = "# why\ninternal/a 100\n\ninternal/b 75\n"
	for _, tt := range []struct {
		name, profile, floors string
		want                  string // of the error
	}{
		{"good", profile, ok, ""},
		{"below", profile, "internal/a 100\ninternal/b 76\n", "internal/b: the tests run 75.0 %, less than 76 %"},
		{"a new package", profile, "internal/a 100\n", "internal/b has no floor: the tests run 75.0 % of it"},
		{"a package that is gone", profile, ok + "internal/c 1\n", "internal/c has a floor, and the profile does not name it"},
		{"empty", "mode: set\n", ok, "the profile is empty"},
		{"no profile", "mode: set\nnonsense\n", ok, "line 2 is no line"},
		{"another module", "mode: set\nexample.org/x.go:1.1,2.2 1 1\n", ok, "line 2 is no line of a coverage profile of github.com"},
		{"negative", strings.ReplaceAll(profile, " 3 7", " -3 7"), ok, "line 6 is no line"},
		{"no count", strings.ReplaceAll(profile, " 3 7", " 3 x"), ok, "line 6 is no line"},
		{"floors without a number", profile, "internal/a\n", "line 1: want a package and a floor"},
		{"a floor too high", profile, "internal/a 101\n", "is no percentage"},
		{"a floor twice", profile, ok + "internal/a 1\n", "line 5: internal/a has a floor already"},
	} {
		dir := t.TempDir()
		file, floors := filepath.Join(dir, "profile"), filepath.Join(dir, "floors")
		for name, text := range map[string]string{file: tt.profile, floors: tt.floors} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, progress bytes.Buffer
		err := run([]string{"-floors", floors, file}, &out, &progress)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.name != "good" {
			continue
		}
		if want := "4  3   75.0     75  internal/b"; !strings.Contains(strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
		if want := "404 403 99.8 all"; !strings.HasSuffix(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
		if err := run([]string{"-floors", floors, "-set", file}, &out, &progress); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(floors); err != nil || !strings.HasSuffix(string(text), "\ninternal/a 98\ninternal/b 0\n") {
			t.Errorf("%v\n%s", err, text)
		}
		out.Reset()
		if err := run([]string{"-floors", floors, "-json", file}, &out, &progress); err != nil || !strings.Contains(out.String(), `"package": "internal/b"`) {
			t.Errorf("%v\n%s", err, &out)
		}
	}
	if err := run([]string{"-floors", "x"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("no profile, and no error")
	}
	if err := run([]string{"nowhere"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("a profile that is not there, and no error")
	}
}
