package demo

import (
	"errors"
	"syscall"
)

// isReset reports whether the other side reset the connection: WSAECONNRESET and WSAECONNABORTED on Windows.
func isReset(err error) bool {
	return errors.Is(err, syscall.Errno(10054)) || errors.Is(err, syscall.Errno(10053))
}
