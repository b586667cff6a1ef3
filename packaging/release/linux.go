package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// linuxPackages lays out what is special to a distribution and has nfpm pack it (contents.go).
func (r *release) linuxPackages(ctx context.Context, t target, stage, made string) error {
	var wanted []string
	for _, format := range linuxFormats() {
		if r.formats[format] {
			wanted = append(wanted, format)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if err := r.debianTexts(stage); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(stage, "man", "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := compress(page, page+".gz"); err != nil {
			return err
		}
	}
	if err := scripts(filepath.Join(r.source, "packaging", "package"), filepath.Join(stage, "package")); err != nil {
		return err
	}
	if err := r.setTimes(stage); err != nil {
		return err
	}
	for _, format := range wanted {
		fmt.Fprintf(r.log, "%s: %s\n", t, format)
		config, err := r.nfpmConfig(format, t.arch, os.DirFS(stage))
		if err != nil {
			return err
		}
		name := filepath.Join(stage, "nfpm-"+format+".json")
		if err := os.WriteFile(name, config, 0o644); err != nil {
			return err
		}
		// nfpm runs on this machine, whatever the package is for.
		env := append(hostEnv(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix()), "TZ=UTC")
		if _, err := command(ctx, stage, env, "go", "run", nfpmModule, "package",
			"--config", name, "--packager", format, "--target", made+string(filepath.Separator)); err != nil {
			return err
		}
	}
	return nil
}

// scripts copies a package's scripts, each with users.sh in front of it.
func scripts(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	front, err := os.ReadFile(filepath.Join(from, "users.sh"))
	if err != nil {
		return err
	}
	files, err := os.ReadDir(to)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() == "users.sh" || f.Name() == "lintian-overrides" {
			continue
		}
		name := filepath.Join(to, f.Name())
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, slices.Concat(front, text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hostEnv undoes what the caller's environment may say of another system.
func hostEnv() []string {
	return []string{"GOOS=", "GOARCH=", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0"}
}

// versionFor is the version as a format's rules want it.
func (r *release) versionFor(format string) string {
	switch format {
	case "apk":
		return r.version.apk()
	case "archlinux":
		return r.version.arch()
	}
	return r.version.tilde()
}

// debianTexts writes what Debian's policy wants: the copyright, and the changelogs of the project and of the package.
func (r *release) debianTexts(stage string) error {
	notices, err := os.ReadFile(filepath.Join(stage, "THIRD_PARTY_LICENSES"))
	if err != nil {
		return err
	}
	list, _, _ := strings.Cut(string(notices), "\n\n===")
	_, list, _ = strings.Cut(list, "\n\n")
	copyright := fmt.Sprintf(debianCopyright, project, project, r.publisher, indented(list), r.date.Year())
	if err := os.WriteFile(filepath.Join(stage, "copyright"), []byte(copyright), 0o644); err != nil {
		return err
	}
	entry := fmt.Sprintf("emr-accessd (%s-1) unstable; urgency=medium\n\n  * What is new: changelog.gz.\n\n -- %s  %s\n",
		r.version.tilde(), r.publisher, r.date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	packed, err := gzipped([]byte(entry))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stage, "changelog.Debian.gz"), packed, 0o644); err != nil {
		return err
	}
	return compress(filepath.Join(stage, "CHANGELOG.md"), filepath.Join(stage, "changelog.gz"))
}

// debianCopyright is in the machine-readable form (Debian's DEP 5). The words of the other licences are in the file
// that every package has, so that there is one place that is checked.
const debianCopyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: emr-accessd
Upstream-Contact: https://%s
Source: https://%s
Comment:
 Packaged by %s.
 .
 The program contains these works of others. Their copyright notices and licences
 are in /usr/share/doc/emr-accessd/THIRD_PARTY_LICENSES:
 .
%s

Files: *
Copyright: %d The emr-accessd authors
License: Apache-2.0

License: Apache-2.0
 On Debian systems, the full text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
`

// indented makes continuation lines of a text.
func indented(s string) string {
	return " " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n ")
}

func compress(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	packed, err := gzipped(data)
	if err != nil {
		return err
	}
	return os.WriteFile(to, packed, 0o644)
}

// setTimes gives every file and folder the time of the release and the modes that nfpm takes over, whatever the
// umask is.
func (r *release) setTimes(dir string) error {
	return filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if d.IsDir() || filepath.Base(name) == "emr-accessd" {
			mode = 0o755
		}
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
		return os.Chtimes(name, r.date, r.date)
	})
}
