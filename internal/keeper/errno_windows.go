package keeper

import (
	"errors"

	"golang.org/x/sys/windows"
)

const (
	errConnRefused = windows.WSAECONNREFUSED
	errConnReset   = windows.WSAECONNRESET
)

// inUse tells that a file could not be replaced because somebody has it open (MoveFileEx).
func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
