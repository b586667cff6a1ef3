//go:build !unix

package main

import (
	"errors"
	"os/exec"
	"os/user"
)

// become is for systems with a root.
func become(*exec.Cmd, *user.User) error { return errors.New("--user is for Linux and macOS") }

// keptFromOthers has nothing to say: folders of users are closed to others by their ACLs.
func keptFromOthers(string) error { return nil }
