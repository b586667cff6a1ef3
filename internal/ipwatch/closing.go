package ipwatch

import (
	"context"
	"io"
)

// closeWith closes c when ctx ends, which ends a read of it. The returned function closes it in any case, and has
// closed it when it returns.
func closeWith(ctx context.Context, c io.Closer) (closeNow func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = c.Close() // of what was only read there is nothing to lose
	})
	return func() {
		if stop() {
			_ = c.Close()
			return
		}
		<-closed
	}
}
