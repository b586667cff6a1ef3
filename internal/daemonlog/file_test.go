package daemonlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	l, err := openFile(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	l.Own()
	const lines = 200
	for i := range lines {
		if _, err := fmt.Fprintf(l, "line %03d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{path, Older(path)} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1000 || info.Size() == 0 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	got, _, err := Tail(path, 5)
	if err != nil || strings.Join(got, ",") != "line 195,line 196,line 197,line 198,line 199" {
		t.Errorf("%q, %v", got, err)
	}
	if got, _, _ := Tail(path, 150); len(got) < 111 || got[len(got)-1] != "line 199" {
		t.Errorf("%d lines of both files", len(got))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// another process goes on where this one ended
	again, err := openFile(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.size == 0 {
		t.Error("it begins anew")
	}
}

func TestLineLongerThanTheFile(t *testing.T) {
	l, err := openFile(filepath.Join(t.TempDir(), "x.log"), 10)
	if err != nil {
		t.Fatal(err)
	}
	l.Own()
	defer l.Close()
	for range 3 {
		if _, err := l.Write([]byte(strings.Repeat("x", 100) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileOfOthersIsClosedToThem(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := OpenFile(t.TempDir()); err == nil {
		t.Error("a folder is opened")
	}
}

// Of two processes that write, one alone puts the file aside; what the other writes is not lost by that.
func TestOneProcessPutsAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	open := func() *File {
		l, err := openFile(path, 1000)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	daemon, other := open(), open()
	daemon.Own()
	for range 200 {
		fmt.Fprintln(other, "another one")
	}
	if Exists(Older(path)) {
		t.Fatal("it put the file aside")
	}
	for range 70 {
		fmt.Fprintln(daemon, "the daemon says")
	}
	older, err := os.ReadFile(Older(path))
	if err != nil || strings.Count(string(older), "another one\n") != 200 || strings.Count(string(older), "the daemon says\n") == 0 {
		t.Errorf("%v: put aside were %d bytes", err, len(older))
	}
	PutAside(path)
	if again, err := os.ReadFile(Older(path)); err != nil || string(again) != string(older) {
		t.Errorf("a short file was put aside: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, MaxSize), 0o600); err != nil {
		t.Fatal(err)
	}
	PutAside(path)
	PutAside(path) // none
	if info, err := os.Stat(Older(path)); Exists(path) || err != nil || info.Size() != MaxSize {
		t.Errorf("a long file is still there: %v", err)
	}
}

// A reader sees every line once and in order, however the writer puts files aside between its looks.
func TestFollowThroughRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	l, err := openFile(path, 300)
	if err != nil {
		t.Fatal(err)
	}
	l.Own()
	defer l.Close()
	next := 0
	write := func(n int) {
		for range n {
			fmt.Fprintf(l, "line %d\n", next)
			next++
		}
	}
	write(3)
	first, r, err := Tail(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	got := first
	for range 30 {
		write(25) // less than a file between two looks
		lines, err := r.more()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, lines...)
	}
	for i, line := range got {
		if line != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(got) != next {
		t.Errorf("%d of %d lines", len(got), next)
	}
	// half a line waits for its other half
	_, _ = l.Write([]byte("ha"))
	if lines, _ := r.more(); len(lines) != 0 {
		t.Errorf("%q", lines)
	}
	_, _ = l.Write([]byte("lf\n"))
	if lines, _ := r.more(); len(lines) != 1 || lines[0] != "half" {
		t.Errorf("%q", lines)
	}
	stop := errors.New("enough")
	_, _ = l.Write([]byte("more\n"))
	if err := r.Follow(context.Background(), func(string) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestPriorities(t *testing.T) {
	var b strings.Builder
	log := slog.New(NewHandler(&b, slog.LevelDebug, true)).With("a", 1).WithGroup("g")
	log.Error("e", "x", "new\nline")
	log.Warn("w")
	log.Info("i")
	log.Debug("d")
	log.Log(t.Context(), slog.LevelDebug-4, "too low")
	const want = "<3>msg=e a=1 g.x=\"new\\nline\"\n<4>msg=w a=1\n<6>msg=i a=1\n<7>msg=d a=1\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	slog.New(NewHandler(&b, slog.LevelInfo, false)).Info("plain")
	if !strings.HasPrefix(b.String(), "time=") || !strings.Contains(b.String(), "level=INFO msg=plain") {
		t.Errorf("%q", b.String())
	}
}

func TestJournalIsRecognised(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Setenv("JOURNAL_STREAM", "1:2") // inherited by a terminal of the desktop
	if ToJournal(f) {
		t.Error("a file is taken for the journal")
	}
}
