package svcmgr

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// change is a row of steps that are taken back together when one of them fails.
type change struct{ undo []func() }

// onFailure adds what takes the last step back.
func (c *change) onFailure(f func()) { c.undo = append(c.undo, f) }

// end takes everything back, the last step first, when err is not nil. It returns err.
func (c *change) end(err error) error {
	if err == nil {
		return nil
	}
	for i := len(c.undo) - 1; i >= 0; i-- {
		c.undo[i]()
	}
	return err
}

// write replaces a file, all or nothing, and makes its folder where it is missing.
func (c *change) write(path, text string, mode fs.FileMode) error {
	if err := c.makeDir(filepath.Dir(path)); err != nil { // first, so that it is empty again when it is undone
		return err
	}
	if err := c.remember(path); err != nil {
		return err
	}
	return replace(path, []byte(text), mode)
}

// makeDir makes a folder and those above it. Those that were missing are removed again on failure.
func (c *change) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if up := filepath.Dir(dir); up != dir {
		if err := c.makeDir(up); err != nil {
			return err
		}
	}
	err := os.Mkdir(dir, 0o755) // a user's umask makes it narrower
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	c.onFailure(func() { _ = os.Remove(dir) }) // fails when somebody else has put something there, and that is meant
	return err
}

// remove removes a file, which may be missing.
func (c *change) remove(path string) error {
	if err := c.remember(path); err != nil {
		return err
	}
	return removed(os.Remove(path))
}

// remember keeps what a file is now, to put it back.
func (c *change) remember(path string) error {
	was, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		c.onFailure(func() { _ = os.Remove(path) })
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	c.onFailure(func() { _ = replace(path, was, info.Mode().Perm()) })
	return nil
}

func replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".emr-accessd-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed, and that is meant
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// removed is the error of a removal, but for one of what is not there.
func removed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
