package sshsession

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// screenState follows what a program on the server does to the terminal, as far as it outlives the program: the alternate screen, a
// hidden cursor, mouse reports, bracketed paste. A program that ends undoes it by itself; when the link is lost nobody does, and the
// terminal would be left behind unusable although its modes are restored. It is a state machine over bytes, so it does not matter how
// the output is cut.
type screenState struct {
	mu     sync.Mutex
	state  int
	params []byte
	unused bool  // nothing but text was seen
	odd    []int // DEC private modes that are not as a terminal begins with, in the order of their change
	keypad bool  // the keypad sends other keys
}

func newScreenState() *screenState { return &screenState{unused: true} }

// The states of the machine.
const (
	inText    = iota
	inEscape  // ESC
	inCSI     // ESC [
	inPrivate // ESC [ ?
)

const (
	// maxParams bounds the parameters of one sequence, in bytes. Longer ones are no sequence that matters here.
	maxParams = 64
	// maxOdd bounds the modes that are followed.
	maxOdd = 64
)

// undone are the DEC private modes that are undone, with what a terminal begins with (xterm's "Control Sequences", DECSET).
func undone() map[int]bool {
	modes := map[int]bool{7: true, 25: true} // lines wrap, the cursor is shown
	for _, m := range []int{1, 5, 6, 9, 47, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1048, 1049, 2004, 2026} {
		modes[m] = false
	}
	return modes
}

// Write follows a piece of output. It never fails.
func (s *screenState) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := p; len(rest) > 0; rest = rest[1:] {
		if s.state == inText { // most of the output
			i := bytes.IndexByte(rest, 0x1b)
			if i < 0 {
				break
			}
			rest = rest[i:]
		}
		s.next(rest[0])
	}
	return len(p), nil
}

func (s *screenState) next(b byte) {
	if b == 0x1b {
		s.state, s.unused = inEscape, false
		return
	}
	switch s.state {
	case inEscape:
		s.state = inText
		switch b {
		case '[':
			s.state, s.params = inCSI, s.params[:0]
		case '=', '>':
			s.keypad = b == '='
		case 'c': // the program has reset the terminal itself
			s.odd, s.keypad = nil, false
		}
	case inCSI:
		s.state = inText
		if b == '?' {
			s.state = inPrivate
		}
	case inPrivate:
		switch {
		case (b >= '0' && b <= '9' || b == ';') && len(s.params) < maxParams:
			s.params = append(s.params, b)
		default:
			s.state = inText
			if b == 'h' || b == 'l' {
				s.change(b == 'h')
			}
		}
	}
}

// change notes modes that are set or reset.
func (s *screenState) change(on bool) {
	for param := range strings.SplitSeq(string(s.params), ";") {
		mode, err := strconv.Atoi(param)
		usual, known := undone()[mode]
		if err != nil || !known {
			continue
		}
		s.odd = slices.DeleteFunc(s.odd, func(m int) bool { return m == mode })
		if on != usual && len(s.odd) < maxOdd {
			s.odd = append(s.odd, mode)
		}
	}
}

// undo is what brings the terminal back to what it begins with; empty where nothing is to be undone.
func (s *screenState) undo() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unused {
		return ""
	}
	var b strings.Builder
	if s.state != inText {
		b.WriteByte(0x18) // CAN ends a sequence that was cut
	}
	for _, mode := range slices.Backward(s.odd) {
		letter := "l"
		if undone()[mode] {
			letter = "h"
		}
		b.WriteString("\x1b[?" + strconv.Itoa(mode) + letter)
	}
	if s.keypad {
		b.WriteString("\x1b>")
	}
	b.WriteString("\x1b(B\x1b[0m") // letters are letters, in no colour
	return b.String()
}
