package main

import (
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/transfer"
	"golang.org/x/term"
)

const (
	// meterStep is how often the line about a transfer is drawn: often enough to look alive, seldom enough to be read.
	meterStep = 250 * time.Millisecond
	// meterSpan is the time over which a rate is measured. Shorter ones jump, longer ones do not notice a change.
	meterSpan = 5 * time.Second
	// usualWidth is taken for a terminal that does not tell its own, in columns.
	usualWidth = 80
)

// showMeter draws a line about a transfer on a terminal until the func that it returns is called.
func (a *app) showMeter(verb string, m *transfer.Meter) (stop func()) {
	f, ok := a.Err.(*os.File)
	if a.status == nil || !ok {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(meterStep)
		defer tick.Stop()
		var rate rate
		for {
			select {
			case <-end:
				a.status.clear()
				return
			case now := <-tick.C:
				counts := m.Read()
				width := usualWidth
				if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
					width = w
				}
				a.status.line(meterLine(verb, counts, rate.add(now, counts.DoneBytes), width-1))
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// rate measures bytes per second over the last few seconds.
type rate struct {
	at    []time.Time
	bytes []int64
}

func (r *rate) add(now time.Time, bytes int64) float64 {
	r.at, r.bytes = append(r.at, now), append(r.bytes, bytes)
	for len(r.at) > 2 && now.Sub(r.at[0]) > meterSpan {
		r.at, r.bytes = r.at[1:], r.bytes[1:]
	}
	span := now.Sub(r.at[0]).Seconds()
	if span <= 0 {
		return 0
	}
	return float64(bytes-r.bytes[0]) / span
}

// meterLine is one line of at most width columns, whose most important words come first.
func meterLine(verb string, c transfer.Counts, perSecond float64, width int) string {
	var parts []string
	switch {
	case !c.Listed && c.DoneBytes == 0:
		return clip(verb+": looking at the files", width)
	case c.Listed && c.Files == 1 || !c.Listed:
		parts = append(parts, verb)
	default:
		parts = append(parts, fmt.Sprintf("%s: %d of %d files", verb, c.DoneFiles, c.Files))
	}
	if c.Listed && c.Bytes > 0 {
		done := min(c.DoneBytes, c.Bytes)
		parts = append(parts, fmt.Sprintf("%d %% of %s", done*100/c.Bytes, size(c.Bytes)))
	} else {
		parts = append(parts, size(c.DoneBytes))
	}
	if perSecond >= 1 {
		parts = append(parts, size(int64(perSecond))+"/s")
		if left := c.Bytes - c.DoneBytes; c.Listed && left > 0 {
			parts = append(parts, timeLeft(float64(left)/perSecond)+" left")
		}
	}
	if name := path.Base(c.Current); c.Current != "" {
		parts = append(parts, name)
	}
	return clip(strings.Join(parts, ", "), width)
}

// timeLeft is a guess, so it has no fractions.
func timeLeft(seconds float64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%.0f s", max(seconds, 1))
	case seconds > maxLeft.Seconds():
		return "days"
	}
	return duration(time.Duration(seconds) * time.Second)
}

// maxLeft is how far ahead a guess still means anything.
const maxLeft = 48 * time.Hour

// clip makes a text safe for a terminal, and cuts it so that it stays on one line.
func clip(s string, width int) string {
	r := []rune(printable(s))
	if len(r) <= width {
		return string(r)
	}
	return string(r[:max(width-1, 0)]) + "…"
}

// line draws a line at once. (say waits whether it is needed, and is for what takes a moment.)
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.shown = text, true
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}
