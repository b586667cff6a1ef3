//go:build unix

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

func TestLoadRefusesWhatOthersCanWrite(t *testing.T) {
	for mode, accepted := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o644: true, 0o755: true,
		0o620: false, 0o602: false, 0o664: false, 0o666: false,
	} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			path := write(t, "")
			chmod(t, path, mode)
			if accepted {
				if _, err := config.Load(path); err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, path, fmt.Sprintf("others may write to it (mode %04o)", mode), fmt.Sprintf("chmod go-w %q", path))
		})
	}
}

func TestLoadRefusesOpenFolder(t *testing.T) {
	path := write(t, "")
	dir := filepath.Dir(path)
	chmod(t, dir, 0o777)
	refused(t, path, "everybody may write to its folder", "chmod o-w")
	chmod(t, dir, 0o777|os.ModeSticky) // as /tmp: others can add files, but not replace this one
	if _, err := config.Load(path); err != nil {
		t.Error(err)
	}
}

func TestLoadRefusesForeignFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := write(t, "")
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	refused(t, path, "belongs to user id 12345, not to you (0) or root", "run as its owner")
}

// A link is judged by what it leads to, and a pipe is refused without waiting for its writer.
func TestLoadLinkAndPipe(t *testing.T) {
	path := write(t, "")
	link := filepath.Join(filepath.Dir(path), "link.toml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(link); err != nil {
		t.Error(err)
	}
	chmod(t, path, 0o666)
	refused(t, link, "others may write to it", "chmod go-w")
	pipe := filepath.Join(filepath.Dir(path), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, pipe, "is not a regular file", "")
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
