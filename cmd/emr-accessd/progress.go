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
	what  string
	shown bool
	timer *time.Timer
}

// patience is how long nothing is said: most rounds are over by then.
const patience = 800 * time.Millisecond

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progress{w: w}
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
	if p.timer == nil {
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
