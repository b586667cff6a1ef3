package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// borrowed is somebody else's code in the program.
type borrowed struct {
	module, version string
	sum             string // the module's hash of go.sum, h1:…
	dir             string
	texts           []text // at least one licence
}

// text is a licence, a notice or a grant of patents that a work comes with.
type text struct {
	file    string // within the module
	licence string // its SPDX identifier; "" for what is only to be passed on
	data    string
}

// licences are the identifiers of a work.
func (w borrowed) licences() []string {
	var ids []string
	for _, t := range w.texts {
		if t.licence != "" {
			ids = append(ids, t.licence)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// thirdParty finds the works in the program for one system: of each package that is compiled into it, the texts in
// its folder and in those above, up to the module's. A licence that nobody has looked at is an error.
func thirdParty(ctx context.Context, source string, t target) ([]borrowed, error) {
	out, err := command(ctx, source, t.env(), "go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/emr-accessd")
	if err != nil {
		return nil, err
	}
	goroot, err := command(ctx, source, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	std := &borrowed{module: "std", version: strings.TrimPrefix(runtime.Version(), "go"), dir: strings.TrimSpace(string(goroot))}
	works := map[string]*borrowed{"std": std}
	folders := map[string][]string{"std": {std.dir}} // to be looked at for texts
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir, Sum string
				Main                    bool
				Replace                 *struct{ Path string }
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module != nil && p.Module.Main {
			continue
		}
		if p.Module == nil || p.Module.Replace != nil {
			return nil, fmt.Errorf("%s: not of a released module", p.Dir)
		}
		m := p.Module
		if works[m.Path] == nil {
			works[m.Path] = &borrowed{module: m.Path, version: m.Version, sum: m.Sum, dir: m.Dir}
		}
		for dir := p.Dir; len(dir) >= len(m.Dir); dir = filepath.Dir(dir) {
			folders[m.Path] = append(folders[m.Path], dir)
		}
	}
	var found []borrowed
	for module, w := range works {
		if err := w.read(folders[module]); err != nil {
			return nil, err
		}
		found = append(found, *w)
	}
	slices.SortFunc(found, func(a, b borrowed) int { return cmp.Compare(a.module, b.module) })
	return found, nil
}

// legal are the names of the files that go with a work.
var legal = regexp.MustCompile(`(?i)^(?:licen[cs]e|notice|copying|copyright|patents|unlicense)(?:[.-](?:txt|md|[a-z0-9]+))?$`)

func (w *borrowed) read(folders []string) error {
	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !legal.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			name, err := filepath.Rel(w.dir, filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			t := text{file: filepath.ToSlash(name), data: string(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))}
			if lower := strings.ToLower(e.Name()); !strings.HasPrefix(lower, "notice") && !strings.HasPrefix(lower, "patents") {
				if t.licence = known(t.data); t.licence == "" {
					return fmt.Errorf("%s %s: the licence in %s is not in packaging/release/licences.txt.\n"+
						"Read it. If the program may carry it, add the line:\n%s  IDENTIFIER", w.module, w.version, t.file, fingerprint(t.data))
				}
			}
			w.texts = append(w.texts, t)
		}
	}
	if len(w.licences()) == 0 {
		return fmt.Errorf("%s %s: has no licence, so nobody may pass it on", w.module, w.version)
	}
	return nil
}

//go:embed licences.txt
var licenceList string

// known is the SPDX identifier of a licence that somebody has read and allowed, or "".
func known(licence string) string {
	want := fingerprint(licence)
	for s := bufio.NewScanner(strings.NewReader(licenceList)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) >= 2 && f[0] == want {
			return f[1]
		}
	}
	return ""
}

var (
	copyrightLine = regexp.MustCompile(`(?im)^[^\w\n]*(?:(?:copyright )?(?:\(c\)|©)|copyright(?: by)? \d{4}|all rights reserved\.?$)[^\n]*$`)
	words         = regexp.MustCompile(`[\pL\pN]+`)
)

// fingerprint is the hash of a licence's words: who holds the copyright and how lines are broken do not matter, and
// every other word does.
func fingerprint(licence string) string {
	own := copyrightLine.ReplaceAllString(licence, "")
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.ToLower(strings.Join(words.FindAllString(own, -1), " ")))))
}

// notices is the text THIRD_PARTY_LICENSES. A text that several works share is there once.
func notices(version string, works []borrowed) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "emr-accessd %s is under the Apache License 2.0 (LICENSE). It contains the works of others:\n\n", version)
	sources := map[string][]string{}
	var order []string
	for _, w := range works {
		name := w.module + " " + w.version
		if w.module == "std" {
			name = "Go's standard library and runtime " + w.version
		}
		fmt.Fprintf(&b, "  %s: %s\n", name, strings.Join(w.licences(), ", "))
		for _, t := range w.texts {
			if sources[t.data] == nil {
				order = append(order, t.data)
			}
			sources[t.data] = append(sources[t.data], name+": "+t.file)
		}
	}
	for _, data := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 78), strings.Join(sources[data], "\n"), strings.TrimSpace(data))
	}
	return []byte(b.String())
}
