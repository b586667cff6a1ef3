//go:build !unix

package main

import "os"

// signalStatus is the status of a program that did not end by itself.
func signalStatus(*os.ProcessState) int { return 255 }
