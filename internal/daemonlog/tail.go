package daemonlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// followEvery is how often a file is looked at for more.
const followEvery = 300 * time.Millisecond

// maxRead bounds what is read at once: more than two whole files.
const maxRead = 4 * MaxSize

// Reader reads a log file from its end on. It keeps no file open: on Windows that would stop the writer from putting
// it aside.
type Reader struct {
	path string
	is   fs.FileInfo // which file this is; nil while there is none
	at   int64       // how much of it was read
	rest []byte      // of a line whose end is not there yet
}

// Tail returns the last n lines of a log file and of the one that was put aside before it, and what reads on from there.
func Tail(path string, n int) (lines []string, r *Reader, err error) {
	older, err := readFrom(Older(path), 0)
	if err != nil {
		return nil, nil, err
	}
	info, _ := os.Stat(path)
	text, err := readFrom(path, 0)
	if err != nil {
		return nil, nil, err
	}
	r = &Reader{path: path, is: info, at: int64(len(text))}
	lines = append(r.split(older), r.split(text)...)
	return lines[max(0, len(lines)-n):], r, nil
}

// Follow calls emit for each line that is added, until ctx ends.
func (r *Reader) Follow(ctx context.Context, emit func(line string) error) error {
	for {
		lines, err := r.more()
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := emit(line); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// more returns the lines that were added since the last look. Where another file has taken the place of the one that
// was read, what that one got meanwhile is read first.
func (r *Reader) more() (lines []string, err error) {
	info, err := os.Stat(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		info = nil
	}
	if r.is != nil && (info == nil || !os.SameFile(info, r.is) || info.Size() < r.at) {
		text, err := readFrom(Older(r.path), r.at)
		if err != nil {
			return nil, err
		}
		lines = r.split(text)
		r.at = 0
	}
	text, err := readFrom(r.path, r.at)
	if err != nil {
		return nil, err
	}
	r.at, r.is = r.at+int64(len(text)), info
	return append(lines, r.split(text)...), nil
}

// split takes whole lines; what is left waits for its end.
func (r *Reader) split(text []byte) (lines []string) {
	text = append(r.rest, text...)
	for {
		line, after, ok := bytes.Cut(text, []byte("\n"))
		if !ok {
			r.rest = bytes.Clone(text)
			return lines
		}
		lines = append(lines, string(line))
		text = after
	}
}

// readFrom reads a file from an offset on; a missing one has nothing.
func readFrom(path string, at int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, at, maxRead))
}
