//go:build unix

package sshsession

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

func consoleReader(in *os.File) io.Reader { return in }

func prepareOutput(io.Writer) (restore func()) { return func() {} }

// watchSize reports each new size of the terminal until over is closed.
func watchSize(over <-chan struct{}, t *Terminal, width, height int, changed func(width, height int)) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	defer signal.Stop(signals)
	for {
		if w, h := t.size(); w != width || h != height { // at first too: it may have changed during the start
			width, height = w, h
			changed(w, h)
		}
		select {
		case <-over:
			return
		case <-signals:
		}
	}
}
