//go:build linux

package bootlab

import "runtime"

// lockThread keeps the goroutine on its thread to its end. The thread ends with it, and not before.
func lockThread() { runtime.LockOSThread() }
