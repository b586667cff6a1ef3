package awsclient

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths, in characters, that error texts are cut to: a hostile or broken answer must not flood a log.
const (
	maxErrorText = 600
	maxDetail    = 400
	maxCode      = 80
)

// clean makes foreign text safe to show: one line, printable characters only (no controls, no bidirectional
// overrides, no invalid UTF-8), single spaces, at most limit characters with an ellipsis at the cut.
func clean(s string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			continue
		}
		pad := space && n > 0
		space = false
		if pad {
			n++
		}
		if n++; n >= limit {
			b.WriteRune('…')
			break
		}
		if pad {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// withoutEncoded drops what only sts:DecodeAuthorizationMessage can read from the text of an
// UnauthorizedOperation (EC2, "Error codes"): up to 10 KB of it.
func withoutEncoded(msg string) string {
	before, _, _ := strings.Cut(msg, "Encoded authorization failure message")
	return before
}
