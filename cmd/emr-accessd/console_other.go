//go:build !windows

package main

// leaveConsole has nothing to do: only Windows opens a window for a program.
func leaveConsole() {}
