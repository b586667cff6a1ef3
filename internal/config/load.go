package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSize is far more than a file with every key and a hundred targets has.
const maxSize = 256 << 10

// Load reads and checks a configuration file; "" is the one at [DefaultPath]. It is no error if there is no file at
// the default place: then it is [Default], without a path. A file that was named, by path or by EMR_ACCESSD_CONFIG,
// must exist. A file that others could have written is refused: it decides who is let in.
func Load(path string) (Config, error) {
	optional := false
	if path == "" {
		var err error
		if path, err = DefaultPath(); err != nil {
			return Config{}, Errors{{Problem: "no place for a configuration file: " + err.Error(), Hint: "name one with " + EnvConfig, cause: err}}
		}
		optional = os.Getenv(EnvConfig) == ""
	}
	data, err := read(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(data, path)
	if err != nil {
		return Config{}, err
	}
	c.Path = path
	for i, s := range c.Address.Sources {
		if s.CAFile != "" && !filepath.IsAbs(s.CAFile) {
			c.Address.Sources[i].CAFile = filepath.Join(filepath.Dir(path), s.CAFile)
		}
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	fail := func(problem, hint string, cause error) ([]byte, error) {
		return nil, Errors{{File: path, Problem: problem, Hint: hint, cause: cause}}
	}
	// Looked at before it is opened: opening a pipe would wait for a writer.
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file", "`emr-accessd init` writes one; docs/configuration.md has every key", err)
	case err != nil:
		return fail("cannot be read: "+reason(err), "", err)
	case !info.Mode().IsRegular():
		return fail("is not a regular file", "", nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return fail("cannot be read: "+reason(err), "", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: what the name means may change meanwhile
	if err != nil {
		return fail("cannot be read: "+reason(err), "", err)
	}
	if problem, hint := writableByOthers(path, info); problem != "" {
		return fail(problem, hint, nil)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return fail("cannot be read: "+reason(err), "", err)
	}
	if len(data) > maxSize {
		return fail(fmt.Sprintf("is larger than %d KiB", maxSize>>10), "", nil)
	}
	return data, nil
}

// reason is a file error without the path, which stands before it anyway.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// ReadPrivate reads a file that decides what the program does. One that others could have written is refused.
func ReadPrivate(path string) ([]byte, error) { return read(path) }
