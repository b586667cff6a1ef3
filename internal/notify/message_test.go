package notify

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const hostile = "a\x1b]0;x\a\nb\u202ec\u2028d\u009b\x00e\xff`$(id)` '\"; <b>&amp;</b> -e \\"

func FuzzPlainText(f *testing.F) {
	f.Add(hostile)
	f.Add(strings.Repeat("名", 1000))
	f.Fuzz(func(t *testing.T, s string) {
		m := Message{Title: s, Text: s}.plain()
		for _, got := range []string{m.Title, m.Text} {
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > longestText || strings.ContainsFunc(got, func(r rune) bool {
				return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
			}) {
				t.Errorf("%q", got)
			}
		}
		if utf8.RuneCountInString(m.Title) > longestTitle || m.plain() != m {
			t.Errorf("%q", m.Title)
		}
	})
}

// No text becomes part of a script: whatever it is, the script is the same.
func TestCommandsKeepTextsApart(t *testing.T) {
	for name, build := range map[string]func(Message) (string, []string, []string){"osascript": osascript, "toast": toast} {
		var cmds []*exec.Cmd
		c := command{make: build, run: func(cmd *exec.Cmd) error { cmds = append(cmds, cmd); return nil }}
		for _, m := range []Message{{Title: "one", Text: "two"}, {Title: hostile, Text: hostile}} {
			if err := c.Show(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		a, b := cmds[0], cmds[1]
		plain := Message{Title: hostile, Text: hostile}.plain()
		if name == "osascript" {
			n := len(a.Args) - 2
			if !slices.Equal(a.Args[:n], b.Args[:n]) || a.Args[n-1] != "--" || !slices.Equal(b.Args[n:], []string{plain.Title, plain.Text}) || a.Path != "/usr/bin/osascript" {
				t.Errorf("%q\n%q", a.Args, b.Args)
			}
			continue
		}
		if !slices.Equal(a.Args, b.Args) || !slices.Contains(b.Env, "EMR_ACCESSD_NOTIFY_TITLE="+plain.Title) || !slices.Contains(b.Env, "EMR_ACCESSD_NOTIFY_TEXT="+plain.Text) {
			t.Errorf("%q\n%q", a.Args, b.Args)
		}
	}
}

func TestCommandFails(t *testing.T) {
	c := command{make: func(Message) (string, []string, []string) { return "/does/not/exist", nil, nil }}
	if err := c.Show(t.Context(), Message{}); err == nil {
		t.Error("it was shown by a program that does not exist")
	}
}
