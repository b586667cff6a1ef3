package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A folder goes there and comes back: content of all sizes around a request's, modes, times, empty folders, hidden files.
func TestThereAndBack(t *testing.T) {
	here, home, back := t.TempDir(), t.TempDir(), t.TempDir()
	files := map[string]string{"empty/": "", ".hidden": "h", "a/b/c/deep": "d", "ünïcode näme": "u", strings.Repeat("n", 250): "long"}
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 5, inFlight*chunk + 1} {
		files[fmt.Sprintf("sizes/%d", size)] = noise(size)
	}
	tree(t, filepath.Join(here, "src"), files)
	script := filepath.Join(here, "src", "a/b/c/deep")
	when := time.Date(2024, 2, 29, 12, 0, 1, 0, time.UTC)
	for path, mode := range map[string]os.FileMode{script: 0o750, filepath.Join(here, "src", ".hidden"): 0o400, filepath.Join(here, "src", "a"): 0o500} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // else its folders cannot be removed
		for _, dir := range []string{here, home, back} {
			for _, name := range []string{"src", "dst"} {
				_ = os.Chmod(filepath.Join(dir, name, "a"), 0o700)
			}
		}
	})
	c, _ := startServer(t, home)
	m := &Meter{}
	r, err := c.Put(t.Context(), []string{filepath.Join(here, "src")}, "dst", Options{Meter: m})
	whole(t, r, err)
	counts := m.Read()
	if counts.Files != int64(len(files)-1) || counts.DoneFiles != counts.Files || counts.DoneBytes != counts.Bytes || !counts.Listed {
		t.Errorf("the meter ends at %+v", counts)
	}
	r, err = c.Get(t.Context(), []string{"~/dst"}, back, Options{})
	whole(t, r, err)
	if want, got := listing(t, filepath.Join(here, "src")), listing(t, filepath.Join(back, "dst")); want != got {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	for _, dir := range []string{filepath.Join(home, "dst"), filepath.Join(back, "dst")} {
		for name, text := range files {
			if !strings.HasSuffix(name, "/") && content(t, filepath.Join(dir, name)) != text {
				t.Errorf("%s/%s has other content", dir, name)
			}
		}
		for name, mode := range map[string]os.FileMode{"a/b/c/deep": 0o750, ".hidden": 0o400, "a": 0o500} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if runtime.GOOS != "windows" && info.Mode().Perm() != mode || !info.ModTime().Equal(when) {
				t.Errorf("%s/%s: mode %v, time %v", dir, name, info.Mode(), info.ModTime())
			}
		}
	}
}

// Where things go, and under which names.
func TestDestinations(t *testing.T) {
	for _, tt := range []struct {
		sources, dest string
		want          string // below home, or the error
	}{
		{"f", "", "d/ f old"},
		{"f", "~", "d/ f old"},
		{"f", "old", "d/ old"},
		{"f", "d", "d/ d/f old"},
		{"f", "d/", "d/ d/f old"},
		{"f", "x/y/", "d/ old x/ x/y/ x/y/f"},
		{"f", "x/y", "x is no folder on the node"},
		{"f", "old/", "old is a file, not a folder"},
		{"f g", "d", "d/ d/f d/g old"},
		{"f g", "x", "x does not exist, and several things"},
		{"f sub/f", "d", "under one name"},
		{"sub", "", "d/ old sub/ sub/f"},
		{"sub", "x", "d/ old x/ x/f"},
		{"sub", "d", "d/ d/sub/ d/sub/f old"},
		{"sub/.", "d", "d/ d/f old"},
		{"sub", "old", "old is a file, not a folder"},
		{"f", "~root/x", "only ~ and ~/ are understood"},
	} {
		t.Run(tt.sources+" to "+tt.dest, func(t *testing.T) {
			here, home := t.TempDir(), t.TempDir()
			tree(t, here, map[string]string{"f": "f", "g": "g", "sub/f": "sf"})
			tree(t, home, map[string]string{"d/": "", "old": "o"})
			c, _ := startServer(t, home)
			var sources []string
			for s := range strings.FieldsSeq(tt.sources) {
				sources = append(sources, here+"/"+s)
			}
			r, err := c.Put(t.Context(), sources, tt.dest, Options{})
			got := listing(t, home)
			if err != nil {
				got = err.Error()
			} else if r.Err() != nil {
				got = r.Err().Error()
			}
			if !strings.Contains(got, tt.want) || err == nil && got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	home := t.TempDir()
	tree(t, home, map[string]string{"logs/a.out": "", "logs/b.out": "", "logs/.c.out": "", "logs/c.err": "", "logs/[x].out": "", "d/sub/f": ""})
	c, _ := startServer(t, home)
	for pattern, want := range map[string]string{
		"logs/*.out":   "[x].out a.out b.out",
		"logs/.*":      ".c.out",
		"~/logs/?.err": "c.err",
		"logs/[x].out": "[x].out", // it is there by this name
		"logs/[ab]*":   "a.out b.out",
		"d/*":          "sub/ sub/f",
		"logs/*.txt":   "logs/*.txt fits nothing",
		"*/a.out":      "only its last name",
		"logs/[":       "is not a pattern",
		"logs/none":    "logs/none does not exist",
	} {
		back := t.TempDir()
		r, err := c.Get(t.Context(), []string{pattern}, back, Options{})
		got := listing(t, back)
		if err != nil {
			got = err.Error()
		}
		if r.Err() != nil || !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("%s: got %q, want %q (%v)", pattern, got, want, r.Err())
		}
	}
}

func TestStreams(t *testing.T) {
	home := t.TempDir()
	c, _ := startServer(t, home)
	for _, size := range []int{0, 1, chunk, 200*chunk + 7} {
		text := noise(size)
		r, err := c.PutStream(t.Context(), io.MultiReader(strings.NewReader(text[:size/2]), strings.NewReader(text[size/2:])), "stream", Options{})
		whole(t, r, err)
		if content(t, filepath.Join(home, "stream")) != text {
			t.Errorf("%d bytes: the file has other content", size)
		}
		var out bytes.Buffer
		r, err = c.GetStream(t.Context(), "stream", &out, Options{})
		whole(t, r, err)
		if out.String() != text {
			t.Errorf("%d bytes: the stream has other content", size)
		}
	}
	tree(t, home, map[string]string{"d/": ""})
	if _, err := c.PutStream(t.Context(), strings.NewReader("x"), "d", Options{}); err == nil {
		t.Error("a stream has no name in a folder")
	}
	if _, err := c.GetStream(t.Context(), "d", io.Discard, Options{}); err == nil {
		t.Error("a folder is no stream")
	}
	r, err := c.GetStream(t.Context(), "stream", failing{}, Options{})
	if err != nil || r.Err() == nil {
		t.Errorf("the reader of the stream is gone: %v, %v", err, r.Err())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error)          { return 0, io.ErrClosedPipe }
func (failing) WriteAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

// /proc has files that are longer than they say.
func TestUnsized(t *testing.T) {
	if _, err := os.Stat("/proc/version"); err != nil {
		t.Skip("no /proc here")
	}
	c, _ := startServer(t, t.TempDir())
	back := t.TempDir()
	r, err := c.Get(t.Context(), []string{"/proc/version"}, back, Options{})
	whole(t, r, err)
	if got := content(t, filepath.Join(back, "version")); got != content(t, "/proc/version") {
		t.Errorf("got %q", got)
	}
}

// A log that grows is copied as long as it was; one that was cut is an error.
func TestGrowing(t *testing.T) {
	home, back := t.TempDir(), t.TempDir()
	tree(t, home, map[string]string{"log": noise(10 * chunk)})
	c, _ := startServer(t, home)
	src, info, err := c.open("log")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "log")
	if err := os.WriteFile(path, []byte(noise(20*chunk)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(back, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if n, err := c.fetch(t.Context(), src, info, out, func(int) {}); n != 10*chunk || err != nil {
		t.Errorf("grown: %d bytes, %v", n, err)
	}
	if content(t, out.Name()) != noise(10*chunk) {
		t.Error("grown: other content")
	}
	if err := os.Truncate(path, 5*chunk+1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.fetch(t.Context(), src, info, out, func(int) {}); !errors.Is(err, errShorter) {
		t.Errorf("cut: %v", err)
	}
}

// A thousand requests one after the other would take a minute here.
func TestDistance(t *testing.T) {
	here, home, back := t.TempDir(), t.TempDir(), t.TempDir()
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("d%d/f%d", i%5, i)] = fmt.Sprint(i)
	}
	tree(t, here, files)
	c := startSlow(t, home, 60*time.Millisecond)
	begun := time.Now()
	r, err := c.Put(t.Context(), []string{here}, "copy", Options{})
	whole(t, r, err)
	r, err = c.Get(t.Context(), []string{"copy"}, back, Options{})
	whole(t, r, err)
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if want, got := listing(t, here), listing(t, filepath.Join(back, "copy")); want != got {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}
