//go:build unix

package main

import (
	"os"
	"syscall"
)

// signalStatus is the status of a program that a signal has ended, as shells tell it: 128 and the signal's number.
func signalStatus(state *os.ProcessState) int {
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return 255
}
