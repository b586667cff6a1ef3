package transfer

import (
	"crypto/rand"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// partTail ends the name of a file that is not whole yet.
const partTail = ".part"

// maxPartStem bounds how much of a name goes into its part's name, in bytes: names have 255 at most on most systems, and a
// part's name is longer than its file's.
const maxPartStem = 100

// partName is a name in the same folder for a file that is not whole yet. Nobody can guess it, so that nobody can have put a
// link there.
func partName(name string) string {
	if len(name) > maxPartStem {
		cut := maxPartStem
		for cut > maxPartStem-utf8.UTFMax && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut]
	}
	return "." + strings.TrimLeft(name, ".") + ".emr-accessd-" + strings.ToLower(rand.Text()[:12]) + partTail
}

// checkName refuses a name in a server's listing that could lead out of the folder it is put into, or that does something to a
// terminal on which it is shown later.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..", strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q is not a file's name", name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }):
		return fmt.Errorf("the name %q has control characters", name)
	case strings.ContainsRune(name, filepath.Separator) || !filepath.IsLocal(name):
		return fmt.Errorf("%q cannot be a file's name on this computer", name)
	}
	return nil
}

// remotePath is a path as the user wrote it for the server: relative ones, and those with "~/", begin in the account's home, which is
// where an SFTP session begins.
func remotePath(p string) (string, error) {
	rest, tilde := strings.CutPrefix(p, "~")
	switch {
	case tilde && rest == "":
		return ".", nil
	case tilde && rest[0] == '/':
		p = strings.TrimLeft(rest, "/")
		if p == "" {
			p = "./"
		}
	case tilde:
		return "", fmt.Errorf("%s: only ~ and ~/ are understood, for the account that logs in; write ./%s for a file of this name", p, p)
	case p == "":
		return "", fmt.Errorf("a path on the node is empty")
	}
	return p, nil
}

// trimSlash takes slashes from the end of a path of the server.
func trimSlash(p string) string {
	if t := strings.TrimRight(p, "/"); t != "" {
		return t
	}
	return p[:min(len(p), 1)]
}

// under is a path of the server below a folder. (path.Join would also take ".." away, which changes the meaning behind a link.)
func under(folder, name string) string {
	switch {
	case name == "":
		return folder
	case folder == "." || folder == "":
		return name
	case strings.HasSuffix(folder, "/"):
		return folder + name
	}
	return folder + "/" + name
}

// base is the last name of a path, or "" for one that has none, such as "..": then what is in it is meant.
func base(p string) string {
	b := path.Base(p)
	if b == "." || b == ".." || b == "/" {
		return ""
	}
	return b
}

// localBase is the same for a path of this computer.
func localBase(p string) string {
	b := filepath.Base(p)
	if b == "." || b == ".." || b == string(filepath.Separator) {
		return ""
	}
	return b
}
