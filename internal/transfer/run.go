package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

const (
	// smallFile is a size in bytes up to which a file's few requests cost more time than its content.
	smallFile = 256 << 10
	// smallAtOnce and largeAtOnce are how many files are copied at a time. Large ones fill the line by themselves; the others are
	// under way when one waits for its last answers.
	smallAtOnce, largeAtOnce = 64, 8
)

// Result is what became of a file or folder.
type Result struct {
	From, To string
	Bytes    int64
	Err      error
	Part     string // what may be left of an unfinished file, on the side that is copied to; usually nothing
}

// Report is what became of a whole transfer.
type Report struct {
	Files   []Result // in the order of their names
	Failed  []Result // folders, and whatever could not even be looked at
	Skipped []Skipped
}

// Err is the first error, nil for none.
func (r Report) Err() error {
	for _, list := range [][]Result{r.Failed, r.Files} {
		for _, f := range list {
			if f.Err != nil {
				return fmt.Errorf("%s: %w", f.From, f.Err)
			}
		}
	}
	return nil
}

// ErrNotTried says that a file was not even begun, because of what had happened to another.
var ErrNotTried = errors.New("not copied, because of an error before it")

// Meter counts while a transfer goes on. Its zero value is ready for use, and it may be read at any time.
type Meter struct {
	files, bytes         atomic.Int64 // of the whole plan
	doneFiles, doneBytes atomic.Int64
	current              atomic.Value // string
	listed               atomic.Bool
}

// Counts is what a Meter shows.
type Counts struct {
	Files, DoneFiles int64
	Bytes, DoneBytes int64  // DoneBytes may exceed Bytes where a size was not known
	Current          string // the file that was begun last
	Listed           bool   // Files and Bytes are known
}

// Read is the present state.
func (m *Meter) Read() Counts {
	current, _ := m.current.Load().(string)
	return Counts{m.files.Load(), m.doneFiles.Load(), m.bytes.Load(), m.doneBytes.Load(), current, m.listed.Load()}
}

func (m *Meter) plan(p *plan) {
	for _, e := range p.files {
		m.bytes.Add(e.size)
	}
	m.files.Store(int64(len(p.files)))
	m.listed.Store(true)
}

func (m *Meter) note(n int) { m.doneBytes.Add(int64(n)) }

// each copies files, small and large ones side by side, and returns their results in the same order. After an error that
// concerns all of them, the rest is not begun.
func (c *Client) each(ctx context.Context, m *Meter, files []entry, copyOne func(context.Context, entry) Result) []Result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]Result, len(files))
	var group sync.WaitGroup
	for _, class := range []struct {
		atOnce int
		of     func(entry) bool
	}{
		{smallAtOnce, func(e entry) bool { return e.size <= smallFile }},
		{largeAtOnce, func(e entry) bool { return e.size > smallFile }},
	} {
		group.Go(func() {
			free := make(chan struct{}, class.atOnce)
			for i, e := range files {
				if !class.of(e) {
					continue
				}
				free <- struct{}{}
				if ctx.Err() != nil {
					<-free
					results[i] = Result{From: e.from, To: e.to, Err: ErrNotTried}
					continue
				}
				group.Go(func() {
					defer func() { <-free }()
					m.current.Store(e.from)
					results[i] = copyOne(ctx, e)
					if err := results[i].Err; err == nil {
						m.doneFiles.Add(1)
					} else if c.fatal(err) {
						cancel(err)
					}
				})
			}
		})
	}
	group.Wait()
	return results
}

// folders does something with each folder of a level at a time: those of one level side by side.
func (c *Client) folders(ctx context.Context, level []entry, do func(entry)) {
	var group sync.WaitGroup
	free := make(chan struct{}, smallAtOnce)
	for _, e := range level {
		free <- struct{}{}
		if ctx.Err() == nil {
			group.Go(func() {
				defer func() { <-free }()
				do(e)
			})
		}
	}
	group.Wait()
}
