package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"
)

// errAnswer is an answer that no server gives by mistake.
var errAnswer = errors.New("the server's answer makes no sense")

// The calls below have a value as their answer. pkg/sftp v1.13.12 takes a server's "OK" for a success without a value, and what it
// returns then brings the program down when it is used.

func told(info fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	if info == nil {
		return nil, errAnswer
	}
	if attributes, ok := info.Sys().(*sftp.FileStat); !ok || attributes == nil {
		return nil, errAnswer
	}
	return info, nil
}

func (c *Client) stat(p string) (fs.FileInfo, error) { return told(c.sftp.Stat(p)) }

func (c *Client) lstat(p string) (fs.FileInfo, error) { return told(c.sftp.Lstat(p)) }

func (c *Client) realPath(p string) (string, error) {
	real, err := c.sftp.RealPath(p)
	if err == nil && real == "" {
		err = errAnswer
	}
	return real, err
}

func (c *Client) openFile(p string, flags int) (*sftp.File, error) {
	f, err := c.sftp.OpenFile(p, flags)
	if err == nil && f == nil {
		err = errAnswer
	}
	return f, err
}

func (c *Client) openToRead(p string) (*sftp.File, error) { return c.openFile(p, os.O_RDONLY) }

// remove removes a file.
func (c *Client) remove(p string) (err error) {
	defer func() {
		if recover() != nil { // it looks at the file, when it cannot be removed, and takes any answer
			err = errAnswer
		}
	}()
	return c.sftp.Remove(p)
}

// mkdirAll makes a folder with those above it, unless they are there.
func (c *Client) mkdirAll(p string) error {
	info, err := c.stat(p)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return errors.New("there is a file of this name")
	case !errors.Is(err, fs.ErrNotExist):
		return c.remote(err)
	}
	if above := path.Dir(p); above != p {
		if err := c.mkdirAll(above); err != nil {
			return err
		}
	}
	if err := c.sftp.Mkdir(p); err != nil {
		if info, serr := c.stat(p); serr == nil && info.IsDir() {
			return nil // somebody else was first
		}
		return c.full(c.remote(err), path.Dir(p))
	}
	return nil
}

// freeSpace is nil where the server does not tell it.
func (c *Client) freeSpace(folder string) *sftp.StatVFS {
	st, err := c.sftp.StatVFS(folder)
	if err != nil || st == nil || st.Blocks == 0 {
		return nil
	}
	return st
}
