package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/packaging"
)

// analyze is systemd's own reader of units.
func analyze(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("CI must have systemd-analyze")
	default:
		t.Skip("systemd-analyze is not installed")
	}
	return path
}

var units = map[string]struct {
	render   func(packaging.UnitParams) (string, error)
	params   func() packaging.UnitParams
	scope    string
	exposure string // at most, in tenths
}{
	"user":        {packaging.SystemdUserUnit, installed, "--user", "65"},
	"user, nasty": {packaging.SystemdUserUnit, nasty, "--user", "65"},
	"system":      {packaging.SystemdSystemUnit, system, "--system", "15"},
}

// systemd itself reads the units. It answers 0 even for a key that it does not know, so it must not say anything.
func TestSystemdAccepts(t *testing.T) {
	tool := analyze(t)
	// verify wants the program to be there.
	program := filepath.Join(t.TempDir(), "50% $HOME;é #", "emr-accessd")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, unit := range units {
		params := unit.params()
		params.Executable, params.EnvFile = program, "/home/é é/50% $HOME;/service.env"
		text, err := unit.render(params)
		if err != nil {
			t.Fatal(err)
		}
		if complaint := verify(t, tool, unit.scope, text); complaint != "" {
			t.Errorf("%s: systemd-analyze says\n%s", name, complaint)
		}
		// The same call does find mistakes.
		if verify(t, tool, unit.scope, strings.Replace(text, "RestartSec=", "RestartSecs=", 1)) == "" {
			t.Errorf("%s: systemd-analyze says nothing about an unknown key", name)
		}
	}
}

func verify(t *testing.T, tool, scope, unit string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "emr-accessd.service")
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, "--man=no", scope, "verify", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && stderr.Len() == 0 {
		return err.Error()
	}
	return stderr.String()
}

// How much of the system the service could reach, as systemd counts it, from 0 (nothing) to 10.
func TestExposure(t *testing.T) {
	tool := analyze(t)
	for name, unit := range units {
		text, err := unit.render(unit.params())
		if err != nil {
			t.Fatal(err)
		}
		check := func(text string) (string, error) {
			file := filepath.Join(t.TempDir(), "emr-accessd.service")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), tool, "security", "--offline=yes", "--no-pager", "--threshold="+unit.exposure, file).CombinedOutput()
			return string(out), err
		}
		if out, err := check(text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if _, err := check(strings.Replace(text, "NoNewPrivileges=yes", "", 1)); err == nil && name == "system" {
			t.Errorf("%s: the limit finds nothing", name)
		}
	}
}
