package main

import (
	"os"
	"strings"
	"testing"
)

// A release shows what the linker was told; a build from source never shows half of it.
func TestVersion(t *testing.T) {
	show := func(args ...string) string {
		t.Helper()
		var out, errs strings.Builder
		if code := run(t.Context(), append([]string{"version"}, args...), streams{In: os.Stdin, Out: &out, Err: &errs}); code != 0 {
			t.Fatal(code, errs.String())
		}
		return out.String()
	}
	was := [3]string{release, releaseCommit, releaseDate}
	defer func() { release, releaseCommit, releaseDate = was[0], was[1], was[2] }()

	release, releaseCommit, releaseDate = "1.2.3", "8b64a605", "2026-11-28T13:20:28Z"
	if got := show(); !strings.HasPrefix(got, "emr-accessd 1.2.3 (go") || !strings.HasSuffix(got, "commit 8b64a605 of 2026-11-28T13:20:28Z\n") {
		t.Error(got)
	}
	if got := show("--json"); !strings.Contains(got, `"commit": "8b64a605"`) || !strings.Contains(got, `"date": "2026-11-28T13:20:28Z"`) {
		t.Error(got)
	}
	release, releaseCommit, releaseDate = "1.2.3", "", ""
	if got := show(); strings.Contains(got, "commit") {
		t.Error(got)
	}
	if got := show("--json"); !strings.Contains(got, `"date": null`) || !strings.Contains(got, `"commit": ""`) {
		t.Error(got)
	}
	release, releaseCommit = "", "of no release" // a test binary has no repository
	if got := show(); strings.Contains(got, "of no release") {
		t.Error(got)
	}
}
