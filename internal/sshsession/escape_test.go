package sshsession_test

import (
	"bytes"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestEscapes(t *testing.T) {
	tests := []struct {
		in, send  string
		end, help bool
	}{
		{"ls\r", "ls\r", false, false},
		{"~.", "", true, false},
		{"ls\r~.rest", "ls\r", true, false},
		{"ls\n~.", "ls\n", true, false},
		{"~~", "~", false, false},
		{"~~.", "~.", false, false},
		{"x~.", "x~.", false, false},
		{"cd ~/x\r", "cd ~/x\r", false, false},
		{"~/bin/x\r", "~/bin/x\r", false, false},
		{"~\r~.", "~\r", true, false}, // as OpenSSH has it: the newline after a tilde that was none begins a line
		{"~?~.", "", true, true},
		{"~?ls\r", "ls\r", false, true},
		{"\r~", "\r", false, false},
		{"", "", false, false},
	}
	for _, tt := range tests {
		send, end, help := sshsession.FilterEscapes([]byte(tt.in))
		if string(send) != tt.send || end != tt.end || help != tt.help {
			t.Errorf("%q: send %q, end %v, help %v; want %q, %v, %v", tt.in, send, end, help, tt.send, tt.end, tt.help)
		}
	}
}

// FuzzEscapes cuts the input anywhere: it must not matter. Input without a tilde must pass as it is.
func FuzzEscapes(f *testing.F) {
	f.Add([]byte("ls\r~~x\r~?~."), 4)
	f.Add([]byte("~\r\n~~~."), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole, end, help := sshsession.FilterEscapes(in)
		if cut < 0 || cut > len(in) {
			cut = len(in) / 2
		}
		parts, end2, help2 := sshsession.FilterEscapes(in[:cut], in[cut:])
		if !bytes.Equal(whole, parts) || end != end2 || help != help2 {
			t.Errorf("%q cut at %d: %q %v %v, whole: %q %v %v", in, cut, parts, end2, help2, whole, end, help)
		}
		if !bytes.Contains(in, []byte("~")) && (!bytes.Equal(whole, in) || end || help) {
			t.Errorf("%q became %q", in, whole)
		}
	})
}
