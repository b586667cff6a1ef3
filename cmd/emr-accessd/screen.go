package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// screen draws lines in place on a terminal, from where the cursor was. What was above stays.
type screen struct {
	out           io.Writer
	tty           *os.File // the same
	in            *os.File // nil: nobody can type
	drawn         []string
	width, height int
	redraw        chan struct{} // room for one: the window has another size, or somebody else has written on it

	lost atomic.Bool // somebody else has written on it: all is to be drawn again, from where the cursor is

	mu  sync.Mutex
	was *term.State // of the terminal's input, as it is to be in the end; nil: it was not touched
}

// newScreen returns nil when w is not a terminal that can be drawn on.
func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" || !drawable(f) {
		return nil
	}
	return &screen{out: f, tty: f, redraw: make(chan struct{}, 1)}
}

// size is that of the window, or of an old terminal where it is not known.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.tty.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

const (
	hideCursor, showCursor = "\x1b[?25l", "\x1b[?25h"
	// A terminal that knows them shows what is between the two at once; others ignore them.
	beginUpdate, endUpdate = "\x1b[?2026h", "\x1b[?2026l"
	eraseLine, eraseBelow  = "\x1b[K", "\x1b[J"
	clearAll               = "\x1b[2J\x1b[H"
)

// draw shows lines, none of which may be wider than the window, nor all of them higher. Only those that differ are
// written, all in one write.
func (s *screen) draw(lines []string, width, height int) error {
	var b strings.Builder
	if s.lost.Swap(false) {
		s.drawn = nil
		b.WriteString("\r")
	}
	b.WriteString(beginUpdate + hideCursor)
	switch {
	case s.drawn == nil:
	case width != s.width || height != s.height: // nobody knows how the terminal has broken the lines anew
		b.WriteString(clearAll)
		s.drawn = nil
	case len(s.drawn) > 1:
		fmt.Fprintf(&b, "\r\x1b[%dA", len(s.drawn)-1)
	default:
		b.WriteString("\r")
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		shrinks := i == len(lines)-1 && i < len(s.drawn)-1
		if shrinks {
			b.WriteString(line + eraseBelow)
		} else if i >= len(s.drawn) || s.drawn[i] != line {
			b.WriteString(line + eraseLine)
		}
	}
	b.WriteString("\r" + endUpdate)
	s.drawn, s.width, s.height = lines, width, height
	_, err := io.WriteString(s.out, b.String())
	return err
}

// begin takes the keyboard, if there is one: q, Ctrl-C and Ctrl-D call stop. The function that it returns gives the
// terminal back as it was.
func (s *screen) begin(in *os.File, stop func()) (restore func()) {
	if in != nil && term.IsTerminal(int(in.Fd())) {
		s.in = in
		s.raw()
		go s.keys(stop)
	}
	quiet := s.watchSignals()
	return func() {
		quiet()
		s.cooked()
		_, _ = io.WriteString(s.out, "\r\n"+showCursor)
	}
}

// raw takes the keyboard, each time anew.
func (s *screen) raw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in == nil {
		return
	}
	was, err := term.MakeRaw(int(s.in.Fd())) // what fails leaves Ctrl-C, which is a signal then
	if err == nil && s.was == nil {
		s.was = was
	}
}

// cooked gives the keyboard back.
func (s *screen) cooked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.was != nil {
		_ = term.Restore(int(s.in.Fd()), s.was)
	}
}

// keys reads what is typed, until the process ends: a read of a terminal cannot be taken back.
func (s *screen) keys(stop func()) {
	buf := make([]byte, 64)
	for {
		n, err := s.in.Read(buf)
		for _, key := range buf[:n] {
			switch key {
			case 'q', 'Q', 0x03, 0x04:
				stop()
				return
			case 0x1a: // Ctrl-Z
				s.suspend()
			case 0x0c: // Ctrl-L
				_, _ = io.WriteString(s.out, clearAll)
				s.lost.Store(true)
				s.again()
			}
		}
		if err != nil {
			stop()
			return
		}
	}
}

// resumed takes the terminal again after somebody else had it.
func (s *screen) resumed() {
	s.raw()
	s.lost.Store(true)
	s.again()
}

// again asks for a whole drawing.
func (s *screen) again() {
	select {
	case s.redraw <- struct{}{}:
	default:
	}
}
