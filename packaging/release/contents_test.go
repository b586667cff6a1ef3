package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

func exampleRelease(t *testing.T) *release {
	t.Helper()
	v, err := parseVersion("1.2.3-rc.1")
	if err != nil {
		t.Fatal(err)
	}
	return &release{version: v, date: time.Date(2026, 11, 28, 13, 20, 28, 0, time.UTC), publisher: person{`Jo "Doe`, "jo@example.org"}, url: "https://example.org/v1"}
}

type nfpm struct {
	Version, Maintainer string
	Scripts             map[string]string
	Rpm                 struct{ Buildhost string }
	Contents            []struct {
		Src, Dst, Type string
		Info           struct {
			Mode                os.FileMode
			Owner, Group, Mtime string
		} `json:"file_info"`
	}
}

// Each package has what belongs into it and nothing twice, and nothing of a file is left to the machine.
func TestContents(t *testing.T) {
	stage := fstest.MapFS{"man/emr-accessd.1.gz": {}, "man/emr-accessd-sync.1.gz": {}, "docs/json.md": {}}
	for _, c := range contents() {
		if !strings.Contains(c.from, "*") {
			stage[c.from] = &fstest.MapFile{}
		}
	}
	r := exampleRelease(t)
	for format, version := range map[string]string{"deb": "1.2.3~rc.1", "rpm": "1.2.3~rc.1", "apk": "1.2.3_rc1", "archlinux": "1.2.3rc1"} {
		data, err := r.nfpmConfig(format, "amd64", stage)
		if err != nil {
			t.Fatal(err)
		}
		var config nfpm
		if err := json.Unmarshal(data, &config); err != nil {
			t.Fatal(err)
		}
		if config.Version != version || config.Maintainer != `Jo "Doe <jo@example.org>` || format == "rpm" && config.Rpm.Buildhost != "localhost" {
			t.Errorf("%s: %s", format, data)
		}
		there := map[string]bool{}
		for _, c := range config.Contents {
			if there[c.Dst] {
				t.Errorf("%s: %s twice", format, c.Dst)
			}
			there[c.Dst] = true
			want := os.FileMode(0o644)
			if path.Dir(c.Dst) == "/usr/bin" || c.Type == "dir" {
				want = 0o755
			}
			if c.Info.Mode != want || c.Info.Owner != "root" || c.Info.Group != "root" || c.Info.Mtime != "2026-11-28T13:20:28Z" {
				t.Errorf("%s: %+v", format, c)
			}
			if !strings.HasPrefix(c.Dst, "/usr/") {
				t.Errorf("%s: %s: a package that writes to /etc or /var has to be cleaned up after", format, c.Dst)
			}
		}
		for _, c := range config.Contents { // what is in a folder of our own goes with that folder
			folder := path.Dir(c.Dst)
			if format == "rpm" && c.Type != "dir" && strings.Contains(folder, "/emr-accessd") && !there[folder] {
				t.Errorf("rpm: nobody removes %s", folder)
			}
		}
		for file, wanted := range map[string]bool{
			"/usr/bin/emr-accessd": true, "/usr/share/man/man1/emr-accessd-sync.1.gz": true, "/usr/share/doc/emr-accessd/examples/config.toml": true,
			"/usr/lib/systemd/user/emr-accessd.service":          format != "apk",
			"/usr/share/doc/emr-accessd/copyright":               format == "deb",
			"/usr/share/doc/emr-accessd/THIRD_PARTY_LICENSES":    format == "deb",
			"/usr/share/licenses/emr-accessd/LICENSE":            format != "deb",
			"/usr/share/zsh/vendor-completions/_emr-accessd":     format == "deb",
			"/usr/share/zsh/site-functions/_emr-accessd":         format != "deb",
			"/usr/share/bash-completion/completions/emr-accessd": true,
		} {
			if there[file] != wanted {
				t.Errorf("%s: %s: %v", format, file, there[file])
			}
		}
		for _, script := range config.Scripts {
			if _, err := os.Stat(filepath.Join("..", script)); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
	delete(stage, "emr-accessd.service")
	if data, err := r.nfpmConfig("deb", "amd64", stage); err == nil {
		t.Errorf("a file is missing, and it is packed all the same:\n%s", data)
	}
}

// A package's script begins with what they all share.
func TestScripts(t *testing.T) {
	to := filepath.Join(t.TempDir(), "package")
	if err := scripts("../package", to); err != nil {
		t.Fatal(err)
	}
	front, err := os.ReadFile("../package/users.sh")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(to)
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(to, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(text, front); got != boolean(f.Name() != "lintian-overrides") {
			t.Errorf("%s has users.sh %d times", f.Name(), got)
		}
	}
}

// The example is a configuration that works, and so is what it has in comments.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, comment := range []string{"# nodes =", "# trusted =", "# [rules]", "# lease ="} {
		if !strings.Contains(text, "\n"+comment) {
			t.Errorf("%q is not there", comment)
		}
		text = strings.Replace(text, "\n"+comment, "\n"+comment[2:], 1)
	}
	for _, variant := range []string{string(data), text} {
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte(variant), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err == nil {
			err = c.Check()
		}
		if err != nil || len(c.Targets) != 1 {
			t.Errorf("%v\n%s", err, variant)
		}
	}
}
