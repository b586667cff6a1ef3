package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
)

// paced is a stream that goes on only as long as it is let.
type paced struct {
	io.Reader
	sent int // bytes up to which it goes by itself
	then func()
}

func (p *paced) Read(b []byte) (int, error) {
	if p.sent <= 0 && p.then != nil {
		p.then()
		p.then = nil
	}
	n, err := p.Reader.Read(b)
	p.sent -= n
	return n, err
}

// Whenever the user ends it, or the server dies, the old file is there or the new one, both whole, and what is left is told.
func TestInterrupted(t *testing.T) {
	const size = 40*chunk + 3
	for i, at := range []int{0, 1, chunk, 20 * chunk, size - 1} {
		for _, how := range []string{"cancel", "kill"} {
			t.Run(fmt.Sprintf("%s at %d", how, at), func(t *testing.T) {
				home := t.TempDir()
				tree(t, home, map[string]string{"f": "old"})
				c, process := startServer(t, home)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				end := cancel
				if how == "kill" {
					end = func() { _ = process.Kill() }
				}
				in := &paced{Reader: io.MultiReader(strings.NewReader(noise(size)), rand.NewChaCha8([32]byte{byte(i)})), sent: at, then: func() {
					end()
					time.Sleep(10 * time.Millisecond) // the rest is still sent, as far as anybody takes it
				}}
				r, err := c.PutStream(ctx, in, "f", Options{})
				if err == nil {
					err = r.Err()
				}
				if err == nil || how == "kill" && !errors.Is(err, ErrLost) || how == "cancel" && !errors.Is(err, context.Canceled) {
					t.Fatalf("error %v", err)
				}
				if got := content(t, filepath.Join(home, "f")); got != "old" {
					t.Errorf("the file has %d other bytes", len(got))
				}
				left := listing(t, home)
				switch {
				case how == "cancel" && left != "f":
					t.Errorf("there remains %q", left)
				case left != "f" && (len(r.Files) == 0 || !strings.Contains(left, r.Files[0].Part) || r.Files[0].Part == ""):
					t.Errorf("there remains %q, and %+v is told", left, r.Files)
				}
			})
		}
	}
}

// Input that does not come hides neither a server that has died nor a disk that is full.
func TestIdleInput(t *testing.T) {
	c, process := startServer(t, t.TempDir())
	in, _ := io.Pipe()
	defer in.Close()
	m := &Meter{}
	go func() {
		for m.Read().DoneBytes == 0 {
			time.Sleep(time.Millisecond)
		}
		_ = process.Kill()
	}()
	r, err := c.PutStream(t.Context(), io.MultiReader(strings.NewReader(noise(chunk)), in), "f", Options{Meter: m})
	if err != nil || !errors.Is(r.Err(), ErrLost) || r.Files[0].Part == "" {
		t.Errorf("%v, %+v", err, r.Files)
	}
	h := &fullDisk{}
	c = startHandlers(t, sftp.Handlers{FilePut: h, FileCmd: h, FileList: &liar{folders: map[string][]lie{"/": nil}}})
	r, err = c.PutStream(t.Context(), io.MultiReader(strings.NewReader(noise(chunk)), in), "/f", Options{})
	if err != nil || !errors.Is(r.Err(), errFailure) || h.removed != 1 {
		t.Errorf("%v, %+v, removed %d", err, r.Files, h.removed)
	}
}

// fullDisk is a server that takes no byte, and cannot tell how full it is.
type fullDisk struct{ removed int }

func (*fullDisk) Filewrite(*sftp.Request) (io.WriterAt, error) { return failing{}, nil }

func (d *fullDisk) Filecmd(r *sftp.Request) error {
	if r.Method == "Remove" {
		d.removed++
	}
	return nil
}

// The server dies while a folder is fetched: no half file, and the rest is not tried.
func TestGetLost(t *testing.T) {
	home, back := t.TempDir(), t.TempDir()
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("d/%d", i)] = noise(20*chunk + i)
	}
	tree(t, home, files)
	c, process := startServer(t, home)
	m := &Meter{}
	go func() {
		for m.Read().DoneBytes < 100*chunk {
			time.Sleep(time.Millisecond)
		}
		_ = process.Kill()
	}()
	r, err := c.Get(t.Context(), []string{"d"}, back, Options{Meter: m})
	if err != nil {
		t.Fatal(err)
	}
	done, lost := 0, 0
	for _, f := range r.Files {
		switch {
		case f.Err == nil:
			done++
			rel, _ := filepath.Rel(back, f.To)
			if content(t, f.To) != files[filepath.ToSlash(rel)] {
				t.Errorf("%s has other content", f.To)
			}
		case errors.Is(f.Err, ErrLost):
			lost++
			fallthrough
		default:
			if _, err := os.Lstat(f.To); err == nil {
				t.Errorf("%s is there, and its error is %v", f.To, f.Err)
			}
		}
	}
	if strings.Contains(listing(t, back), partTail) {
		t.Errorf("there remains %s", listing(t, back))
	}
	if lost == 0 && done < len(files) {
		t.Errorf("%d were copied, and none tells a lost link", done)
	}
}

// One file that cannot be copied does not hold up the others.
func TestOneFails(t *testing.T) {
	here, home, back := t.TempDir(), t.TempDir(), t.TempDir()
	tree(t, here, map[string]string{"d/a": "a", "d/b/c": "c", "d/e/f": "f", "d/g": "g"})
	tree(t, home, map[string]string{"d/a/x": "a folder where a file should be", "d/b": "a file where a folder should be"})
	tree(t, back, map[string]string{"d/g/x": "", "d/e": ""})
	c, _ := startServer(t, home)
	r, err := c.Put(t.Context(), []string{filepath.Join(here, "d")}, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantErrors(t, r, "d/a: there is a folder of this name", "d/b: make the folder d/b: there is a file of this name", "d/b/c: its folder could not be made")
	if got := listing(t, home); got != "d/ d/a/ d/a/x d/b d/e/ d/e/f d/g" {
		t.Errorf("put: %s", got)
	}
	r, err = c.Get(t.Context(), []string{"d"}, back, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantErrors(t, r, "d/g: there is a folder of this name", "there is a file of this name", "d/e/f: its folder could not be made")
	if got := listing(t, back); got != "d/ d/a/ d/a/x d/b d/e d/g/ d/g/x" {
		t.Errorf("get: %s", got)
	}
}

// wantErrors fails the test unless a report has these errors, in any order, and no others.
func wantErrors(t *testing.T, r Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range append(r.Failed, r.Files...) {
		if f.Err != nil {
			got = append(got, f.From+": "+f.Err.Error())
		}
	}
	ok := len(got) == len(want)
	for _, w := range want {
		ok = ok && strings.Contains(strings.Join(got, "\n"), w)
	}
	if !ok {
		t.Errorf("errors\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Links in folders are left out, also those that lead out of them; a link that is named is followed.
func TestLinks(t *testing.T) {
	here, home, back := t.TempDir(), t.TempDir(), t.TempDir()
	tree(t, here, map[string]string{"secret": "s", "d/f": "f"})
	for _, folder := range []string{here, home} {
		tree(t, folder, map[string]string{"d/f": "f", "secret": "s"})
		for link, to := range map[string]string{"d/out": "../secret", "d/loop": ".", "d/dangling": "nowhere", "named": "d", "file": "secret"} {
			if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
				t.Skip(err)
			}
		}
	}
	c, _ := startServer(t, home)
	r, err := c.Put(t.Context(), []string{filepath.Join(here, "named"), filepath.Join(here, "file")}, "to/", Options{})
	whole(t, r, err)
	if got := listing(t, filepath.Join(home, "to")); got != "file named/ named/f" || len(r.Skipped) != 3 {
		t.Errorf("put: %s, left out %v", got, r.Skipped)
	}
	r, err = c.Get(t.Context(), []string{"named", "file"}, back, Options{})
	whole(t, r, err)
	if got := listing(t, back); got != "file named/ named/f" || len(r.Skipped) != 3 {
		t.Errorf("get: %s, left out %v", got, r.Skipped)
	}
}

// With Follow they are what they lead to, but for those that lead nowhere or back.
func TestFollow(t *testing.T) {
	here, home, back := t.TempDir(), t.TempDir(), t.TempDir()
	for _, folder := range []string{here, home} {
		tree(t, folder, map[string]string{"d/f": "f", "d/sub/": "", "secret": "s", "other/x/y": "y"})
		for link, to := range map[string]string{"d/file": "../secret", "d/loop": ".", "d/sub/up": "../../d", "d/dangling": "nowhere", "d/out": "../other", "other/x/again": "../../d"} {
			if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
				t.Skip(err)
			}
		}
	}
	const want = "d/ d/f d/file d/out/ d/out/x/ d/out/x/y d/sub/"
	c, _ := startServer(t, home)
	r, err := c.Put(t.Context(), []string{filepath.Join(here, "d")}, "to/", Options{Follow: true})
	whole(t, r, err)
	if got := listing(t, filepath.Join(home, "to")); got != want || len(r.Skipped) != 4 || content(t, filepath.Join(home, "to/d/file")) != "s" {
		t.Errorf("put: %s, left out %v", got, r.Skipped)
	}
	r, err = c.Get(t.Context(), []string{"d"}, back, Options{Follow: true})
	whole(t, r, err)
	if got := listing(t, back); got != want || len(r.Skipped) != 4 || content(t, filepath.Join(back, "d/out/x/y")) != "y" {
		t.Errorf("get: %s, left out %v", got, r.Skipped)
	}
}
