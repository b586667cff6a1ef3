package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// write makes a configuration file in a folder of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, `
[[target]]
name = "nightly"
[address]
agree = 2
require = "a"
[[address.source]]
url = "https://a.example/"
operator = "a"
ca-file = "own.pem"
[[address.source]]
url = "https://b.example/"
operator = "b"
ca-file = "/etc/ssl/b.pem"
`)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Path != path || len(c.Targets) != 1 {
		t.Errorf("got %+v", c)
	}
	// A relative file is meant from the configuration's folder: the service's working folder is another one.
	if got, want := c.Address.Sources[0].CAFile, filepath.Join(filepath.Dir(path), "own.pem"); got != want {
		t.Errorf("ca-file %q, want %q", got, want)
	}
	if got := c.Address.Sources[1].CAFile; filepath.IsAbs("/etc") && got != "/etc/ssl/b.pem" {
		t.Errorf("ca-file %q", got)
	}
}

func TestLoadWhere(t *testing.T) {
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": "", "AppData": home, config.EnvConfig: "",
	} {
		t.Setenv(name, value)
	}
	c, err := config.Load("")
	if err != nil || c.Path != "" || len(c.Targets) != 0 {
		t.Fatalf("without a file: %+v, %v", c, err)
	}
	path, err := config.DefaultPath()
	if err != nil || !strings.HasPrefix(path, home) {
		t.Fatalf("DefaultPath = %q, %v", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("[rules]\nlease = '1h'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = config.Load(""); err != nil || c.Path != path || c.Rules.Lease.Hours() != 1 {
		t.Fatalf("at the default place: %+v, %v", c, err)
	}

	// A file that was named must be there, however it was named.
	named := filepath.Join(home, "other.toml")
	t.Setenv(config.EnvConfig, named)
	for _, arg := range []string{"", named} {
		_, err := config.Load(arg)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), named+": there is no such file") {
			t.Errorf("Load(%q): %v", arg, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct{ name, problem, hint string }{
		{"folder", "is not a regular file", ""},
		{"large", "is larger than 256 KiB", ""},
		{"wrong", `config.toml:1:1: lease: unknown key`, "belongs into [rules]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "lease = '1h'")
			switch test.name {
			case "folder":
				path = filepath.Dir(path)
			case "large":
				if err := os.WriteFile(path, []byte(strings.Repeat("#", 256<<10+1)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			refused(t, path, test.problem, test.hint)
		})
	}
}

// refused loads a file and expects one problem.
func refused(t *testing.T, path, problem, hint string) {
	t.Helper()
	_, err := config.Load(path)
	if err == nil {
		t.Fatal("accepted")
	}
	found := problems(t, err)
	if len(found) != 1 || !strings.Contains(err.Error(), problem) || !strings.Contains(found[0].Hint, hint) {
		t.Errorf("got %v (hint %q), want …%s… (hint …%s…)", err, found[0].Hint, problem, hint)
	}
}
