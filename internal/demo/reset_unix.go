//go:build unix

package demo

import (
	"errors"
	"syscall"
)

// isReset reports whether the other side reset the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
