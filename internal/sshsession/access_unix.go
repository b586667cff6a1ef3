//go:build unix

package sshsession

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkWritable refuses a file that another user owns or may write. Root may own it: root can do anything anyway.
func checkWritable(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d)", path, stat.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write %s (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), shellQuote(path))
	}
	return nil
}

// checkFolder refuses a folder in which everyone may replace files. (Groups are left alone: many systems give each user an own one.)
func checkFolder(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("everyone may write in the folder %s; run: chmod o-w %s", path, shellQuote(path))
	}
	return nil
}

// checkPrivate refuses a private key that others may read, as OpenSSH does: only for files that the user owns.
func checkPrivate(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return nil
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may read the private key %s (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), shellQuote(path))
	}
	return nil
}
