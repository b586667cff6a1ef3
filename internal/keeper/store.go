package keeper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// Store is the state folder of an installation.
type Store struct {
	dir     string
	derived string // installation id, "" where the machine has none

	reaching atomic.Pointer[reachingOf] // as it was read last
	verdicts verdicts
}

const stateFile = "state.json"

// maxStateFile bounds what is read back: a state of a thousand rules has some hundred kilobytes.
const maxStateFile = 16 << 20

// lockRetry is how often a held lock is tried again; a round takes about a second.
const lockRetry = 50 * time.Millisecond

// renameTime is how long a file that is in use is tried to be replaced, and renameRetry the pause between the tries:
// reading one takes about a millisecond.
const renameTime, renameRetry = 500 * time.Millisecond, 10 * time.Millisecond

// probeTime is how long a starting daemon waits for the lock: [Store.Running] of another process may hold it
// for an instant.
const probeTime = 500 * time.Millisecond

// OpenStore opens the folder, makes it where it is missing, and refuses one that others can write: whoever
// writes the state decides which rules are moved.
// usual is the folder that the user has when nothing is set: see [Installation].
func OpenStore(dir, usual string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	return &Store{dir: dir, derived: Installation(dir, usual)}, nil
}

// Dir is the folder's path.
func (s *Store) Dir() string { return s.dir }

// Installation is the id on whose behalf this folder's leases are held; "" before the first round of a machine that
// has no id.
func (s *Store) Installation() string {
	st, _ := s.Load()
	return cmp.Or(st.Installation, s.derived)
}

// Path is the path of a file in the folder.
func (s *Store) Path(name string) string { return filepath.Join(s.dir, name) }

// Lock serialises the rounds of one installation: look, plan and apply belong together.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := flock.New(s.Path("round.lock"), flock.SetPermissions(0o600))
	if ok, err := l.TryLockContext(ctx, lockRetry); err != nil || !ok {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("another emr-accessd of this user is in the middle of a round: %w", ctx.Err())
		}
		return nil, fmt.Errorf("lock file: %w", err)
	}
	s.tidy()
	return func() { _ = l.Unlock() }, nil
}

// tidy removes what a process that was killed while it saved has left behind. The caller holds the lock.
func (s *Store) tidy() {
	left, _ := filepath.Glob(s.Path(".state-*"))
	for _, name := range left {
		_ = os.Remove(name)
	}
}

// ErrRunning is returned when the daemon of this installation runs already.
var ErrRunning = errors.New("emr-accessd is running already for this user")

// Daemon takes the lock that the daemon holds as long as it lives.
func (s *Store) Daemon() (release func(), err error) {
	l := flock.New(s.Path("run.lock"), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	ok, err := l.TryLockContext(ctx, lockRetry)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	if !ok {
		return nil, ErrRunning
	}
	return func() { _ = l.Unlock() }, nil
}

// Running reports whether a daemon of this installation runs.
func (s *Store) Running() bool {
	l := flock.New(s.Path("run.lock"), flock.SetPermissions(0o600))
	ok, err := l.TryRLock() // shared: two probes do not take each other for a daemon
	if ok {
		_ = l.Unlock()
	}
	return err == nil && !ok
}

// SessionsLock is the file that every open `connect` session holds a shared lock on.
const SessionsLock = "sessions.lock"

// Sessions reports whether a `connect` session of this installation is open.
func (s *Store) Sessions() bool {
	l := flock.New(s.Path(SessionsLock), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if ok {
		_ = l.Unlock()
	}
	return err == nil && !ok
}

// Load reads the state. A missing, damaged or foreign file is an empty state, with the reason as a warning:
// it only costs a round.
func (s *Store) Load() (*State, string) {
	var st *State
	var warning string
	for range loadTries {
		was, _ := os.Stat(s.Path(stateFile))
		if st, warning = s.loadWhole(); st.Log == "" {
			break
		}
		st.Killed = true // as far as it concerns who holds the lock
		warning = s.readLog(st)
		if is, err := os.Stat(s.Path(stateFile)); err == nil && sameFile(was, is) {
			break
		}
	}
	st.Log = "" // what this process adds comes after a state of its own
	return st, warning
}

func (s *Store) loadWhole() (*State, string) {
	data, err := readFile(s.Path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return newState(), ""
	}
	var st State
	if err == nil {
		err = json.Unmarshal(data, &st)
	}
	if err == nil && st.Version != stateVersion {
		err = fmt.Errorf("it has version %d, not %d", st.Version, stateVersion)
	}
	if err != nil {
		anew := newState()
		anew.Torn = true
		return anew, fmt.Sprintf("the state file could not be read and is made anew: %v", err)
	}
	st.fill()
	return &st, ""
}

// sameFile reports whether a file is what it was, by two looks at it.
func sameFile(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := privateFile(info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if err == nil && len(data) > maxStateFile {
		err = errors.New("it is too large")
	}
	return data, err
}

// Save replaces the state atomically: a process may be killed and a laptop lose power at any instant. The caller holds
// the lock.
func (s *Store) Save(st *State) error {
	st.Log = ""
	data, err := json.MarshalIndent(st, "", " ")
	return s.save(data, err)
}

func (s *Store) save(data []byte, err error) error {
	if err == nil {
		err = s.replace(stateFile, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	_ = os.Remove(s.Path(logFile)) // its lines are in the state, or fail to bear its name
	return nil
}

// ReadJSON reads another file of the folder, as [Store.WriteJSON] has written it.
func (s *Store) ReadJSON(name string, v any) error {
	data, err := readFile(s.Path(name))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// WriteJSON writes another file of the folder, all or nothing. It needs no lock, and may be called by one process at a
// time: the file on the way has a name of its own, which [Store.Lock] does not tidy away.
func (s *Store) WriteJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.Path(name+".new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return s.put(f, name, append(data, '\n'))
}

// replace writes a file of the folder anew, all or nothing. The caller holds the lock.
func (s *Store) replace(name string, data []byte) error {
	f, err := os.CreateTemp(s.dir, ".state-*") // mode 0600
	if err != nil {
		return err
	}
	return s.put(f, name, data)
}

// put writes data into a new file and gives that its name.
func (s *Store) put(f *os.File, name string, data []byte) error {
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed, and that is meant
	_, err := f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.Path(name))
	}
	for begin := time.Now(); inUse(err) && time.Since(begin) < renameTime; {
		time.Sleep(renameRetry) // a file that somebody reads just now cannot be replaced on Windows
		err = os.Rename(f.Name(), s.Path(name))
	}
	if err == nil {
		s.syncNames()
	}
	return err
}

// syncNames lets a new name outlive a power cut. Where a system does not sync folders (Windows), there is nothing else to do.
func (s *Store) syncNames() {
	if d, err := os.Open(s.dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
