//go:build !windows

package keeper

import "syscall"

const (
	errConnRefused = syscall.ECONNREFUSED
	errConnReset   = syscall.ECONNRESET
)

// inUse: a file can be replaced while it is read.
func inUse(error) bool { return false }
