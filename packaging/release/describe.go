package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"unicode"
)

//go:embed descriptions
var descriptions embed.FS

// describe writes what Homebrew, Scoop and winget want to know of the archives that were made: where they will be, and
// their checksums. The publisher adds these files to a tap, a bucket or Microsoft's repository.
func (r *release) describe(shared, made string) error {
	hashes := map[target]string{}
	for _, t := range allTargets() {
		sum, err := fileSum(filepath.Join(made, r.archiveFile(t)))
		if err != nil {
			return err
		}
		hashes[t] = sum
	}
	pages, err := filepath.Glob(filepath.Join(shared, "man", "*.1"))
	if err != nil {
		return err
	}
	for i := range pages {
		pages[i] = filepath.Base(pages[i])
	}
	id := identifier(r.publisher.name)
	for template, name := range map[string]string{
		"emr-accessd.rb": "emr-accessd.rb", "emr-accessd.json": "emr-accessd.json",
		"winget.yaml": id + ".yaml", "winget.installer.yaml": id + ".installer.yaml", "winget.locale.en-US.yaml": id + ".locale.en-US.yaml",
	} {
		text, err := r.description(template, hashes, pages)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(made, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// description fills in one of the files in descriptions.
func (r *release) description(name string, hashes map[target]string, pages []string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"sum":    func(system, arch string) string { return hashes[target{system, arch}] },
		"file":   func(system, arch string) string { return r.archiveFile(target{system, arch}) },
		"folder": func(system, arch string) string { return r.archiveName(target{system, arch}) },
		"upper":  strings.ToUpper,
		"quote": func(s string) (string, error) { // a JSON string is a YAML string
			quoted, err := json.Marshal(s)
			return string(quoted), err
		},
	}).ParseFS(descriptions, "descriptions/"+name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, struct {
		Version                             version
		Project, URL, Publisher, Identifier string
		Pages                               []string
	}{r.version, project, r.url, r.publisher.name, identifier(r.publisher.name), pages})
	return text.Bytes(), err
}

// identifier is the package's name in winget: the publisher's letters and digits, a dot, and ours.
func identifier(publisher string) string {
	return strings.Map(func(c rune) rune {
		if c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return -1
	}, publisher) + ".emr-accessd"
}
