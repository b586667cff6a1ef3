package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// sums is the list of what was made, in the form that "sha256sum --check" and "shasum -a 256 --check" read.
const sums = "SHA256SUMS"

// make builds in a folder of its own and moves what is finished to r.out, so that a failure leaves nothing half there.
func (r *release) make(ctx context.Context) error {
	work, err := os.MkdirTemp("", "emr-accessd-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // in the system's folder for such things, which is emptied anyway
	made := filepath.Join(work, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(r.log, "emr-accessd %s, commit %s, %s\n", r.version, r.commit, r.date.Format("2006-01-02 15:04:05Z"))
	// Licences come first: a build that may not be passed on need not be waited for.
	works := map[target][]borrowed{}
	for _, t := range r.targets {
		if works[t], err = thirdParty(ctx, r.source, t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	shared, err := r.documents(ctx, work)
	if err != nil {
		return err
	}
	for _, t := range r.targets {
		if err := r.makeTarget(ctx, t, works[t], shared, filepath.Join(work, t.String()), made); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	if r.formats["descriptions"] {
		if err := r.describe(shared, made); err != nil {
			return err
		}
	}
	if err := writeSums(made); err != nil {
		return err
	}
	if err := replace(made, r.out); err != nil {
		return err
	}
	return r.list()
}

// makeTarget makes everything for one system and processor.
func (r *release) makeTarget(ctx context.Context, t target, works []borrowed, shared, stage, made string) error {
	fmt.Fprintf(r.log, "%s: build\n", t)
	if err := os.CopyFS(stage, os.DirFS(shared)); err != nil {
		return err
	}
	if err := r.build(ctx, t, filepath.Join(stage, t.program())); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stage, "THIRD_PARTY_LICENSES"), notices(r.version.String(), works), 0o644); err != nil {
		return err
	}
	if r.formats["sbom"] {
		if err := r.writeSBOM(t, works, filepath.Join(stage, t.program()), made); err != nil {
			return err
		}
	}
	if r.formats["archives"] {
		if err := r.archive(t, stage, made); err != nil {
			return err
		}
	}
	if t.os == "linux" {
		return r.linuxPackages(ctx, t, stage, made)
	}
	return nil
}

// documents puts together what is the same for every system: texts, manual pages and completions. It asks a program
// built for this machine for the last two, so that they are what the program itself says.
func (r *release) documents(ctx context.Context, work string) (string, error) {
	shared := filepath.Join(work, "shared")
	if err := os.CopyFS(filepath.Join(shared, "docs"), os.DirFS(filepath.Join(r.source, "docs"))); err != nil {
		return "", err
	}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "packaging/config.example.toml", "packaging/systemd/emr-accessd.service"} {
		data, err := os.ReadFile(filepath.Join(r.source, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(shared, filepath.Base(name)), data, 0o644); err != nil {
			return "", err
		}
	}
	host := target{runtime.GOOS, runtime.GOARCH}
	program := filepath.Join(work, host.program())
	fmt.Fprintln(r.log, "manual pages and completions")
	if err := r.build(ctx, host, program); err != nil {
		return "", err
	}
	if _, err := command(ctx, r.source, nil, program, "man", "--to", filepath.Join(shared, "man")); err != nil {
		return "", err
	}
	for shell, name := range map[string]string{"bash": "emr-accessd.bash", "zsh": "_emr-accessd", "fish": "emr-accessd.fish", "powershell": "emr-accessd.ps1"} {
		text, err := command(ctx, r.source, nil, program, "completion", shell)
		if err != nil {
			return "", err
		}
		file := filepath.Join(shared, "completions", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return "", err
		}
	}
	return shared, nil
}

// build compiles the program. No path of this machine and nothing of its environment gets into it.
func (r *release) build(ctx context.Context, t target, file string) error {
	flags := fmt.Sprintf("-s -w -buildid= -X main.release=%s -X main.releaseCommit=%s -X main.releaseDate=%s", r.version, r.commit, r.date.Format("2006-01-02T15:04:05Z"))
	_, err := command(ctx, r.source, t.env(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file, "./cmd/emr-accessd")
	return err
}

// env is what decides of a build, whatever the caller's environment says.
func (t target) env() []string {
	return []string{"GOOS=" + t.os, "GOARCH=" + t.arch, "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOWORK=off"}
}

// writeSums lists the files in a folder.
func writeSums(dir string) error {
	files, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, file := range files {
		if !file.Type().IsRegular() {
			continue
		}
		sum, err := fileSum(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%s  %s\n", sum, file.Name())
	}
	return os.WriteFile(filepath.Join(dir, sums), []byte(lines.String()), 0o644)
}

// fileSum is a file's SHA-256 in hexadecimal.
func fileSum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// replace puts the files of one folder into another. What an earlier call put there, by its list, is removed, so that
// nobody publishes an old package among new ones; anything else stays.
func replace(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	old, err := os.ReadFile(filepath.Join(to, sums))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(old)) {
		_, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || name != filepath.Base(name) {
			continue
		}
		if err := os.Remove(filepath.Join(to, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	// The list comes last: a folder whose list is there is whole.
	slices.SortStableFunc(files, func(a, b os.DirEntry) int { return boolean(a.Name() == sums) - boolean(b.Name() == sums) })
	for _, file := range files {
		if err := move(filepath.Join(from, file.Name()), filepath.Join(to, file.Name())); err != nil {
			return err
		}
	}
	return nil
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// move also goes from one file system to another, where a rename cannot.
func move(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// list says what is there now.
func (r *release) list() error {
	text, err := os.ReadFile(filepath.Join(r.out, sums))
	if err != nil {
		return err
	}
	fmt.Fprintf(r.log, "\nin %s:\n", r.out)
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(line[66:])
		info, err := os.Stat(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(r.log, "%9.1f MB  %s\n", float64(info.Size())/1e6, name)
	}
	fmt.Fprintf(r.log, "%9s     %s\n", "", sums)
	return nil
}
