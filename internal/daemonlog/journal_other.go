//go:build !unix

package daemonlog

import "os"

// ToJournal reports whether a file is a stream of the journal, which other systems do not have.
func ToJournal(*os.File) bool { return false }
