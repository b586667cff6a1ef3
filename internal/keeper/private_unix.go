//go:build unix

package keeper

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// private refuses a state folder that somebody else owns or can write.
func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("state folder %s belongs to another user (uid %d); run emr-accessd as that user, or set EMR_ACCESSD_STATE", dir, st.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("state folder %s can be written by others; run: chmod go-w %s", dir, dir)
	}
	return nil
}

// privateFile refuses a file in it that somebody else owns or can write.
func privateFile(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o022 != 0 || ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("others could have written it (mode %v)", info.Mode())
	}
	return nil
}
