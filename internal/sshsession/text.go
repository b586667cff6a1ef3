package sshsession

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxForeign is how many runes of a text from outside go into an error; longer ones are cut.
const maxForeign = 300

// printable makes text from a server, an agent or a file safe to show on a terminal: control characters, escape sequences, line
// breaks and bidirectional marks are written as Go escapes, and what is too long is cut.
func printable(s string) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > maxForeign {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// foreign is an error whose text may hold words of the server.
type foreign struct{ err error }

func (f foreign) Error() string { return printable(f.err.Error()) }
func (f foreign) Unwrap() error { return f.err }

// shellQuote quotes a file name for the POSIX shell, for the commands that hints show.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@%:,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
