package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		s     string
		width int
		want  string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"abc", -1, ""},
		{"名前です", 8, "名前です"}, {"名前です", 7, "名前で…"}, {"名前です", 6, "名前…"}, {"名前です", 2, "…"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"👩‍👩‍👧x", 2, "…"}, {"👩‍👩‍👧xy", 3, "👩‍👩‍👧…"},
	} {
		if got := fit(tt.s, tt.width); got != tt.want {
			t.Errorf("%q in %d cells is %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	if got := strings.Join(wrap("one two three four five six", 9, 3), "|"); got != "one two|three|four fiv…" {
		t.Errorf("%q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		width, most := rapid.IntRange(1, 30).Draw(t, "width"), rapid.IntRange(1, 4).Draw(t, "lines")
		lines := wrap(s, width, most)
		if len(lines) > most {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			if cells(l) > width || utf8.ValidString(s) && !utf8.ValidString(l) {
				t.Fatalf("%q has %d cells", l, cells(l))
			}
		}
	})
}
