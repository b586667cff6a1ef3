//go:build !unix

package demo

import "os"

// politeEnd says whether askToEnd lets a process end by itself.
const politeEnd = false

// askToEnd kills: Windows knows no signal for another process.
func askToEnd(p *os.Process) error { return p.Kill() }
