package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
)

const (
	// chunk is the size of one request in bytes: what every server takes.
	chunk = 32 << 10
	// inFlight is how many requests for data are under way at a time, over all files. Together they are 2 MiB, the window of an SSH
	// channel here and in OpenSSH: more would only wait.
	inFlight = 64
	// inFlightLists is how many folders are listed at a time.
	inFlightLists = 16
	// patience is how long requests that are under way may still take when the user has had enough.
	patience = 3 * time.Second
)

var (
	// ErrLost says that the server ended the SFTP session, or that the connection under it broke.
	ErrLost = errors.New("the server ended the file transfer")
	// ErrNoSFTP says that what answers does not speak SFTP.
	ErrNoSFTP = errors.New("the server does not speak SFTP")
)

// Client is an SFTP session.
type Client struct {
	sftp  *sftp.Client
	cut   func() // ends the connection under the session, and with it every request that waits
	slots chan struct{}
	lists chan struct{}
	lost  *atomic.Bool
	ended chan struct{} // closed when the session has ended

	patience time.Duration
}

// Open begins a session on a stream to an SFTP server. cut must end the stream at once, also where it is stuck; it may be called
// more than once.
func Open(ctx context.Context, stream io.ReadWriteCloser, cut func()) (*Client, error) {
	c := &Client{cut: cut, slots: make(chan struct{}, inFlight), lists: make(chan struct{}, inFlightLists), lost: &atomic.Bool{},
		ended: make(chan struct{}), patience: patience}
	stop := context.AfterFunc(ctx, cut)
	session, err := sftp.NewClientPipe(stream, lossy{stream, c.lost}, sftp.MaxConcurrentRequestsPerFile(inFlight))
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSFTP, err)
	}
	c.sftp = session
	go func() {
		_ = session.Wait()
		c.lost.Store(true)
		close(c.ended)
	}()
	return c, nil
}

// lossy notes when the stream can no longer be written, which pkg/sftp reports as any other error.
type lossy struct {
	io.WriteCloser
	lost *atomic.Bool
}

func (w lossy) Write(p []byte) (int, error) {
	n, err := w.WriteCloser.Write(p)
	if err != nil {
		w.lost.Store(true)
	}
	return n, err
}

// isLost tells errors that come from the end of the session.
func (c *Client) isLost(err error) bool {
	return errors.Is(err, ErrLost) || errors.Is(err, sftp.ErrSSHFxConnectionLost) || err != nil && c.lost.Load()
}

// remote makes an error of the server one that says what happened.
func (c *Client) remote(err error) error {
	if c.isLost(err) {
		return ErrLost
	}
	if status, ok := errors.AsType[*sftp.StatusError](err); ok && status.Code == failure {
		return errFailure // "Failure", and the server has no more words for it
	}
	return err
}

// failure is SSH_FX_FAILURE, which OpenSSH answers for each error number that the protocol has no code for, a full disk among them.
const failure = 4

var errFailure = errors.New(`the server says "failure" and no more`)

// FullError says that a disk is full.
type FullError struct {
	Here   bool   // on this side
	Folder string // on it
	Free   uint64 // bytes that the server still has, or 0 where that is not known
	Files  bool   // there is space, but no room for another file (inodes)
}

func (e *FullError) Error() string {
	switch {
	case e.Here:
		return "the disk of this computer is full"
	case e.Files:
		return fmt.Sprintf("the disk of the node takes no more files (%s)", e.Folder)
	}
	return fmt.Sprintf("the disk of the node is full: %s has %d bytes left", e.Folder, e.Free)
}

// full looks whether a failed write to a folder of the server is its full disk, which the protocol cannot say.
func (c *Client) full(err error, folder string) error {
	if !errors.Is(err, errFailure) {
		return err
	}
	st := c.freeSpace(folder)
	if st == nil {
		return fmt.Errorf("%w: a full disk or a quota is the usual reason", err)
	}
	free := st.Bavail * st.Frsize
	switch {
	case free < chunk:
		return &FullError{Folder: folder, Free: free}
	case st.Files > 0 && st.Favail == 0:
		return &FullError{Folder: folder, Files: true}
	}
	return err
}

// here makes an error of this computer one that says what happened.
func here(err error) error {
	if errors.Is(err, syscall.ENOSPC) || isDiskFull(err) {
		return &FullError{Here: true}
	}
	return err
}

// fatal tells errors after which the other files need not be tried.
func (c *Client) fatal(err error) bool {
	_, full := errors.AsType[*FullError](err)
	return full || c.isLost(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// leave ends everything that still waits for the server some time after the context has ended. The time is for requests that are
// under way, and to remove what was begun.
func (c *Client) leave(ctx context.Context) (stop func()) {
	var mu sync.Mutex
	var late *time.Timer
	done := false
	cancel := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			late = time.AfterFunc(c.patience, c.cut)
		}
	})
	return func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		done = true
		if late != nil {
			late.Stop()
		}
	}
}
