//go:build unix

package demo

import (
	"os"
	"syscall"
)

// politeEnd says whether askToEnd lets a process end by itself.
const politeEnd = true

// askToEnd sends SIGTERM, as service managers do.
func askToEnd(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
