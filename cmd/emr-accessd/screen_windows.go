package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// drawable asks a console to understand control sequences; one before Windows 10 does not.
func drawable(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	return windows.GetConsoleMode(h, &mode) == nil &&
		windows.SetConsoleMode(h, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// suspend does nothing: there is no such thing here.
func (s *screen) suspend() {}

// watchSignals has nothing to watch; the size is asked for at each drawing.
func (s *screen) watchSignals() (stop func()) { return func() {} }
