//go:build !windows

package ipwatch

import (
	"errors"
	"syscall"
)

// noRouteErrno tells whether an error of the system says positively that there is no route. EADDRNOTAVAIL is what
// connect says when no source address of the family exists, EAFNOSUPPORT when the kernel lacks the family.
func noRouteErrno(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETDOWN) ||
		errors.Is(err, syscall.EAFNOSUPPORT)
}
