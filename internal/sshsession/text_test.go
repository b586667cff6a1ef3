package sshsession_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestPrintable(t *testing.T) {
	tests := map[string]string{
		"plain äöü 漢字":            "plain äöü 漢字",
		"\x1b[2Jgone":             `\x1b[2Jgone`,
		"two\nlines\r\tand\x00":   `two\nlines\r\tand\x00`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\u200bzero\ufeff\u0085":  `\u200bzero\ufeff\u0085`,
		"bad\xff\xc3(":            `bad\xff\xc3(`,
		"replacement \uFFFD":      "replacement \uFFFD",
		strings.Repeat("x", 1000): strings.Repeat("x", 300) + "…",
	}
	for in, want := range tests {
		if got := sshsession.Printable(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b]0;title\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := sshsession.Printable(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is no UTF-8", got)
		}
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Errorf("%q holds %q", got, r)
			}
		}
	})
}
