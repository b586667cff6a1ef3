package main

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// leaveConsole closes the window that Windows opened for this program alone, when a logon task starts it. A console
// with a shell in it stays, and Ctrl-C in it ends the program.
func leaveConsole() {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	var processes [2]uint32
	n, _, _ := kernel.NewProc("GetConsoleProcessList").Call(uintptr(unsafe.Pointer(&processes[0])), uintptr(len(processes)))
	if n == 1 {
		_, _, _ = kernel.NewProc("FreeConsole").Call()
	}
}
