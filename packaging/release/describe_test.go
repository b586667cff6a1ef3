package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a package manager is told are the archives that were made: their names, and their checksums.
func TestDescriptions(t *testing.T) {
	r := exampleRelease(t)
	shared, made := t.TempDir(), t.TempDir()
	write := func(file, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(shared, "man", "emr-accessd-sync.1"), "")
	for _, target := range allTargets() {
		write(filepath.Join(made, r.archiveFile(target)), target.String())
	}
	if err := r.describe(shared, made); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range []string{"{{", "}}", "<no value>"} {
			if strings.Contains(string(text), rest) {
				t.Errorf("%s has %s", name, rest)
			}
		}
		return string(text)
	}
	hash := func(t target) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(t.String()))) }

	cask := read("emr-accessd.rb")
	for _, line := range []string{
		`version "1.2.3-rc.1"`, `arm:          "` + hash(target{"darwin", "arm64"}), `intel:        "` + hash(target{"darwin", "amd64"}),
		`arm64_linux:  "` + hash(target{"linux", "arm64"}), `x86_64_linux: "` + hash(target{"linux", "amd64"}),
		`url "https://example.org/v1/emr-accessd_#{version}_#{os}_#{arch}.tar.gz"`, `manpage "#{folder}/man/emr-accessd-sync.1"`,
	} {
		if !strings.Contains(cask, line) {
			t.Errorf("the cask lacks %s:\n%s", line, cask)
		}
	}

	var scoop struct {
		Version      string
		Architecture map[string]struct {
			URL, Hash string
			Dir       string `json:"extract_dir"`
		}
	}
	if err := json.Unmarshal([]byte(read("emr-accessd.json")), &scoop); err != nil {
		t.Fatal(err)
	}
	for name, arch := range map[string]string{"64bit": "amd64", "arm64": "arm64"} {
		folder := "emr-accessd_1.2.3-rc.1_windows_" + arch
		got := scoop.Architecture[name]
		if got.URL != "https://example.org/v1/"+folder+".zip" || got.Hash != hash(target{"windows", arch}) || got.Dir != folder || scoop.Version != "1.2.3-rc.1" {
			t.Errorf("%s: %+v", name, got)
		}
	}

	installer := read("JoDoe.emr-accessd.installer.yaml")
	for _, line := range []string{"PackageIdentifier: JoDoe.emr-accessd\n", "InstallerSha256: " + strings.ToUpper(hash(target{"windows", "arm64"})) + "\n",
		`RelativeFilePath: 'emr-accessd_1.2.3-rc.1_windows_amd64\emr-accessd.exe'` + "\n"} {
		if !strings.Contains(installer, line) {
			t.Errorf("winget's installer file lacks %s:\n%s", line, installer)
		}
	}
	if locale := read("JoDoe.emr-accessd.locale.en-US.yaml"); !strings.Contains(locale, `Publisher: "Jo \"Doe"`+"\n") {
		t.Error(locale)
	}
	read("JoDoe.emr-accessd.yaml")

	if err := os.Remove(filepath.Join(made, r.archiveFile(target{"darwin", "arm64"}))); err != nil {
		t.Fatal(err)
	}
	if r.describe(shared, made) == nil {
		t.Error("an archive is missing, and it is described all the same")
	}
}
