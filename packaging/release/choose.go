package main

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// target is a system and a processor, in Go's words.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "-" + t.arch }

// program is the name of the program's file.
func (t target) program() string {
	if t.os == "windows" {
		return "emr-accessd.exe"
	}
	return "emr-accessd"
}

// allTargets is what a release is made for.
func allTargets() []target {
	return []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"}}
}

// linuxFormats are made by nfpm; the others by this program.
func linuxFormats() []string { return []string{"deb", "rpm", "apk", "archlinux"} }

func allFormats() []string {
	return append([]string{"archives"}, append(linuxFormats(), "sbom", "descriptions")...)
}

func choices() []string {
	var names []string
	for _, t := range allTargets() {
		names = append(names, t.String())
	}
	return append(names, allFormats()...)
}

// choose reads --only. Targets narrow the targets and formats the formats: "deb" alone is a deb for each processor.
func choose(only string) ([]target, map[string]bool, error) {
	words := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	var targets []target
	formats := map[string]bool{}
	for _, word := range words {
		if i := slices.IndexFunc(allTargets(), func(t target) bool { return t.String() == word }); i >= 0 {
			targets = append(targets, allTargets()[i])
		} else if slices.Contains(allFormats(), word) {
			formats[word] = true
		} else {
			return nil, nil, fmt.Errorf("--only %q: not one of %s", word, strings.Join(choices(), ", "))
		}
	}
	if len(targets) == 0 {
		targets = allTargets()
	}
	narrowed := len(targets) < len(allTargets())
	if len(formats) == 0 {
		for _, f := range allFormats() {
			formats[f] = f != "descriptions" || !narrowed
		}
	}
	if formats["descriptions"] {
		if narrowed {
			return nil, nil, fmt.Errorf("--only %s: descriptions are of the archives for all systems", only)
		}
		formats["archives"] = true
	}
	needed := func(t target) bool {
		return formats["archives"] || formats["sbom"] || t.os == "linux" && slices.ContainsFunc(linuxFormats(), func(f string) bool { return formats[f] })
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return !needed(t) })
	if len(targets) == 0 {
		return nil, nil, fmt.Errorf("--only %s: deb, rpm, apk and archlinux are for Linux", only)
	}
	return targets, formats, nil
}

// person answers for a package.
type person struct{ name, address string }

func (p person) String() string { return p.name + " <" + p.address + ">" }

// nobody is said where a format must name somebody. ".invalid" is nobody's domain for ever (RFC 2606).
func nobody() person { return person{"unofficial build of emr-accessd", "nobody@emr-accessd.invalid"} }

func parsePerson(s string) (person, error) {
	if s == "" {
		return nobody(), nil
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name == "" || !plain(a.Name+a.Address) || strings.ContainsAny(a.Name+a.Address, `<>"\`) {
		return person{}, fmt.Errorf("--publisher %q: want 'Name <address>'", s)
	}
	return person{a.Name, a.Address}, nil
}

func parseURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !plain(s) || strings.ContainsAny(s, " \"'\\#{}") {
		return "", fmt.Errorf("--url %q: want a plain https address", s)
	}
	return strings.TrimSuffix(s, "/"), nil
}

// plain says that a text has no line ends or other controls: it becomes a line of many formats.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
