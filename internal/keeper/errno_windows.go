package keeper

import "golang.org/x/sys/windows"

const (
	errConnRefused = windows.WSAECONNREFUSED
	errConnReset   = windows.WSAECONNRESET
)
