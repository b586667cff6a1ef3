//go:build unix

package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is what every system takes, in bytes: macOS and the BSDs have 104 with the end mark, Linux 108.
const maxSocketPath = 103

// ErrUnsafeFolder says that others could put a socket of theirs in the place of ours.
var ErrUnsafeFolder = errors.New("others may write to the folder")

// listenUnix makes a socket that only its owner can use. It is made in a folder of its own and then moved, so that there is no moment at
// which its mode is another. A socket that nobody listens on any more is replaced; nothing else ever is.
func listenUnix(path string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) { return nil, fmt.Errorf("listen on unix:%s: %w", path, err) }
	path = filepath.Clean(path)
	folder := filepath.Dir(path)
	if err := checkFolder(folder); err != nil {
		return fail(err)
	}
	if err := checkFree(path); err != nil {
		return fail(err)
	}
	own, err := os.MkdirTemp(folder, ".t") // mode 0700
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(own) //nolint:errcheck // an empty folder of ours at worst
	temporary := filepath.Join(own, "s")
	if max(len(temporary), len(path)) > maxSocketPath {
		return fail(fmt.Errorf("the path is too long for a socket: %d bytes at most", maxSocketPath-len(temporary)+len(path)))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return fail(cause(err))
	}
	l.SetUnlinkOnClose(false) // it would take away the temporary name
	info, err := os.Lstat(temporary)
	err = errors.Join(err, os.Chmod(temporary, 0o600))
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = l.Close()
		return fail(err)
	}
	return &socket{Listener: l, path: path, made: info}, nil
}

// socket takes its file away at the end, unless somebody else's is there by now.
type socket struct {
	net.Listener
	path string
	made fs.FileInfo
}

func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
		_ = os.Remove(s.path)
	}
	return s.Listener.Close()
}

// checkFree fails unless a socket may be put there.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of this name, and it is no socket")
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return errors.New("somebody listens there already")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return cause(err)
	}
	return nil
}

// checkFolder fails where others could replace what is in the folder: it, or a folder above it, belongs to or is writable by others. A
// folder above may be writable when it is sticky, as /tmp is: then others cannot move what is not theirs.
func checkFolder(folder string) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	for at := folder; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
			return fmt.Errorf("%w %s: it belongs to user id %d", ErrUnsafeFolder, at, stat.Uid)
		}
		sticky := info.Mode()&fs.ModeSticky != 0 && at != folder
		if info.Mode().Perm()&0o022 != 0 && !sticky {
			return fmt.Errorf("%w %s (mode %04o)", ErrUnsafeFolder, at, info.Mode().Perm())
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
