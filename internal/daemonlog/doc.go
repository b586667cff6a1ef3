// Package daemonlog is where the daemon's lines go: to journald with their priority, or to a file that does not grow
// without end, which it also reads.
package daemonlog
