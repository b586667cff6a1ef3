package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Before each call that writes, and after it, the journal is put on disk. With the whole state each time, a round with n
// writes would save 2n states of n groups. So it is saved whole before the first of them, with a name in [State.Log]; then
// a line for each call follows in the log, and the end of the round is whole again. Lines under another name belong to a
// state that has been replaced: who is killed between the two files leaves nothing that could be misread.
//
// A state that lines follow is without [State.Rules]: they would have to follow the moves, and whoever read the one without
// the other (an older program; a log that somebody has deleted) would take the last move for that of a cloned disk.
//
// A killed process loses nothing of the log. A power cut may take the lines since the last call that was announced, so that
// this call counts as one whose answer was lost.

// logFile has the lines that follow a state within a round.
const logFile = "state.jsonl"

// logSize is the size in bytes at which the lines go into the state, and that is saved whole: some 1,000 calls.
const logSize = 1 << 20

// loadTries bounds how often somebody without the lock reads a state anew that was replaced before its lines were read.
const loadTries = 10

// groupLine is the journal of one group. The last line of a group counts.
type groupLine struct {
	State   string         `json:"state"` // State.Log
	Group   string         `json:"group"`
	Journal []sgsync.Write `json:"journal"`
}

func (s *State) line(group string) groupLine {
	l := groupLine{State: s.Log, Group: group, Journal: []sgsync.Write{}}
	for _, w := range s.Journal {
		if w.Group == group {
			l.Journal = append(l.Journal, w)
		}
	}
	return l
}

func (s *State) take(l groupLine) {
	s.Journal = slices.DeleteFunc(s.Journal, func(w sgsync.Write) bool { return w.Group == l.Group })
	s.Journal = append(s.Journal, l.Journal...)
}

// saveJournal puts on disk what the journal says of a group, within a round. sync: it outlives a power cut, too.
func (s *Store) saveJournal(st *State, group string, sync bool) error {
	if st.Log != "" && s.appendLine(st.line(group), sync) == nil {
		return nil
	}
	st.Log = randomInstallation()
	begun := *st
	begun.Rules = nil
	data, err := json.Marshal(begun) // not indented: it is for nobody to read
	if err = s.save(data, err); err != nil {
		st.Log = "" // no line may follow
	}
	return err
}

// appendLine adds a line to the log, in one write.
func (s *Store) appendLine(l groupLine, sync bool) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.Path(logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > logSize {
		err = errors.New("it is long enough")
	}
	if err == nil {
		_, err = f.Write(append(line, '\n'))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readLog adds the lines that follow the state. Where one cannot be read, calls may have been made that nothing tells of.
func (s *Store) readLog(st *State) (warning string) {
	data, err := readFile(s.Path(logFile))
	if errors.Is(err, fs.ErrNotExist) { // nothing was done since
		return ""
	}
	if err == nil {
		err = st.follow(data)
	}
	if err == nil {
		return ""
	}
	st.Torn = true
	if !errors.Is(err, errCut) {
		warning = fmt.Sprintf("what a round did that was cut off could not be read in %s, and is looked up: %v", logFile, err)
	}
	return warning
}

// errCut: the last line has no end. That is what a power cut leaves, and nothing to warn of.
var errCut = errors.New("the last line is cut off")

// follow takes the lines of a log, up to one that cannot be read.
func (s *State) follow(log []byte) error {
	for line := range bytes.Lines(log) {
		if line[len(line)-1] != '\n' {
			return errCut
		}
		var l groupLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.State == s.Log {
			s.take(l)
		}
	}
	return nil
}
