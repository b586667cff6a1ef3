package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	tests := []struct{ only, targets, formats string }{
		{"", "[linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64]", "apk archives archlinux deb descriptions rpm sbom"},
		{"linux-amd64,deb,rpm", "[linux-amd64]", "deb rpm"},
		{"deb", "[linux-amd64 linux-arm64]", "deb"},
		{"windows-amd64", "[windows-amd64]", "apk archives archlinux deb rpm sbom"},
		{"linux-arm64 archives", "[linux-arm64]", "archives"},
		{"descriptions", "[linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64]", "archives descriptions"},
	}
	for _, test := range tests {
		targets, formats, err := choose(test.only)
		if err != nil {
			t.Error(err)
			continue
		}
		maps.DeleteFunc(formats, func(_ string, wanted bool) bool { return !wanted })
		if got := strings.Join(slices.Sorted(maps.Keys(formats)), " "); fmt.Sprint(targets) != test.targets || got != test.formats {
			t.Errorf("%q: %v, %s", test.only, targets, got)
		}
	}
	for _, bad := range []string{"dep", "linux", "darwin-arm64,deb", "linux-amd64,descriptions"} {
		if targets, formats, err := choose(bad); err == nil {
			t.Errorf("%q: %v, %v", bad, targets, formats)
		}
	}
}

// Publisher and address become lines of many formats, so nothing gets through that could end a line or a quote.
func TestParameters(t *testing.T) {
	for in, want := range map[string]string{"": nobody().String(), "Jo Doe <jo@example.org>": "Jo Doe <jo@example.org>", "Zoë D'Eau <z@example.org>": "Zoë D'Eau <z@example.org>"} {
		if p, err := parsePerson(in); err != nil || p.String() != want {
			t.Errorf("%q: %v, %v", in, p, err)
		}
	}
	for _, bad := range []string{"Jo", "jo@example.org", "<jo@example.org>", "Jo <jo>", "Jo\nX <jo@example.org>", `"J\"o" <jo@example.org>`, "Jo <jo@example.org>, Al <al@example.org>"} {
		if p, err := parsePerson(bad); err == nil {
			t.Errorf("%q: %v", bad, p)
		}
	}
	if u, err := parseURL("https://example.org/a/v1.2.3/"); err != nil || u != "https://example.org/a/v1.2.3" {
		t.Error(u, err)
	}
	for _, bad := range []string{"http://example.org", "example.org", "https://", "https://u:p@example.org", "https://example.org/?a=b", "https://example.org/#a",
		"https://example.org/\"", "https://example.org/#{x}", "https://example.org/a b", "https://example.org/\n", "file:///etc"} {
		if u, err := parseURL(bad); err == nil {
			t.Errorf("%q: %s", bad, u)
		}
	}
}
