//go:build unix

package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

// drawable reports whether a terminal understands control sequences.
func drawable(*os.File) bool { return true }

// suspend stops the job, as Ctrl-Z does where the keyboard was not taken. SIGCONT takes it again.
func (s *screen) suspend() {
	s.cooked()
	_, _ = io.WriteString(s.out, "\r\n"+showCursor)
	_ = syscall.Kill(0, syscall.SIGTSTP)
}

// watchSignals takes the terminal again when the process goes on, and redraws at once in a window of another size.
func (s *screen) watchSignals() (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				if sig == syscall.SIGCONT { // the shell has set the terminal to what it likes
					s.resumed()
				} else {
					s.again()
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended // it must not take the keyboard again after it was given back
	}
}
