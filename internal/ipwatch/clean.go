package ipwatch

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes foreign text fit for a terminal, a log line and a sentence: control characters, line breaks,
// bidirectional and other invisible marks and broken UTF-8 are written as escapes, and at most limit
// characters are kept.
func clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i, w := 0, 0; i < len(s); i += w {
		var r rune
		r, w = utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+w]
		switch {
		case r == utf8.RuneError && w == 1:
			piece = `\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:]
		case !unicode.IsPrint(r): // of all spaces only the ASCII one is printable
			piece = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		size := utf8.RuneCountInString(piece)
		if n+size > limit {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
		n += size
	}
	return b.String()
}
