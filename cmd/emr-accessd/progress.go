package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal what is waited for, once that takes longer than a moment. A nil progress is
// silent: the daemon and pipes have one.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	plain bool // no terminal: whole lines
	what  string
	told  string // plain: the last line
	shown bool   // on a terminal: the line stands there
	timer *time.Timer
}

// patience is how long nothing is said: most rounds are over by then. In a log the long waits alone are worth a line, and one
// in plainPatience.
const (
	patience      = 800 * time.Millisecond
	plainPatience = 3 * time.Second
)

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progress{w: w}
}

// newLongProgress is for what may wait long without a reason that anybody sees: it says so without a terminal, too.
func newLongProgress(w io.Writer) *progress {
	if p := newProgress(w); p != nil {
		return p
	}
	return &progress{w: w, plain: true}
}

func (p *progress) say(what string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.shown {
		p.draw()
		return
	}
	if p.timer == nil && p.plain {
		p.timer = time.AfterFunc(plainPatience, p.log)
	} else if p.timer == nil {
		p.timer = time.AfterFunc(patience, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.what != "" {
				p.shown = true
				p.draw()
			}
		})
	}
}

// log writes a line, and another one when something else is waited for later.
func (p *progress) log() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.what == "" {
		return
	}
	if p.what != p.told {
		p.told = p.what
		fmt.Fprintf(p.w, "emr-accessd: %s\n", printable(p.what))
	}
	p.timer.Reset(plainPatience)
}

func (p *progress) draw() { fmt.Fprintf(p.w, "\r\x1b[K%s …", printable(p.what)) }

// clear takes the line away, before anything else is printed.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.what = ""
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
