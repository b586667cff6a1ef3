//go:build unix

package daemonlog

import (
	"fmt"
	"os"
	"syscall"
)

// ToJournal reports whether a file is a stream of the journal: JOURNAL_STREAM alone does not tell, because a terminal
// of the desktop inherits it (systemd.exec(5)).
func ToJournal(f *os.File) bool {
	want := os.Getenv("JOURNAL_STREAM")
	if want == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", st.Dev, st.Ino) == want
}
