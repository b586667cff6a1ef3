package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/pkg/sftp"
)

// Options are what Put and Get have in common.
type Options struct {
	Meter  *Meter // may be nil
	DryRun bool   // only list what would be copied; Bytes of the results are sizes
	Follow bool   // symbolic links in folders are what they lead to; otherwise they are left out
}

// putter is one call of Put.
type putter struct {
	c        *Client
	meter    *Meter
	folder   string // on the server
	mu       sync.Mutex
	made     []entry         // folders that were made, and so get modes and times
	broken   map[string]bool // folders that could not be made
	problems []Result
}

// Put copies files and folders of this computer to the server. dest is understood as by cp, see place; "" is the account's home.
// The error is one that came before anything was copied; what became of the files is in the report.
func (c *Client) Put(ctx context.Context, paths []string, dest string, opt Options) (Report, error) {
	defer c.leave(ctx)()
	p, d, closeAll, err := c.planPut(ctx, paths, dest, opt.Follow)
	defer closeAll()
	if err != nil {
		return Report{}, err
	}
	u := &putter{c: c, meter: opt.Meter, folder: d.folder, broken: map[string]bool{}}
	if u.meter == nil {
		u.meter = &Meter{}
	}
	u.meter.plan(p)
	if opt.DryRun {
		return dryRun(p, u.to), nil
	}
	if d.mkdir {
		if err := c.mkdirAll(d.folder); err != nil {
			return Report{}, fmt.Errorf("make the folder %s on the node: %w", d.folder, err)
		}
	}
	for _, level := range p.levels() {
		c.folders(ctx, level, u.mkdir)
	}
	r := Report{Skipped: p.skipped, Files: c.each(ctx, u.meter, p.files, u.file)}
	c.finish(ctx, u.made, u.attributes)
	r.Failed = append(p.failed, u.problems...)
	return r, nil
}

// planPut finds out what is to be copied where.
func (c *Client) planPut(ctx context.Context, paths []string, dest string, follow bool) (_ *plan, _ destination, closeAll func(), err error) {
	p := &plan{follow: follow}
	closeAll = p.close
	var sources []source
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, destination{}, closeAll, err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, destination{}, closeAll, &PlaceError{path, "is " + kindOf(info.Mode()) + ", not a file or folder"}
		}
		sources = append(sources, source{path, localBase(path), info.IsDir()})
	}
	d, err := c.remotePlace(sources, dest)
	if err != nil {
		return nil, d, closeAll, err
	}
	for i, s := range sources {
		if err := p.listLocal(ctx, s, d.names[i]); err != nil {
			return nil, d, closeAll, err
		}
	}
	p.sort()
	return p, d, closeAll, nil
}

// remotePlace decides where sources go on the server, and sees that the folder is there.
func (c *Client) remotePlace(sources []source, dest string) (destination, error) {
	if dest == "" {
		dest = "."
	}
	where, err := remotePath(dest)
	if err != nil {
		return destination{}, err
	}
	at, err := c.look(trimSlash(where))
	if err != nil {
		return destination{}, err
	}
	slash := strings.HasSuffix(where, "/") || base(where) == ""
	d, err := place(sources, trimSlash(where), at, slash, splitRemote)
	if err != nil || at == isFolder || d.mkdir {
		return d, err
	}
	if at, err = c.look(d.folder); err == nil && at != isFolder {
		err = &PlaceError{d.folder, "is no folder on the node"}
	}
	return d, err
}

func splitRemote(p string) (folder, name string) {
	folder, name = path.Split(p)
	if folder == "" {
		folder = "."
	}
	return trimSlash(folder), name
}

// look finds out what is at a path of the server.
func (c *Client) look(p string) (state, error) {
	info, err := c.stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing, nil
	case err != nil:
		return missing, fmt.Errorf("%s: %w", p, c.remote(err))
	case info.IsDir():
		return isFolder, nil
	case special(info):
		return missing, &PlaceError{p, notPlain}
	}
	return isFile, nil
}

func (u *putter) to(e entry) string { return under(u.folder, e.to) }

// mkdir makes a folder unless there is one.
func (u *putter) mkdir(e entry) {
	if e.to == "" {
		return
	}
	err := u.c.sftp.Mkdir(u.to(e))
	made := err == nil
	if err != nil && !u.c.isLost(err) {
		if info, serr := u.c.stat(u.to(e)); serr == nil && info.IsDir() {
			err = nil
		} else if serr == nil {
			err = errors.New("there is a file of this name")
		} else {
			err = u.c.full(u.c.remote(err), path.Dir(u.to(e)))
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if made {
		u.made = append(u.made, e)
	}
	if err != nil {
		u.broken[e.to] = true
		if !u.broken[path.Dir(e.to)] {
			u.problems = append(u.problems, Result{From: e.from, To: u.to(e), Err: fmt.Errorf("make the folder %s: %w", u.to(e), u.c.remote(err))})
		}
	}
}

// attributes gives a folder that was made the mode and time of its source, once nothing more is put into it.
func (u *putter) attributes(e entry) {
	// A folder that has no attributes of its source is no reason to call a transfer failed: all files are there.
	if keepsModes {
		_ = u.c.sftp.Chmod(u.to(e), e.mode.Perm())
	}
	_ = u.c.sftp.Chtimes(u.to(e), e.time, e.time)
}

// keepsModes says that this system's files have modes that mean something elsewhere.
const keepsModes = runtime.GOOS != "windows"

var errFolder = errors.New("its folder could not be made")

// file copies one file.
func (u *putter) file(ctx context.Context, e entry) Result {
	r := Result{From: e.from, To: u.to(e)}
	if u.broken[path.Dir(e.to)] {
		r.Err = errFolder
		return r
	}
	f, err := e.open()
	if err != nil {
		r.Err = err
		return r
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file any more")
	}
	if err != nil {
		r.Err = err
		return r
	}
	u.meter.bytes.Add(info.Size() - e.size)
	r.Bytes, r.Part, r.Err = u.c.store(ctx, r.To, u.meter.note, func(ctx context.Context, dst *sftp.File, part string) (int64, error) {
		if keepsModes { // before there is anything in it: a secret must not be open to others for a moment
			if err := dst.Chmod(info.Mode().Perm()); err != nil {
				return 0, fmt.Errorf("set its mode: %w", u.c.remote(err))
			}
		}
		n, err := u.c.upload(ctx, io.LimitReader(f, info.Size()), info.Size(), dst, u.meter.note)
		if err == nil && n < info.Size() {
			err = errShorter
		}
		return n, err
	}, func(part string) error {
		if err := u.c.sftp.Chtimes(part, info.ModTime(), info.ModTime()); err != nil {
			return fmt.Errorf("set its time: %w", u.c.remote(err))
		}
		return nil
	})
	return r
}

// store makes a file on the server: fill writes it under another name, and only a whole one gets its own. What could not be
// removed again is returned as left.
func (c *Client) store(ctx context.Context, to string, note func(int), fill func(context.Context, *sftp.File, string) (int64, error),
	finish func(part string) error) (n int64, left string, err error) {
	folder, name := splitRemote(to)
	part := under(folder, partName(name))
	if ctx.Err() != nil {
		return 0, "", context.Cause(ctx)
	}
	dst, err := c.openFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		if c.isLost(err) {
			left = part // the answer may be what was lost
		}
		return 0, left, c.explainOpen(err, folder)
	}
	defer func() {
		if err == nil {
			return
		}
		_ = dst.Close()
		if rerr := c.remove(part); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			left = part
		}
	}()
	if n, err = fill(ctx, dst, part); err != nil {
		return n, "", c.full(err, folder)
	}
	if err = c.complete(dst, part, to, n, finish); err != nil {
		return n, "", c.full(err, folder)
	}
	if ctx.Err() != nil {
		return n, "", context.Cause(ctx)
	}
	return n, "", c.replace(part, to)
}

// complete closes a part, checks its size and whose name it gets, and does what else must be done before that, all at a time.
func (c *Client) complete(dst *sftp.File, part, to string, size int64, finish func(part string) error) error {
	var errs [4]error
	var group sync.WaitGroup
	group.Go(func() { errs[0] = finish(part) })
	group.Go(func() {
		info, err := c.stat(part)
		switch {
		case err != nil:
			errs[1] = fmt.Errorf("look at what was sent: %w", c.remote(err))
		case info.Size() != size:
			errs[1] = fmt.Errorf("%d bytes were sent, and the node has %d", size, info.Size())
		}
	})
	group.Go(func() {
		if info, err := c.lstat(to); err == nil && special(info) { // what cannot be looked at is for the rename to tell
			errs[3] = errSpecial
		}
	})
	group.Wait()
	if err := dst.Close(); err != nil {
		errs[2] = fmt.Errorf("close: %w", c.remote(err))
	}
	return errors.Join(errs[:]...)
}

func (c *Client) explainOpen(err error, folder string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist on the node", folder)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("make a file in %s: %w", folder, err)
	}
	return c.full(fmt.Errorf("make a file: %w", c.remote(err)), folder)
}

// replace gives a whole file its name.
func (c *Client) replace(part, to string) error {
	rename := c.sftp.PosixRename
	if _, ok := c.sftp.HasExtension("posix-rename@openssh.com"); !ok {
		rename = c.sftp.Rename // refuses an existing file, which is better than a moment without one
	}
	err := rename(part, to)
	if err == nil || c.isLost(err) {
		return c.remote(err)
	}
	if at, lerr := c.look(to); lerr == nil && at == isFolder {
		return errors.New("there is a folder of this name")
	}
	return fmt.Errorf("rename the finished file: %w", c.remote(err))
}

// PutStream copies a stream of unknown length to a file of the server, which gets the mode that the server gives new files.
func (c *Client) PutStream(ctx context.Context, from io.Reader, dest string, opt Options) (Report, error) {
	defer c.leave(ctx)()
	d, err := c.remotePlace([]source{{path: "standard input"}}, dest)
	if err != nil {
		return Report{}, err
	}
	m := opt.Meter
	if m == nil {
		m = &Meter{}
	}
	in := newInput(from)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-over:
		case <-ctx.Done():
			in.stop(context.Cause(ctx))
		case <-c.ended: // nothing may have been under way that would have noticed
			in.stop(ErrLost)
		}
	}()
	r := Result{From: "-", To: under(d.folder, d.names[0])}
	r.Bytes, r.Part, r.Err = c.store(ctx, r.To, m.note, func(ctx context.Context, dst *sftp.File, _ string) (int64, error) {
		return c.upload(ctx, in, -1, dst, m.note)
	}, func(string) error { return nil })
	return Report{Files: []Result{r}}, nil
}
