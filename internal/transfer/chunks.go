package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// errShorter says that a file became shorter while it was read. (One that grows, as a log does, is copied as long as it was.)
var errShorter = errors.New("the file became shorter while it was read")

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// workers runs a step in as many goroutines as n chunks need, until it says that it is over or one fails. A step has a slot and
// a buffer of chunk bytes.
func (c *Client) workers(ctx context.Context, n int64, step func(ctx context.Context, buf []byte) (over bool, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for range max(min(n, inFlight), 1) {
		group.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case c.slots <- struct{}{}:
				}
				if ctx.Err() != nil { // both were ready
					<-c.slots
					return
				}
				buf := buffers.Get().(*[]byte)
				over, err := step(ctx, *buf)
				buffers.Put(buf)
				<-c.slots
				if err != nil {
					cancel(err)
				}
				if over || err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// download copies the first size bytes of src to dst.
func (c *Client) download(ctx context.Context, src io.ReaderAt, size int64, dst io.WriterAt, note func(int)) error {
	var mu sync.Mutex
	var next int64
	one := func(buf []byte) (bool, error) {
		mu.Lock() // the offset is taken with the slot: who waits for the lowest one must not have all slots
		off := next
		next = min(next+chunk, size)
		mu.Unlock()
		if off >= size {
			return true, nil
		}
		buf = buf[:min(chunk, size-off)]
		n, err := src.ReadAt(buf, off)
		switch {
		case n == len(buf):
		case err == nil:
			return true, fmt.Errorf("read: %w", errAnswer)
		case errors.Is(err, io.EOF):
			return true, errShorter
		default:
			return true, fmt.Errorf("read: %w", c.remote(err))
		}
		if _, err := dst.WriteAt(buf, off); err != nil {
			return true, fmt.Errorf("write: %w", here(err))
		}
		note(n)
		return false, nil
	}
	return c.workers(ctx, (size+chunk-1)/chunk, func(_ context.Context, buf []byte) (bool, error) {
		over, err := one(buf)
		if o, ok := dst.(*ordered); ok && err != nil {
			o.stop(err)
		}
		return over, err
	})
}

// downloadUnsized copies a file that does not tell its size, such as those of /proc, up to its end.
func (c *Client) downloadUnsized(ctx context.Context, src io.ReaderAt, dst io.WriterAt, note func(int)) (size int64, err error) {
	err = c.workers(ctx, 1, func(_ context.Context, buf []byte) (bool, error) {
		n, err := src.ReadAt(buf, size)
		if n == 0 && err == nil {
			err = errAnswer
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return true, fmt.Errorf("read: %w", c.remote(err))
		}
		if _, werr := dst.WriteAt(buf[:n], size); werr != nil {
			return true, fmt.Errorf("write: %w", here(werr))
		}
		size += int64(n)
		note(n)
		return err != nil, nil
	})
	return size, err
}

// upload copies src to its end. size is what is expected, for the number of requests; -1 where it is not known.
func (c *Client) upload(ctx context.Context, src io.Reader, size int64, dst io.WriterAt, note func(int)) (written int64, err error) {
	var mu sync.Mutex
	var next int64
	var end error
	n := int64(inFlight)
	if size >= 0 {
		n = size/chunk + 1
	}
	err = c.workers(ctx, n, func(ctx context.Context, buf []byte) (bool, error) {
		mu.Lock()
		if end != nil || ctx.Err() != nil {
			mu.Unlock()
			return true, nil
		}
		off := next
		var n int
		n, end = io.ReadFull(src, buf)
		next += int64(n)
		over, err := end != nil, end
		mu.Unlock()
		if over && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return true, fmt.Errorf("read: %w", err)
		}
		if n > 0 {
			if _, err := dst.WriteAt(buf[:n], off); err != nil {
				err = fmt.Errorf("write: %w", c.remote(err))
				if in, ok := src.(*input); ok {
					in.stop(err) // another worker may wait for input that does not come
				}
				return true, err
			}
			note(n)
		}
		return over, nil
	})
	return next, err
}

// input is a stream whose reads can be ended. (The read of a terminal or a pipe cannot: it is left to end by itself.)
type input struct {
	*io.PipeReader
	pump *io.PipeWriter
}

func newInput(from io.Reader) *input {
	in := &input{}
	in.PipeReader, in.pump = io.Pipe()
	go func() {
		_, err := io.Copy(in.pump, from)
		in.pump.CloseWithError(err)
	}()
	return in
}

// stop lets reads end with an error, now and later.
func (in *input) stop(err error) { in.pump.CloseWithError(err) }

// ordered is a stream that takes chunks in any order and writes them in theirs.
type ordered struct {
	w    io.Writer
	mu   sync.Mutex
	turn *sync.Cond
	next int64
	err  error
}

func newOrdered(w io.Writer) *ordered {
	o := &ordered{w: w}
	o.turn = sync.NewCond(&o.mu)
	return o
}

// WriteAt waits until everything before off is written.
func (o *ordered) WriteAt(p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.next != off && o.err == nil {
		o.turn.Wait()
	}
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.next += int64(n)
	o.err = err
	o.turn.Broadcast()
	return n, err
}

// stop lets everybody go who waits.
func (o *ordered) stop(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.turn.Broadcast()
}
