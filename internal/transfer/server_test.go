package transfer

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/mototest"
	"github.com/pkg/sftp"
)

// serverPaths are where systems keep OpenSSH's SFTP server: Debian, Fedora, Alpine, macOS.
var serverPaths = []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server"}

// pipes are both ends of a child process as one stream.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// startServer runs OpenSSH's own SFTP server, whose sessions begin in home, and opens a session.
func startServer(t *testing.T, home string) (*Client, *os.Process) {
	t.Helper()
	stream, cut, process := runServer(t, home)
	return open(t, stream, cut), process
}

// startSlow is the same over a distance, a round trip of which takes so long.
func startSlow(t *testing.T, home string, roundTrip time.Duration) *Client {
	t.Helper()
	stream, cut, _ := runServer(t, home)
	return open(t, newSlow(stream, roundTrip), cut)
}

func runServer(t *testing.T, home string) (stream io.ReadWriteCloser, cut func(), process *os.Process) {
	t.Helper()
	i := slices.IndexFunc(serverPaths, func(p string) bool { _, err := os.Stat(p); return err == nil })
	if i < 0 {
		mototest.Need(t, "OpenSSH's sftp-server", errors.New("not found"))
	}
	cmd := exec.Command(serverPaths[i], "-e", "-d", home)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sftp-server: %s", complaints.String())
		}
	})
	return pipes{out, in}, func() { in.Close(); out.Close() }, cmd.Process
}

func open(t *testing.T, stream io.ReadWriteCloser, cut func()) *Client {
	t.Helper()
	c, err := Open(t.Context(), stream, cut)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cut)
	return c
}

// startHandlers runs a server of our own making, which may tell anything.
func startHandlers(t *testing.T, h sftp.Handlers) *Client {
	t.Helper()
	here, there := net.Pipe()
	server := sftp.NewRequestServer(there, h)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve()
	}()
	t.Cleanup(func() { there.Close(); <-served })
	return open(t, here, func() { here.Close() })
}

// slow delays what is read from a stream by a round trip, as distance does.
type slow struct {
	io.ReadWriteCloser
	delay time.Duration
	in    chan delayed
	rest  []byte
}

type delayed struct {
	data []byte
	due  time.Time
	err  error
}

func newSlow(stream io.ReadWriteCloser, delay time.Duration) *slow {
	s := &slow{ReadWriteCloser: stream, delay: delay, in: make(chan delayed, 1<<16)}
	go func() {
		for {
			buf := make([]byte, 64<<10)
			n, err := stream.Read(buf)
			s.in <- delayed{buf[:n], time.Now().Add(delay), err}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		d := <-s.in
		time.Sleep(time.Until(d.due))
		if d.err != nil {
			return 0, d.err
		}
		s.rest = d.data
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// tree writes files below a folder; a name with / at its end is a folder.
func tree(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// listing is everything below a folder: its names in order, links with an arrow and folders with a slash.
func listing(t *testing.T, folder string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		rel, _ := filepath.Rel(folder, path)
		if d.IsDir() {
			rel += "/"
		}
		if d.Type() == fs.ModeSymlink {
			rel += "@"
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// noise is content in which a byte in the wrong place shows.
func noise(size int) string {
	b := make([]byte, size)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

// whole fails the test unless everything was copied.
func whole(t *testing.T, r Report, err error) {
	t.Helper()
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}
