package config

import (
	"path/filepath"
	"testing"
)

func TestBaseDir(t *testing.T) {
	tests := []struct {
		goos string
		env  map[string]string
		want string // "" is an error
	}{
		{"linux", map[string]string{"HOME": "/home/a"}, "/home/a/.local/state"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "/state"}, "/state"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "relative"}, "/home/a/.local/state"},
		{"linux", map[string]string{"XDG_STATE_HOME": "/state"}, "/state"},
		{"linux", nil, ""},
		{"freebsd", map[string]string{"HOME": "/home/a"}, "/home/a/.local/state"},
		{"darwin", map[string]string{"HOME": "/Users/a", "XDG_STATE_HOME": "/state"}, "/Users/a/Library/Application Support"},
		{"darwin", nil, ""},
		{"windows", map[string]string{"LocalAppData": `C:\Users\a\AppData\Local`, "HOME": "/home/a"}, `C:\Users\a\AppData\Local`},
		{"windows", map[string]string{"HOME": "/home/a"}, ""},
	}
	for _, test := range tests {
		getenv := func(name string) string { return test.env[name] }
		got, err := baseDir(test.goos, getenv, "XDG_STATE_HOME", ".local/state", "LocalAppData")
		if got != filepath.FromSlash(test.want) && got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s %v: %q, %v; want %q", test.goos, test.env, got, err, test.want)
		}
	}
}

func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvState, dir)
	if got, err := StateDir(); err != nil || got != dir {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv(EnvState, "relative")
	if got, err := StateDir(); err != nil || !filepath.IsAbs(got) {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv(EnvState, "")
	for _, name := range []string{"HOME", "XDG_STATE_HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	if got, err := StateDir(); err == nil {
		t.Errorf("without a home: %q", got)
	}
}
