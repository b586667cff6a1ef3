//go:build !windows

package transfer

import (
	"errors"
	"syscall"
)

func isDiskFull(err error) bool { return errors.Is(err, syscall.EDQUOT) }
