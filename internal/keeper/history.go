package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// The history is a file of JSON lines, and the one before it.
const (
	historyFile = "history.jsonl"
	historyPast = "history.1.jsonl"
)

// historySize is the size in bytes at which a file of the history is put aside, and the one that was is dropped: two of them
// are some 4,500 changes, which take some 50 ms to read.
const historySize = 1 << 20

// Append adds a record: one line in one write at the end of the file, so that a reader sees whole lines. The caller
// holds the lock; see [Store.Log].
func (s *Store) Append(rec Record) error {
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	name := s.Path(historyFile)
	if info, err := os.Lstat(name); err == nil && info.Size()+int64(len(line)) > historySize {
		if err := os.Rename(name, s.Path(historyPast)); err != nil && info.Size() > 2*historySize {
			return err // else it grows a little more: somebody reads it just now, which Windows minds
		}
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if torn(f) {
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// torn reports whether the last line has no end: whoever wrote it was cut off.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}

// Log adds a record that is not of a round.
func (s *Store) Log(ctx context.Context, rec Record) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Append(rec); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// History returns the records since a time, the oldest first, and of those the last n; n = 0 is all. skipped counts
// the lines that could not be read.
func (s *Store) History(since time.Time, n int) (recs []Record, skipped int, err error) {
	recs = []Record{}
	for _, name := range []string{historyPast, historyFile} {
		data, rerr := readTail(s.Path(name))
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("history: %s: %w", name, rerr))
		}
		for line := range bytes.Lines(data) {
			var rec Record
			switch line = bytes.TrimSpace(line); {
			case len(line) == 0:
			case json.Unmarshal(line, &rec) != nil || rec.At.IsZero():
				skipped++
			case !rec.At.Before(since):
				recs = append(recs, rec)
			}
		}
	}
	if n > 0 && len(recs) > n {
		recs = slices.Clone(recs[len(recs)-n:])
	}
	return recs, skipped, err
}

// readTail reads the end of a file of the history: all of it, unless somebody else has written it.
func readTail(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	if err := privateFile(info); err != nil {
		return nil, err
	}
	from := max(0, info.Size()-2*historySize)
	data, err := io.ReadAll(io.NewSectionReader(f, from, 2*historySize))
	if from > 0 {
		_, data, _ = bytes.Cut(data, []byte{'\n'}) // the rest of a line
	}
	return data, err
}
