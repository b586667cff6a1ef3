//go:build unix

package tunnel_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/tunnel"
)

// folder is a short path that is safe up to the root, as a home is.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t") // mode 0700, in a sticky folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(folder(t), "proxy")
	ls, _, err := tunnel.Listen(tunnel.Bind{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	go func() {
		c, err := ls[0].Accept()
		if err == nil {
			c.Close()
		}
	}()
	if c, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if _, _, err := tunnel.Listen(tunnel.Bind{Path: path}); err == nil || !strings.Contains(err.Error(), "listens there already") {
		t.Errorf("a second one: %v", err)
	}
	closeAll(ls)
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("it leaves %v", left)
	}
}

// What a killed process left is replaced; nothing else is.
func TestUnixSocketInTheWay(t *testing.T) {
	dir := folder(t)
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	ls, _, err := tunnel.Listen(tunnel.Bind{Path: stale})
	if err != nil {
		t.Errorf("a stale socket: %v", err)
	}
	closeAll(ls)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link"} {
		if _, _, err := tunnel.Listen(tunnel.Bind{Path: filepath.Join(dir, name)}); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("the file has become %q", text)
	}
	if _, _, err := tunnel.Listen(tunnel.Bind{Path: filepath.Join(dir, strings.Repeat("x", 120))}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long path: %v", err)
	}
}

// Another one's socket that has come in our place stays.
func TestUnixSocketReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "proxy")
	ls, _, err := tunnel.Listen(tunnel.Bind{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closeAll(ls)
	if _, err := os.Lstat(path); err != nil {
		t.Error("it was taken away")
	}
}

func TestUnixSocketUnsafeFolder(t *testing.T) {
	for mode, where := range map[os.FileMode]string{0o777: "", 0o770: "", os.ModeSticky | 0o777: "", 0o720: "above"} {
		dir := folder(t)
		inner := dir
		if where == "above" {
			inner = filepath.Join(dir, "inner")
			if err := os.Mkdir(inner, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if ls, _, err := tunnel.Listen(tunnel.Bind{Path: filepath.Join(inner, "s")}); !errors.Is(err, tunnel.ErrUnsafeFolder) {
			t.Errorf("%v %s: %v", mode, where, err)
			closeAll(ls)
		}
	}
}
