//go:build !unix

package sshsession

import "io/fs"

// On Windows a user's profile is closed to other users by its access list, and Go's file modes say nothing about it.

func checkWritable(string, fs.FileInfo) error { return nil }

func checkFolder(string) error { return nil }

func checkPrivate(string, fs.FileInfo) error { return nil }
