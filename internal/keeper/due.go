package keeper

import (
	"io/fs"
	"os"
	"time"
)

// dueTime is when the next round is due, by the state file. It is read again when it was written since.
type dueTime struct {
	file fs.FileInfo // as it was read; nil: it was not
	next time.Time
}

// left is the time until the next round is due at the wall time now.
func (d *dueTime) left(s *Store, now time.Time) time.Duration {
	info, err := os.Stat(s.Path(stateFile)) // before it is read: what is written between shows the next time
	if err != nil {
		info = nil
	}
	if !sameFile(info, d.file) {
		st, _ := s.Load()
		d.file, d.next = info, st.Status.NextRound
	}
	return untilDue(d.next, now)
}

// untilDue is the time until a round is due. A due time that is further ahead than any that a round sets was set
// before the clock was put back: it must not stop the rounds.
func untilDue(next, now time.Time) time.Duration {
	if d := next.Sub(now); d > 0 && d <= MaxNext {
		return d
	}
	return 0
}
