//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peakOf is the most resident memory that a process had, in KB.
func peakOf(p *os.ProcessState) int {
	use, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int(use.Maxrss) / 1024 // bytes there (getrusage(2))
	}
	return int(use.Maxrss)
}
