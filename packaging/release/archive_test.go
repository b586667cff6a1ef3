package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// staged writes the files of a stage, with modes and times of this machine that must not matter.
func staged(t *testing.T, mode os.FileMode, now time.Time) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"emr-accessd", "emr-accessd.exe", "README.md", "man/emr-accessd.1", "completions/_emr-accessd", "emr-accessd.service"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now, now); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The same files make the same bytes, whatever the machine says about them; and a reader finds them as they were.
func TestArchives(t *testing.T) {
	date := time.Date(2026, 11, 28, 13, 20, 28, 0, time.UTC)
	r := &release{version: version{core: "1.2.3"}, date: date}
	for _, target := range []target{{"linux", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		var results [2][]byte
		for i, dir := range []string{staged(t, 0o600, date.Add(time.Hour)), staged(t, 0o644, date.Add(-time.Hour))} {
			made := t.TempDir()
			if err := r.archive(target, dir, made); err != nil {
				t.Fatal(err)
			}
			var err error
			if results[i], err = os.ReadFile(filepath.Join(made, r.archiveFile(target))); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(results[0], results[1]) {
			t.Errorf("%s: two archives differ", target)
		}
		members := readTar
		if target.os == "windows" {
			members = readZip
		}
		want := map[string]string{
			"linux":   "README.md -rw-r--r--, completions/_emr-accessd -rw-r--r--, emr-accessd -rwxr-xr-x, emr-accessd.exe -rw-r--r--, emr-accessd.service -rw-r--r--, man/emr-accessd.1 -rw-r--r--",
			"darwin":  "README.md -rw-r--r--, completions/_emr-accessd -rw-r--r--, emr-accessd -rwxr-xr-x, emr-accessd.exe -rw-r--r--, man/emr-accessd.1 -rw-r--r--",
			"windows": "README.md -rw-r--r--, completions/_emr-accessd -rw-r--r--, emr-accessd -rw-r--r--, emr-accessd.exe -rwxr-xr-x",
		}[target.os]
		if got := strings.Join(members(t, results[0], r.archiveName(target)+"/", date), ", "); got != want {
			t.Errorf("%s: %s\nwant %s", target, got, want)
		}
	}
}

func readTar(t *testing.T, data []byte, folder string, date time.Time) []string {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if gz.Name != "" || !gz.ModTime.IsZero() {
		t.Errorf("the gzip header has %q and %v", gz.Name, gz.ModTime)
	}
	var found []string
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		name := strings.TrimPrefix(h.Name, folder)
		if err != nil || string(content) != name || h.Name == name || !h.ModTime.Equal(date) || h.Uid != 0 || h.Gid != 0 || h.Uname != "root" {
			t.Errorf("%+v: %q, %v", h, content, err)
		}
		found = append(found, fmt.Sprintf("%s %v", name, h.FileInfo().Mode()))
	}
}

func readZip(t *testing.T, data []byte, folder string, date time.Time) []string {
	t.Helper()
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range zr.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(rc)
		rc.Close()
		name := strings.TrimPrefix(f.Name, folder)
		if err != nil || string(content) != name || f.Name == name || !f.Modified.Equal(date) {
			t.Errorf("%+v: %q, %v", f.FileHeader, content, err)
		}
		found = append(found, fmt.Sprintf("%s %v", name, f.Mode()))
	}
	return found
}

// Old packages go and other files stay; the list never speaks of a file that is not there.
func TestReplace(t *testing.T) {
	write := func(dir string, files ...string) {
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	base := t.TempDir()
	out := filepath.Join(base, "out", "deep")
	write(base, "outside")
	first, second := t.TempDir(), t.TempDir()
	write(first, "emr-accessd_1.deb", "emr-accessd.rb")
	write(second, "emr-accessd_2.deb")
	for _, from := range []string{first, second} {
		if err := writeSums(from); err != nil {
			t.Fatal(err)
		}
	}
	if err := replace(first, out); err != nil {
		t.Fatal(err)
	}
	write(out, "notes")
	list, err := os.OpenFile(filepath.Join(out, sums), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(list, "\nrubbish\n%s  ../../outside\n%s  gone\n", strings.Repeat("0", 64), strings.Repeat("0", 64))
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	if err := replace(second, out); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if got := strings.Join(files, " "); got != "SHA256SUMS emr-accessd_2.deb notes" {
		t.Error(got)
	}
	if _, err := os.Stat(filepath.Join(base, "outside")); err != nil {
		t.Error("a list named a file elsewhere, and it was removed: ", err)
	}
}
