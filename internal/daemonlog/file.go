package daemonlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
)

// MaxSize is how long a log file becomes before it is put aside, for one that is there before. A quiet month is some
// hundred kilobytes.
const MaxSize = 1 << 20

// File is a log file that nobody else may read. At its greatest length its owner makes it FILE.1, in place of an older
// one, and a new one begins. Any process may write.
type File struct {
	path string
	max  int64

	mu      sync.Mutex
	own     bool
	f       *os.File
	size    int64
	crashes bool
}

// OpenFile opens a log file, or makes it.
func OpenFile(path string) (*File, error) { return openFile(path, MaxSize) }

// Own lets this process put the file aside. It must be the only one that does, or they would put aside each other's files.
func (l *File) Own() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = true
}

// PutAside puts a file aside that has its greatest length, for a process that is not to own it: else a daemon that ends
// again and again before that would let it grow without end. Nobody may own the file now. One that somebody reads on
// Windows stays for this time.
func PutAside(path string) {
	if info, err := os.Stat(path); err == nil && info.Size() >= MaxSize {
		_ = os.Rename(path, Older(path))
	}
}

// Crashes lets the runtime write there, too, what it says when the program dies of a panic.
func (l *File) Crashes() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes = true
	return debug.SetCrashOutput(l.f, debug.CrashOptions{})
}

func openFile(path string, most int64) (*File, error) {
	l := &File{path: path, max: most}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	return l, nil
}

func (l *File) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(l.path + " is not a regular file")
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, info.Size()
	if l.crashes {
		return debug.SetCrashOutput(f, debug.CrashOptions{})
	}
	return nil
}

// Write adds whole lines. A file that cannot be put aside now, because somebody reads it on Windows, is put aside later.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	if l.own && l.size > 0 && l.size+int64(len(p)) > l.max {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *File) rotate() error {
	f := l.f
	l.f = nil // Windows renames no open file, and the runtime holds a copy
	if l.crashes {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
	}
	if err := f.Close(); err != nil {
		return err
	}
	_ = os.Rename(l.path, Older(l.path))
	return l.open()
}

// Close closes the file.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Older is the name of the file that was put aside.
func Older(path string) string { return path + ".1" }

// Exists reports whether there is a log file.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
