package transfer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"", ".", "..", "/", "a/b", "../a", "/etc/passwd", "a\x00b", "a\nb", "\x1b[2J", "a\u202eb", "\x7f", "a\u0085"} {
		if checkName(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", "...", ".a", "..a", "a b", "ü", "-rf", "~", "*", "$(x)"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRemotePath(t *testing.T) {
	for in, want := range map[string]string{"~": ".", "~/": "./", "~//x": "x", "~/x/": "x/", "/x": "/x", "x": "x", "./~x": "./~x", "": "!", "~root": "!", "~root/x": "!"} {
		got, err := remotePath(in)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", in, got, want, err)
		}
	}
}

// A part has another name than any file, in the same folder, which fits into a folder.
func TestPartName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 255, 255).Filter(func(s string) bool { return checkName(s) == nil }).Draw(t, "name")
		part := partName(name)
		if checkName(part) != nil || len(part) > 200 || part == name || part == partName(name) || !strings.HasPrefix(part, ".") {
			t.Fatalf("%q becomes %q", name, part)
		}
		if utf8.ValidString(name) && !utf8.ValidString(part) {
			t.Fatalf("%q is cut within a letter: %q", name, part)
		}
	})
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a", "..", "a/b", "\x1b[0m", "nul", "c:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) == nil && (strings.Contains(name, "/") || name == ".." || name == "." || under("d", name) != "d/"+name) {
			t.Errorf("%q is accepted", name)
		}
	})
}
