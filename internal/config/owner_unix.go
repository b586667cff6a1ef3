//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// writableByOthers says why a file may not be from its user, and what to do. Root is trusted: it can do all anyway.
func writableByOthers(path string, info fs.FileInfo) (problem, hint string) {
	quoted := strconv.Quote(path)
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Sprintf("others may write to it (mode %04o)", mode), "chmod go-w " + quoted
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if me := os.Geteuid(); ok && int(stat.Uid) != me && stat.Uid != 0 {
		return fmt.Sprintf("belongs to user id %d, not to you (%d) or root", stat.Uid, me), "run as its owner, or chown it"
	}
	// In a folder where everybody may write, everybody may put another file of the user in this one's place.
	if dir, err := os.Stat(filepath.Dir(path)); err == nil && dir.Mode().Perm()&0o002 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		return "everybody may write to its folder", "chmod o-w " + strconv.Quote(filepath.Dir(path))
	}
	return "", ""
}
