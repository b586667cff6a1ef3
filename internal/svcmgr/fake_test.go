package svcmgr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

// tool records the commands that a manager runs, and answers them.
type tool struct {
	calls []string
	// fail has an error for a command that begins so.
	fail map[string]string
	// say has the output of a command that begins so.
	say map[string]string
	// before is called for each command.
	before func(call string)
}

func (f *tool) run(ctx context.Context, name string, args ...string) (string, error) {
	call := strings.Join(append([]string{name}, args...), " ")
	f.calls = append(f.calls, call)
	if f.before != nil {
		f.before(call)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for prefix, text := range f.fail {
		if strings.HasPrefix(call, prefix) {
			return "", errors.New(text)
		}
	}
	for prefix, text := range f.say {
		if strings.HasPrefix(call, prefix) {
			return text, nil
		}
	}
	return "", nil
}

// since returns the calls after the first n, one a line.
func (f *tool) since(n int) string { return strings.Join(f.calls[n:], "\n") }

// kardianos is the part of kardianos/service that is used, as it behaves: it refuses to install over a file.
type kardianos struct {
	tool *tool
	file string
	text string
	fail map[string]error
}

func (k *kardianos) do(verb string) error {
	k.tool.calls = append(k.tool.calls, "kardianos "+verb)
	return k.fail[verb]
}

func (k *kardianos) Install() error {
	if err := k.do("install"); err != nil {
		return err
	}
	if _, err := os.Stat(k.file); err == nil {
		return errors.New("Init already exists: " + k.file)
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(k.file, []byte(k.text), 0o644)
}

func (k *kardianos) Uninstall() error { return errors.Join(k.do("uninstall"), os.Remove(k.file)) }
func (k *kardianos) Start() error     { return k.do("start") }
func (k *kardianos) Stop() error      { return k.do("stop") }
func (k *kardianos) Restart() error   { return k.do("restart") }

func (k *kardianos) service(text string) (svcmgr.Service, error) {
	k.text = text
	return k, nil
}

// tree lists the files below a folder, with their contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		b.WriteString(strings.TrimPrefix(path, dir) + "\n")
		if !d.IsDir() {
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, text string, want ...string) {
	t.Helper()
	at := 0
	for _, w := range want { // in this order
		i := strings.Index(text[at:], w)
		if i < 0 {
			t.Errorf("no %q, or not in this order, in\n%s", w, text)
			return
		}
		at += i + len(w)
	}
}
