package sshsession

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Store is a known_hosts file of our own. Its host names are EC2 instance ids, because addresses and names are reused. OpenSSH reads
// it with HostKeyAlias set to the instance id. A line's comment tells where the key came from and when it was added.
//
// A Store may be used by several goroutines, and its file by several processes.
type Store struct{ path string }

// Pin is one host key that the store holds.
type Pin struct {
	Key    ssh.PublicKey
	Origin Origin    // empty for a line that somebody wrote by hand
	Added  time.Time // zero for a line that somebody wrote by hand
}

// Fingerprint is the pinned key's fingerprint.
func (p Pin) Fingerprint() Fingerprint { return fingerprintOf(p.Key) }

// ErrPinned says that another key of the same type is already stored for an instance. It has to be forgotten first.
var ErrPinned = errors.New("another host key of this type is already stored")

// OpenStore opens the file at this path; it need not exist yet. It fails where others than the user may write the file or where its
// folder is open to everyone, since they could put their own keys in.
func OpenStore(path string) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: abs}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return nil, fmt.Errorf("host key file: %w", err)
	}
	if err := s.checkAccess(); err != nil {
		return nil, err
	}
	return s, nil
}

// Path is the absolute path of the file.
func (s *Store) Path() string { return s.path }

// Keys are the keys stored for an instance, in this package's order of preference; none is no error. A line for this instance that
// cannot be read is an error: a missing pin must not look like a first connection.
func (s *Store) Keys(instance string) ([]Pin, error) {
	if err := checkInstance(instance); err != nil {
		return nil, err
	}
	lines, err := s.load()
	if err != nil {
		return nil, err
	}
	return s.pins(lines, instance)
}

func (s *Store) pins(lines []storeLine, instance string) ([]Pin, error) {
	var pins []Pin
	for i, l := range lines {
		if l.instance != instance {
			continue
		}
		if l.err != nil {
			return nil, fmt.Errorf("%s:%d: the host key of %s cannot be read: %w; delete the line to have the key verified anew",
				s.path, i+1, instance, l.err)
		}
		pins = append(pins, l.pin)
	}
	types := keyTypes()
	slices.SortStableFunc(pins, func(a, b Pin) int {
		return slices.Index(types, a.Key.Type()) - slices.Index(types, b.Key.Type())
	})
	return pins, nil
}

// Problems describes the lines that cannot be read, each with its place. They are passed over, except for the instance that they
// name, and kept when the file is written.
func (s *Store) Problems() ([]string, error) {
	lines, err := s.load()
	if err != nil {
		return nil, err
	}
	var problems []string
	for i, l := range lines {
		if l.err != nil {
			problems = append(problems, fmt.Sprintf("%s:%d: %v", s.path, i+1, l.err))
		}
	}
	return problems, nil
}

// Instances are the ids of all instances with a stored key, sorted.
func (s *Store) Instances() ([]string, error) {
	lines, err := s.load()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, l := range lines {
		if l.instance != "" && l.err == nil {
			ids = append(ids, l.instance)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Add stores keys of an instance. A key that is stored already stays as it is; where another key of the same type is stored, nothing
// is added and the error is ErrPinned.
func (s *Store) Add(instance string, origin Origin, keys ...ssh.PublicKey) error {
	if err := checkInstance(instance); err != nil {
		return err
	}
	if !origin.valid() {
		return fmt.Errorf("unknown origin %q of a host key", printable(string(origin)))
	}
	now := time.Now().UTC().Truncate(time.Second)
	return s.update(func(lines []storeLine) ([]storeLine, error) {
		for _, key := range keys {
			if !slices.Contains(keyTypes(), key.Type()) {
				return nil, fmt.Errorf("host keys of type %s are not used", printable(key.Type()))
			}
			pins, err := s.pins(lines, instance)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(pins, func(p Pin) bool { return p.Key.Type() == key.Type() })
			switch {
			case i < 0:
				lines = append(lines, newStoreLine(instance, Pin{Key: key, Origin: origin, Added: now}))
			case !bytes.Equal(pins[i].Key.Marshal(), key.Marshal()):
				return nil, fmt.Errorf("%w for %s: %s", ErrPinned, instance, pins[i].Fingerprint())
			}
		}
		return thin(lines, keepStore, instance), nil
	})
}

// Forget removes all keys of an instance, unreadable lines for it too. Nothing stored is no error.
func (s *Store) Forget(instance string) error {
	if err := checkInstance(instance); err != nil {
		return err
	}
	return s.update(func(lines []storeLine) ([]storeLine, error) {
		return forget(lines, instance), nil
	})
}

// thin drops the instances that were added the longest time ago until the lines have at most this many bytes: clusters come and
// go, and a file that is too large would let nobody in any more. Those that the console told go first, since one of them that
// still lives is verified anew by itself; what a person vouched for goes last. What somebody wrote by hand stays, and so
// does the instance that is being added.
func thin(lines []storeLine, most int, but string) []storeLine {
	size := 0
	added, length := map[string]time.Time{}, map[string]int{}
	kept, vouched := map[string]bool{but: true}, map[string]int{}
	for _, l := range lines {
		n := len(l.text) + 1
		size += n
		length[l.instance] += n
		kept[l.instance] = kept[l.instance] || l.instance == "" || l.pin.Origin == "" || l.pin.Added.IsZero()
		if o := l.pin.Origin; o != OriginConsole && o != OriginConsoleLatest {
			vouched[l.instance] = 1
		}
		if l.pin.Added.After(added[l.instance]) {
			added[l.instance] = l.pin.Added
		}
	}
	oldest := slices.SortedFunc(maps.Keys(added), func(a, b string) int {
		return cmp.Or(vouched[a]-vouched[b], added[a].Compare(added[b]), strings.Compare(a, b))
	})
	gone := map[string]bool{}
	for _, id := range oldest {
		if size <= most {
			break
		}
		if !kept[id] {
			gone[id] = true
			size -= length[id]
		}
	}
	return slices.DeleteFunc(lines, func(l storeLine) bool { return gone[l.instance] })
}

func forget(lines []storeLine, instance string) []storeLine {
	return slices.DeleteFunc(lines, func(l storeLine) bool { return l.instance == instance })
}

// storeLine is one line of the file. Lines that are not understood are kept as they are.
type storeLine struct {
	text     string
	instance string // the first field where it is an instance id
	pin      Pin
	err      error
}

func newStoreLine(instance string, p Pin) storeLine {
	text := fmt.Sprintf("%s %s %s %s", instance, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.Key))), p.Origin, p.Added.Format(time.RFC3339))
	return storeLine{text: text, instance: instance, pin: p}
}

func parseStoreLine(text string) storeLine {
	l := storeLine{text: text}
	fields := strings.Fields(text)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return l
	}
	marked := strings.HasPrefix(fields[0], "@")
	if marked {
		fields = fields[1:]
	}
	if len(fields) > 0 && instanceID.MatchString(fields[0]) {
		l.instance = fields[0]
	}
	switch {
	case marked:
		l.err = errors.New("markers such as @revoked are not used in this file")
		return l
	case l.instance == "":
		l.err = errors.New("the line does not begin with an instance id")
		return l
	}
	_, _, key, comment, _, err := ssh.ParseKnownHosts([]byte(text))
	if err != nil {
		l.err = foreign{err}
		return l
	}
	if !slices.Contains(keyTypes(), key.Type()) {
		l.err = fmt.Errorf("host keys of type %s are not used", printable(key.Type()))
		return l
	}
	l.pin = Pin{Key: key}
	if words := strings.Fields(comment); len(words) > 0 && Origin(words[0]).valid() {
		l.pin.Origin = Origin(words[0])
		if len(words) > 1 {
			l.pin.Added, _ = time.Parse(time.RFC3339, words[1]) // for people only; zero when somebody edited it
		}
	}
	return l
}
