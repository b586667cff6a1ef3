//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// become lets a command run as another user, with that user's groups and no others.
func become(cmd *exec.Cmd, u *user.User) error {
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	ids, err3 := u.GroupIds()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, id := range ids {
		g, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return err
		}
		cred.Groups = append(cred.Groups, uint32(g))
	}
	// In a session of its own it has no terminal: what the user's AWS configuration starts could type into root's.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setsid: true}
	return nil
}

// keptFromOthers refuses a program that somebody else could replace: it will run as its user, again and again.
func keptFromOthers(exe string) error {
	real, err := filepath.EvalSymlinks(exe)
	if err != nil {
		return err
	}
	for _, path := range []string{exe, real} {
		if err := keptWayFromOthers(path); err != nil {
			return err
		}
	}
	return nil
}

func keptWayFromOthers(path string) error {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
		if info.Mode().Perm()&0o002 != 0 && !sticky {
			return hinted{fmt.Errorf("everybody may write to %s, and so replace the program that the service would run", path), exitUsage,
				"move the program, for example to ~/.local/bin, or: chmod o-w " + strconv.Quote(path)}
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}
