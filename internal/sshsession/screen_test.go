package sshsession

import (
	"strings"
	"testing"
)

func TestScreenState(t *testing.T) {
	const plain = "\x1b(B\x1b[0m"
	for _, tt := range []struct{ name, out, want string }{
		{"text", "hello\r\nworld", ""},
		{"colour", "\x1b[31mred", plain},
		{"a full screen", "\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[?25l", "\x1b[?25h\x1b[?1l\x1b[?1049l\x1b>" + plain},
		{"a program that cleans up", "\x1b[?1049h\x1b=\x1b[?25l\x1b[?25h\x1b>\x1b[?1049l", plain},
		{"several at once", "\x1b[?1000;1006;12h", "\x1b[?1006l\x1b[?1000l" + plain},
		{"a prompt", "\x1b[?2004h$ ", "\x1b[?2004l" + plain},
		{"set twice", "\x1b[?2004h\x1b[?2004h", "\x1b[?2004l" + plain},
		{"no wrapping", "\x1b[?7l", "\x1b[?7h" + plain},
		{"reset by the program", "\x1b[?1049h\x1bc", plain},
		{"cut off", "\x1b[?104", "\x18" + plain},
		{"ANSI modes are others", "\x1b[4h\x1b[25l", plain},
		{"never ends", "\x1b[?" + strings.Repeat("1;", 1000) + "h", plain},
		{"not a mode", "\x1b[?9999999999999999999h\x1b[?h\x1b[?;h", plain},
	} {
		for _, piece := range []int{1, 3, len(tt.out)} {
			s := newScreenState()
			for rest := tt.out; rest != ""; {
				n := min(piece, len(rest))
				_, _ = s.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got := s.undo(); got != tt.want {
				t.Errorf("%s, %d bytes at a time: %q, want %q", tt.name, piece, got, tt.want)
			}
		}
	}
}

// What undoes the state undoes it: after it there is nothing odd left, whatever a server sent.
func FuzzScreenState(f *testing.F) {
	f.Add([]byte("\x1b[?1049h\x1b=\x1b[?25l"))
	f.Add([]byte("\x1b[?7;25;1l\x1b[\x1b[?1006h"))
	f.Fuzz(func(t *testing.T, out []byte) {
		s := newScreenState()
		_, _ = s.Write(out)
		undo := s.undo()
		if len(s.odd) > maxOdd || len(s.params) > maxParams || len(undo) > 1<<10 {
			t.Fatalf("it grows: %d modes, %d bytes", len(s.odd), len(undo))
		}
		_, _ = s.Write([]byte(undo))
		if len(s.odd) > 0 || s.keypad || s.state != inText && s.state != inEscape && undo != "" {
			t.Fatalf("%q leaves %v, %v", out, s.odd, s.keypad)
		}
	})
}
