package demo_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/demo"
)

// served is a world that Serve keeps up.
type served struct {
	mu       sync.Mutex
	out, err bytes.Buffer
	ready    chan struct{} // closed when the guide is out
	done     chan error
}

func serve(t *testing.T, ctx context.Context) *served {
	t.Helper()
	s := &served{ready: make(chan struct{}), done: make(chan error, 1)}
	var once sync.Once
	write := func(b *bytes.Buffer) writerFunc {
		return func(p []byte) (int, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if strings.Contains(string(p), "What the gate sees") {
				once.Do(func() { close(s.ready) })
			}
			return b.Write(p)
		}
	}
	program := filepath.Join(t.TempDir(), "it's built", "emr-accessd") // as by `go run`: in no PATH
	if err := errors.Join(os.Mkdir(filepath.Dir(program), 0o700), os.WriteFile(program, []byte("#!/bin/sh\necho it is found\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	o := demo.Options{Program: program, Out: write(&s.out), Err: write(&s.err), Dir: t.TempDir()}
	go func() { s.done <- demo.Serve(ctx, o) }()
	select {
	case <-s.ready:
	case err := <-s.done:
		t.Fatalf("it ended with %v", err)
	}
	return s
}

func (s *served) text() (out, err string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String(), s.err.String()
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := serve(t, ctx)
	out, told := s.text()
	set := map[string]string{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if assignment, ok := strings.CutPrefix(line, "export "); ok {
			name, value, _ := strings.Cut(assignment, "=")
			set[name] = strings.Trim(value, "'")
		} else if runtime.GOOS != "windows" && !strings.HasPrefix(line, "unset ") {
			t.Errorf("standard output has %q", line)
		}
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
			"EMR_ACCESSD_CONFIG", "EMR_ACCESSD_STATE", "EMR_ACCESSD_DEMO_SOURCE"} {
			if set[name] == "" {
				t.Errorf("%s is not set", name)
			}
		}
		if !strings.Contains(told, set["EMR_ACCESSD_DEMO_SOURCE"]) || !strings.Contains(told, set["AWS_ENDPOINT_URL"]) {
			t.Errorf("the guide does not fit the variables:\n%s", told)
		}
	}
	cancel()
	if err := <-s.done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// The lines do what they say in a shell, whatever was set there before, and the AWS CLI commands of the guide work.
func TestServeInAShell(t *testing.T) {
	needShell(t)
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := serve(t, ctx)
	out, told := s.text()
	dir := t.TempDir()
	file := filepath.Join(dir, "env.sh")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", ". "+file+"; "+script)
		cmd.Env = append(os.Environ(), "AWS_PROFILE=work", "AWS_SESSION_TOKEN=x")
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, text)
		}
		return string(text)
	}
	if got := sh(`echo "[$AWS_PROFILE$AWS_SESSION_TOKEN] $AWS_ACCESS_KEY_ID $(cat "$EMR_ACCESSD_DEMO_SOURCE")"`); got != "[] AKIADEMOALICE 127.0.0.2\n" {
		t.Errorf("the shell says %q", got)
	}
	if got := sh("emr-accessd"); got != "it is found\n" {
		t.Errorf("the program of the guide says %q", got)
	}
	if testing.Short() {
		return
	}
	if _, err := exec.LookPath("aws"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the aws CLI is missing")
		}
		t.Skip("the aws CLI is missing")
	}
	for line := range strings.Lines(told) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "aws ") {
			if got := sh(line); !strings.Contains(got, "nightly-etl") && !strings.Contains(got, "carol home") {
				t.Errorf("%s: %s", line, got)
			}
		}
	}
}

func TestCommandLine(t *testing.T) {
	got := demo.CommandLine([]string{"connect", "-i", "key", "j-1", "--", "echo it's $X", ""})
	if want := `emr-accessd connect -i key j-1 -- 'echo it'\''s $X' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
