package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// version is a version as the tag of a release has it (semver.org), cut into the parts that each packager orders by
// rules of its own.
type version struct {
	core string // 1.2.3
	pre  string // rc.1, or git.20261128132028.8b64a60: before core
	meta string // 5.g8b64a60, dirty: after core
}

// versionForm allows only the words that all packagers can order.
var versionForm = regexp.MustCompile(`^((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))(?:-((?:alpha|beta|rc)\.\d+|git\.\d{14}\.[0-9a-f]+))?(?:\+([0-9a-z]+(?:\.[0-9a-z]+)*))?$`)

func parseVersion(s string) (version, error) {
	m := versionForm.FindStringSubmatch(strings.TrimPrefix(s, "v"))
	if m == nil {
		return version{}, fmt.Errorf("version %q: want 1.2.3, 1.2.3-rc.1 (alpha, beta, rc), or one of these with +something", s)
	}
	return version{m[1], m[2], m[3]}, nil
}

// String is the version that the program shows, and that archives are named by.
func (v version) String() string { return v.core + prefixed("-", v.pre) + prefixed("+", v.meta) }

// tilde is the version of deb and rpm, to which ~ sorts before everything.
func (v version) tilde() string { return v.core + prefixed("~", v.pre) + prefixed("+", v.meta) }

// arch is the version of pacman, which allows no hyphen and sorts 1.2.3rc1 before 1.2.3 (vercmp(8)).
func (v version) arch() string { return v.core + v.numbered() + prefixed("+", v.meta) }

// numbered is the word and the first number of what comes before a release: rc1.
func (v version) numbered() string {
	word, rest, _ := strings.Cut(v.pre, ".")
	number, _, _ := strings.Cut(rest, ".")
	return word + number
}

// apk is the version of Alpine: a suffix is a word and a number. The commits since a tag are its "_p"; anything else
// after a + has no place.
func (v version) apk() string {
	s := v.core + prefixed("_", v.numbered())
	if number, _, _ := strings.Cut(v.meta, "."); number != "" && strings.Trim(number, "0123456789") == "" {
		s += "_p" + number
	}
	return s
}

// prefixed is s behind a mark, or nothing.
func prefixed(mark, s string) string {
	if s == "" {
		return ""
	}
	return mark + s
}

type state struct{ version, commit, date string }

// gitState asks git for the commit, its date, and the version that follows from the last tag.
func gitState(ctx context.Context, dir string) (state, error) {
	git := func(args ...string) (string, error) {
		// safe.directory: the clone may belong to another user than the one who builds, in a container for one.
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "safe.directory=*"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return state{}, err
	}
	date, err := git("log", "-1", "--format=%ct")
	if err != nil {
		return state{}, err
	}
	changed, err := git("status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return state{}, err
	}
	described, err := git("describe", "--tags", "--long", "--abbrev=8", "--match", "v[0-9]*")
	if err != nil {
		described = "" // there is no tag yet
	}
	s := state{commit: commit, date: date}
	s.version, err = versionOf(described, commit, date, changed != "")
	return s, err
}

// versionOf makes a version of what git says: described is "v1.2.3-5-g8b64a60c", or "" without a tag.
func versionOf(described, commit, date string, dirty bool) (string, error) {
	var meta []string
	var v string
	if described == "" {
		seconds, err := time.ParseDuration(date + "s")
		if err != nil {
			return "", fmt.Errorf("git log: %w", err)
		}
		v = "0.0.0-git." + time.Unix(0, 0).UTC().Add(seconds).Format("20060102150405") + "." + commit[:min(8, len(commit))]
	} else {
		hash := strings.LastIndex(described, "-")
		count := strings.LastIndex(described[:max(hash, 0)], "-")
		if count < 0 {
			return "", fmt.Errorf("git describe: %q", described)
		}
		v = strings.TrimPrefix(described[:count], "v")
		if n := described[count+1 : hash]; n != "0" {
			meta = append(meta, n, described[hash+1:])
		}
	}
	if dirty {
		meta = append(meta, "dirty")
	}
	if len(meta) > 0 {
		mark := "+"
		if strings.Contains(v, "+") {
			mark = "."
		}
		v += mark + strings.Join(meta, ".")
	}
	return v, nil
}
