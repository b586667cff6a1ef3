package packaging_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/packaging"
)

var update = flag.Bool("update", false, "write the golden files and the packaged unit anew")

// installed is what a package puts on the system.
func installed() packaging.UnitParams {
	return packaging.UnitParams{Executable: "/usr/bin/emr-accessd"}
}

// nasty has everything that a service manager could take for something else.
func nasty() packaging.UnitParams {
	return packaging.UnitParams{
		Executable: "/opt/50% $HOME;é #/emr-accessd",
		Args: []string{
			"run", "", " ", ";", "%h", "%%", "$HOME", "${HOME}", "$$", `C:\x\n`, `"`, "'", "a'b", "--config=/c d.toml", "#", "-", "@x", "<&>]]>", "é", "{{Path}}", "{{{{",
		},
		Env: map[string]string{
			"AWS_PROFILE": "my profile", "HTTPS_PROXY": "http://p:3128/?a=b&c=%20", "PATH": "/usr/bin:/bin", "EMPTY": "", "BRACES": "{{{x", "_q": `"\'$HOME;#`,
		},
		Label: "org.example.emr-accessd",
	}
}

func TestGolden(t *testing.T) {
	tests := []struct {
		file   string
		render func(packaging.UnitParams) (string, error)
		params packaging.UnitParams
	}{
		{"systemd/emr-accessd.service", packaging.SystemdUserUnit, installed()},
		{"testdata/nasty.service", packaging.SystemdUserUnit, nasty()},
		{"testdata/installed.plist", packaging.LaunchAgent, installed()},
		{"testdata/nasty.plist", packaging.LaunchAgent, nasty()},
	}
	for _, test := range tests {
		got, err := test.render(test.params)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(test.file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "{{") {
			t.Errorf("%s: kardianos/service would take {{ for a template", test.file)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-file +rendered; go test -update writes it)\n%s", test.file, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	bad := map[string]packaging.UnitParams{
		"relative":          {Executable: "emr-accessd"},
		"empty":             {},
		"folder":            {Executable: "/usr/bin/"},
		"root":              {Executable: "/"},
		"not plain":         {Executable: "/usr/../bin/emr-accessd"},
		"new line in path":  {Executable: "/usr/bin\n/emr-accessd"},
		"new setting":       {Executable: "/a", Args: []string{"run\nExecStartPre=/bin/evil"}},
		"carriage return":   {Executable: "/a", Args: []string{"\r"}},
		"zero byte":         {Executable: "/a", Args: []string{"a\x00b"}},
		"escape":            {Executable: "/a", Args: []string{"\x1b[2J"}},
		"direction":         {Executable: "/a", Args: []string{"a\u202eb"}},
		"line separator":    {Executable: "/a", Args: []string{"a\u2028b"}},
		"not UTF-8":         {Executable: "/a", Args: []string{"\xff"}},
		"no name":           {Executable: "/a", Env: map[string]string{"": "x"}},
		"name with equals":  {Executable: "/a", Env: map[string]string{"A=B": "x"}},
		"name with digit":   {Executable: "/a", Env: map[string]string{"1A": "x"}},
		"value, new line":   {Executable: "/a", Env: map[string]string{"A": "secret\nEnvironment=B=1"}},
		"label":             {Executable: "/a", Label: "a/../b"},
		"label, line break": {Executable: "/a", Label: "a\n"},
	}
	for name, params := range bad {
		for _, render := range []func(packaging.UnitParams) (string, error){packaging.SystemdUserUnit, packaging.LaunchAgent} {
			text, err := render(params)
			if err == nil || text != "" {
				t.Errorf("%s: rendered\n%s", name, text)
			} else if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\x1b\u202e") {
				t.Errorf("%s: the error shows what it must not: %q", name, err)
			}
		}
	}
}

// systemd takes no quotes or backslashes in the path of a program, however they are written; launchd does.
func TestQuotesInPath(t *testing.T) {
	for _, program := range []string{`/opt/"a"/b`, "/opt/'a'/b", `/opt/a\b`} {
		params := packaging.UnitParams{Executable: program}
		if unit, err := packaging.SystemdUserUnit(params); err == nil {
			t.Errorf("rendered\n%s", unit)
		}
		if _, err := packaging.LaunchAgent(params); err != nil {
			t.Error(err)
		}
	}
}

// systemd itself reads the units. It answers 0 even for a key that it does not know, so it must not say anything.
func TestSystemdAccepts(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	// verify wants the program to be there.
	dir := t.TempDir()
	program := filepath.Join(dir, "50% $HOME;é #", "emr-accessd")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain, hard := installed(), nasty()
	plain.Executable, hard.Executable = program, program
	for name, params := range map[string]packaging.UnitParams{"plain": plain, "hard": hard} {
		unit, err := packaging.SystemdUserUnit(params)
		if err != nil {
			t.Fatal(err)
		}
		if complaint := verify(t, analyze, unit); complaint != "" {
			t.Errorf("%s: systemd-analyze says\n%s", name, complaint)
		}
		// The same call does find mistakes.
		if verify(t, analyze, strings.Replace(unit, "RestartSec=", "RestartSecs=", 1)) == "" {
			t.Errorf("%s: systemd-analyze says nothing about an unknown key", name)
		}
	}
}

func verify(t *testing.T, analyze, unit string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "emr-accessd.service")
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), analyze, "--man=no", "--user", "verify", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && stderr.Len() == 0 {
		return err.Error()
	}
	return stderr.String()
}

// Python's plistlib, which is none of ours, reads back exactly what was put in.
func TestPlistReadsBack(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	for _, params := range []packaging.UnitParams{installed(), nasty()} {
		plist, err := packaging.LaunchAgent(params)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), python, "-c", "import sys, json, plistlib; json.dump(plistlib.loads(sys.stdin.buffer.read()), sys.stdout)")
		cmd.Stdin = strings.NewReader(plist)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("plistlib: %v\n%s", err, stderr.Bytes())
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		args := params.Args
		if args == nil {
			args = packaging.RunArgs()
		}
		var program []any
		for _, arg := range append([]string{params.Executable}, args...) {
			program = append(program, arg)
		}
		label := params.Label
		if label == "" {
			label = packaging.DefaultLabel
		}
		want := map[string]any{
			"Label": label, "ProgramArguments": program, "RunAtLoad": true, "KeepAlive": map[string]any{"SuccessfulExit": false},
			"ThrottleInterval": 10.0, "ProcessType": "Background", "Umask": float64(0o077),
		}
		if len(params.Env) > 0 {
			env := map[string]any{}
			for k, v := range params.Env {
				env[k] = v
			}
			want["EnvironmentVariables"] = env
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
