package transfer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
)

// liar is a server that tells any names, sizes and kinds.
type liar struct {
	mu      sync.Mutex
	folders map[string][]lie
}

type lie struct {
	name string
	mode fs.FileMode
	size int64
}

func (l lie) Name() string       { return l.name }
func (l lie) Size() int64        { return l.size }
func (l lie) Mode() fs.FileMode  { return l.mode }
func (l lie) ModTime() time.Time { return time.Unix(1e9, 0) }
func (l lie) IsDir() bool        { return l.mode.IsDir() }
func (l lie) Sys() any           { return nil }

type lies []fs.FileInfo

func (l lies) ListAt(to []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[offset:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

func (s *liar) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all lies
	if r.Method == "List" {
		for _, l := range s.folders[r.Filepath] {
			all = append(all, l)
		}
		return all, nil
	}
	if _, ok := s.folders[r.Filepath]; ok {
		return lies{lie{name: "d", mode: fs.ModeDir | 0o777}}, nil
	}
	for _, l := range s.folders[filepath.Dir(r.Filepath)] {
		if l.name == filepath.Base(r.Filepath) {
			return lies{l}, nil
		}
	}
	return nil, os.ErrNotExist
}

func (s *liar) Fileread(*sftp.Request) (io.ReaderAt, error) { return strings.NewReader("hostile"), nil }

func TestHostileNames(t *testing.T) {
	const ok = int64(len("hostile"))
	server := &liar{folders: map[string][]lie{
		"/d": {
			{"../../escape", 0o644, ok}, {"..", 0o644, ok}, {"a/..", 0o644, ok}, {"", 0o644, ok}, {"/etc/x", 0o644, ok}, {"..", fs.ModeDir | 0o777, 0},
			{"x\x1b[2J", 0o644, ok}, {"new\nline", 0o644, ok}, {"fine", 0o4777, ok}, {"link", fs.ModeSymlink | 0o777, 1}, {"huge", 0o644, 1 << 62},
			{"planted", fs.ModeDir | 0o777, 0}, {"file-link", 0o644, ok}, {"pipe", fs.ModeNamedPipe | 0o644, 0},
		},
		"/d/planted": {{"x", 0o644, ok}},
	}}
	c := startHandlers(t, sftp.Handlers{FileGet: server, FileList: server})
	above := t.TempDir()
	dest, outside := filepath.Join(above, "dest"), filepath.Join(above, "outside")
	tree(t, above, map[string]string{"dest/d/": "", "outside/": "", "target": "untouched"})
	// What lies in DEST may have been put there by somebody else: a link in place of a folder, and of a file.
	for link, to := range map[string]string{"planted": outside, "file-link": filepath.Join(above, "target")} {
		if err := os.Symlink(to, filepath.Join(dest, "d", link)); err != nil {
			t.Skip(err)
		}
	}
	r, err := c.Get(t.Context(), []string{"/d"}, dest, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Of "../../escape" pkg/sftp leaves "escape", and the server has no file of that name.
	if got := listing(t, above); got != "dest/ dest/d/ dest/d/file-link dest/d/fine dest/d/planted@ outside/ target" {
		t.Errorf("there is %s", got)
	}
	if content(t, filepath.Join(above, "target")) != "untouched" || content(t, filepath.Join(dest, "d", "file-link")) != "hostile" {
		t.Error("a link was written through")
	}
	if info, err := os.Stat(filepath.Join(dest, "d", "fine")); err != nil || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|0o022) != 0 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if len(r.Skipped) != 2 {
		t.Errorf("left out %v", r.Skipped)
	}
	for _, f := range r.Files {
		if strings.HasSuffix(f.From, "huge") && f.Err == nil {
			t.Error("a file that is shorter than it says is taken")
		}
	}
}

// Folders in folders without end.
func TestEndless(t *testing.T) {
	server := &endless{}
	c := startHandlers(t, sftp.Handlers{FileList: server})
	back := t.TempDir()
	r, err := c.Get(t.Context(), []string{"/d"}, back, Options{DryRun: true})
	if err != nil || len(r.Failed) != 1 || !errors.Is(r.Failed[0].Err, errDeep) {
		t.Errorf("%v, %+v", err, r.Failed)
	}
}

type endless struct{}

func (endless) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	return lies{lie{name: "d", mode: fs.ModeDir | 0o755}}, nil
}

// On a computer that takes two names for one, the second file must not silently take the first one's place. A hard link
// stands for that here: replace sees the same file under another name.
func TestCollision(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	g := &getter{root: root, written: map[identity][]fs.FileInfo{}}
	tree(t, dir, map[string]string{"p1": "1", "p2": "2", "p3": "3", "old": "old"})
	if err := g.replace("p1", "name"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "name"), filepath.Join(dir, "NAME")); err != nil {
		t.Skip(err)
	}
	if err := g.replace("p2", "NAME"); err == nil || content(t, filepath.Join(dir, "name")) != "1" {
		t.Errorf("the first file's place was taken: %v", err)
	}
	if err := g.replace("p3", "old"); err != nil || content(t, filepath.Join(dir, "old")) != "3" {
		t.Errorf("a file of before is replaced: %v", err)
	}
}

// A server may answer anything: no panic, no file, and an end.
func FuzzServer(f *testing.F) {
	const version = "\x00\x00\x00\x05\x02\x00\x00\x00\x03"
	f.Add([]byte(""))
	f.Add([]byte("Welcome to the node!\r\n"))
	f.Add([]byte(version))
	f.Add([]byte(version + "\x00\x00\x00\x11\x65\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00"))      // STATUS
	f.Add([]byte(version + "\x00\x00\x00\x11\x69\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x41\xff\x00\x00\x00\x00"))      // ATTRS of a folder
	f.Add([]byte(version + "\x00\x00\x00\x0a\x66\x00\x00\x00\x01\x00\x00\x00\x01h\x00\x00\x00\x05\x68\x00\x00\x00\x02")) // HANDLE
	f.Fuzz(func(t *testing.T, answer []byte) {
		dir := t.TempDir()
		tree(t, dir, map[string]string{"f": "f", "dest/": ""})
		for _, verb := range []string{"get", "put", "stream"} {
			stream := pipes{io.MultiReader(strings.NewReader(string(answer))), discard{}}
			c, err := Open(t.Context(), stream, func() {})
			if err != nil {
				continue
			}
			switch verb {
			case "get":
				_, _ = c.Get(t.Context(), []string{"d*", "e"}, filepath.Join(dir, "dest"), Options{Follow: true})
			case "put":
				_, _ = c.Put(t.Context(), []string{filepath.Join(dir, "f"), filepath.Join(dir, "dest")}, "d/", Options{})
			case "stream":
				_, _ = c.GetStream(t.Context(), "d", io.Discard, Options{})
			}
		}
		for name := range strings.FieldsSeq(listing(t, dir)) {
			if strings.HasSuffix(name, partTail) {
				t.Errorf("there remains %s", name)
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
