package sshsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// maxStore bounds the host key file, in bytes: some ten thousand keys.
	maxStore = 4 << 20
	// keepStore is the size in bytes down to which the oldest keys are dropped when one is added: some 3,000 instances.
	keepStore = 3 << 20
	// lockWait is how long to wait for another process; it holds the lock for one read and one write.
	lockWait = 10 * time.Second
	// lockPoll is how often to try. The flock library polls, there is no blocking call with a limit.
	lockPoll = 5 * time.Millisecond
)

// locked runs f while no other process writes the file. Readers lock too: Windows cannot replace a file that somebody reads.
func (s *Store) locked(exclusive bool, f func() error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock := flock.New(s.path+".lock", flock.SetPermissions(0o600))
	try := lock.TryRLockContext
	if exclusive {
		try = lock.TryLockContext
	}
	if ok, err := try(ctx, lockPoll); err != nil || !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the host key file %s is locked by another process", s.path)
		}
		return fmt.Errorf("lock the host key file: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return f()
}

func (s *Store) load() (lines []storeLine, err error) {
	err = s.locked(false, func() error {
		lines, err = s.read()
		return err
	})
	return lines, err
}

func (s *Store) update(change func([]storeLine) ([]storeLine, error)) error {
	return s.locked(true, func() error {
		lines, err := s.read()
		if err != nil {
			return err
		}
		before := joinLines(lines)
		if lines, err = change(lines); err != nil {
			return err
		}
		if after := joinLines(lines); after != before {
			return s.write(after)
		}
		return nil
	})
}

func joinLines(lines []storeLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *Store) read() ([]storeLine, error) {
	if err := s.checkAccess(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("host key file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStore+1))
	if err != nil {
		return nil, fmt.Errorf("host key file: %w", err)
	}
	if len(data) > maxStore {
		return nil, fmt.Errorf("the host key file %s is larger than %d bytes", s.path, maxStore)
	}
	return parseStore(string(data)), nil
}

func parseStore(data string) []storeLine {
	var lines []storeLine
	for text := range strings.Lines(data) {
		lines = append(lines, parseStoreLine(strings.TrimRight(text, "\r\n")))
	}
	return lines
}

func (s *Store) write(data string) error { return replaceFile(s.path, data) }

// replaceFile replaces a file at once, so that a reader and a crash see the old one or the new one.
func replaceFile(path, data string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write the host key file: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the host key file: %w", errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.WriteString(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// checkAccess refuses a file that others could have changed.
func (s *Store) checkAccess() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return checkFolder(filepath.Dir(s.path))
	}
	if err != nil {
		return fmt.Errorf("host key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the host key file %s is not a regular file", s.path)
	}
	if err := checkFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	return checkWritable(s.path, info)
}
