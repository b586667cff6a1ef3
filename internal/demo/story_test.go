package demo_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/demo"
)

// tell tells the story with the miniature, and returns what was told.
func tell(t *testing.T, fault string, edit func(*demo.Options)) (string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	// A program with the race detector would wait for a second at its end.
	env := []string{miniatureVariable + "=" + fault, "GORACE=atexit_sleep_ms=0"}
	o := demo.Options{Program: program, Env: env, Out: &told, Dir: t.TempDir()}
	if edit != nil {
		edit(&o)
	}
	err = demo.Story(t.Context(), o)
	return told.String(), err
}

func needRealAddresses(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the miniature binds to 127.0.0.x, which only Linux always has")
	}
}

func TestStoryMiniature(t *testing.T) {
	needRealAddresses(t)
	t.Parallel()
	told, err := tell(t, "", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	for _, want := range []string{"nightly-etl", "$ emr-accessd run\n", "hello from 127.0.0.2 ", "All 7 steps were observed"} {
		if !strings.Contains(told, want) {
			t.Errorf("the story does not say %q:\n%s", want, told)
		}
	}
	if strings.Contains(told, "\x1b") {
		t.Error("colours without being asked for")
	}
}

// Each fault of a program, or of the gate, ends the story at the step where it shows.
func TestStoryNotices(t *testing.T) {
	needRealAddresses(t)
	open := func(o *demo.Options) { o.AlwaysOpen = true }
	brief := func(o *demo.Options) { o.Patience = time.Second } // the fault is that nothing comes, however long one waits
	tests := []struct {
		fault string
		edit  func(*demo.Options)
		want  string // in the error
	}{
		{"gate", open, "step 2 (The laptop is at 127.0.0.2, and the cluster is closed to it): the gate let 127.0.0.2 in"},
		{"idle", brief, "step 3 (emr-accessd runs, and its rule appears): a rule for 127.0.0.2: not seen within 1s"},
		{"wide", brief, "a rule for 127.0.0.2: not seen within 1s"},
		{"wrong port", brief, "a rule for 127.0.0.2: not seen within 1s"},
		{"spare", nil, "step 3 (emr-accessd runs, and its rule appears): 2 rules stand beside those that were found, not 1"},
		{"liar", nil, "the node saw 0 logins"},
		{"chatty", nil, "standard output is \"connected"},
		{"hangs", func(o *demo.Options) { o.Patience = 4 * time.Second }, "did not end within 4s"},
		{"forgets", nil, "the host key was not kept"},
		{"trusts", nil, "which is no key of"},
		{"blind", nil, "it logged in on a node with another host key"},
		{"mild", nil, "it ended with code 1, not 255"},
		{"dies", nil, "the program ended with code 1 before; it wrote to standard error:\n    miniature: out of breath"},
		{"readd", nil, "has a rule of its own"},
		{"leftover", nil, "has a rule of its own"},
		{"nojoin", nil, "bob holds a lease: false, should be true"},
		{"steal", nil, "to 127.0.0.4, although alice holds it too"},
		{"lockout", nil, "is gone, although alice holds it"},
		{"keeps", nil, "step 6 (A colleague behind the same address): 2 rules stand beside those that were found, not 1"},
		{"greedy", nil, "is gone, and it was nobody's to remove"},
		{"meddles", nil, "and it was nobody's to change"},
		{"sloppy", nil, "the daemon ended with code 1 on SIGTERM; it wrote to standard error:\n    miniature: ended in disorder"},
		{"stubborn", nil, "the daemon ended with code -1 on SIGTERM"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			told, err := tell(t, tt.fault, tt.edit)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q\n%s", err, tt.want, told)
			}
			if strings.Contains(told, "were observed") {
				t.Error("it says that all was observed")
			}
		})
	}
}

func TestStoryCannotStart(t *testing.T) {
	for _, program := range []string{"", filepath.Join(t.TempDir(), "nothing"), t.TempDir()} {
		if err := demo.Story(t.Context(), demo.Options{Program: program, Out: io.Discard}); err == nil {
			t.Errorf("program %q: no error", program)
		}
	}
}

// The end of the context ends the story, its children and its world.
func TestStoryInterrupted(t *testing.T) {
	needRealAddresses(t)
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "emr-accessd run") {
			cancel()
		}
		return len(p), nil
	})
	dir := t.TempDir()
	err = demo.Story(ctx, demo.Options{Program: program, Env: []string{miniatureVariable + "=idle"}, Out: out, Dir: dir})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "within") {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// The real program passes the story, and it is noticed when the gate is open.
func TestStory(t *testing.T) {
	needRealAddresses(t)
	if testing.Short() {
		t.Skip("builds the program")
	}
	program := filepath.Join(t.TempDir(), "emr-accessd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/emr-accessd/emr-accessd/cmd/emr-accessd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	t.Run("whole", func(t *testing.T) {
		var told strings.Builder
		if err := demo.Story(t.Context(), demo.Options{Program: program, Out: &told, Color: true}); err != nil {
			t.Fatalf("%v\n%s", err, told.String())
		}
		if !strings.Contains(told.String(), "\x1b[1m1  An EMR cluster") {
			t.Error("no colours")
		}
	})
	t.Run("open gate", func(t *testing.T) {
		err := demo.Story(t.Context(), demo.Options{Program: program, Out: io.Discard, AlwaysOpen: true})
		if err == nil || !strings.Contains(err.Error(), "the gate let 127.0.0.2 in") {
			t.Errorf("error %v", err)
		}
	})
}
