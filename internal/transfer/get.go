package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// getter is one call of Get. All that it writes is below root.
type getter struct {
	c        *Client
	meter    *Meter
	root     *os.Root
	mu       sync.Mutex
	made     []entry
	broken   map[string]bool
	problems []Result
	written  map[identity][]fs.FileInfo // files of this call, to notice when two names are one file here
}

// identity narrows down which files can be the same one.
type identity struct {
	size int64
	time time.Time
}

// Get copies files and folders of the server to this computer. dest is understood as by cp, see place. The error is one that came
// before anything was copied; what became of the files is in the report.
func (c *Client) Get(ctx context.Context, paths []string, dest string, opt Options) (Report, error) {
	defer c.leave(ctx)()
	p, d, err := c.planGet(ctx, paths, dest, opt.Follow)
	if err != nil {
		return Report{}, err
	}
	g := &getter{c: c, meter: opt.Meter, broken: map[string]bool{}, written: map[identity][]fs.FileInfo{}}
	if g.meter == nil {
		g.meter = &Meter{}
	}
	g.meter.plan(p)
	if opt.DryRun {
		return dryRun(p, func(e entry) string { return filepath.Join(d.folder, filepath.FromSlash(e.to)) }), nil
	}
	if d.mkdir {
		if err := os.MkdirAll(d.folder, 0o777); err != nil {
			return Report{}, err
		}
	}
	if g.root, err = os.OpenRoot(d.folder); err != nil {
		return Report{}, err
	}
	defer g.root.Close()
	for _, level := range p.levels() {
		for _, e := range level {
			g.mkdir(e)
		}
	}
	r := Report{Skipped: p.skipped, Files: c.each(ctx, g.meter, p.files, g.file)}
	c.finish(ctx, g.made, g.attributes)
	r.Failed = append(p.failed, g.problems...)
	return r, nil
}

// planGet finds out what is to be copied where.
func (c *Client) planGet(ctx context.Context, paths []string, dest string, follow bool) (*plan, destination, error) {
	sources, infos, err := c.sources(ctx, paths)
	if err != nil {
		return nil, destination{}, err
	}
	if dest == "" {
		dest = "."
	}
	slash := os.IsPathSeparator(dest[len(dest)-1]) || localBase(dest) == ""
	for len(dest) > len(filepath.VolumeName(dest))+1 && os.IsPathSeparator(dest[len(dest)-1]) {
		dest = dest[:len(dest)-1]
	}
	at := missing
	info, err := os.Stat(dest)
	switch {
	case err == nil && info.IsDir():
		at = isFolder
	case err == nil && (special(info) || ownStream(dest)):
		return nil, destination{}, &PlaceError{dest, notPlain + "; - is standard output"}
	case err == nil:
		at = isFile
	case !errors.Is(err, fs.ErrNotExist):
		return nil, destination{}, err
	}
	d, err := place(sources, dest, at, slash, splitLocal)
	if err != nil {
		return nil, d, err
	}
	p := &plan{follow: follow}
	for i, s := range sources {
		if err := c.listRemote(ctx, p, s, d.names[i], infos[i]); err != nil {
			return nil, d, err
		}
	}
	p.sort()
	return p, d, nil
}

// ownStream reports whether a path is a name of what this process reads or writes, such as /dev/stdout: to replace it would take it
// from all programs.
func ownStream(dest string) bool {
	to, err := os.Readlink(dest)
	return err == nil && strings.HasPrefix(to, "/proc/")
}

// sources looks at what is to be copied.
func (c *Client) sources(ctx context.Context, paths []string) ([]source, []fs.FileInfo, error) {
	var all []string
	for _, p := range paths {
		p, err := remotePath(p)
		if err != nil {
			return nil, nil, err
		}
		found, err := c.expand(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, found...)
	}
	infos, errs := make([]fs.FileInfo, len(all)), make([]error, len(all))
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() {
			c.lists <- struct{}{}
			defer func() { <-c.lists }()
			infos[i], errs[i] = c.stat(p)
		})
	}
	group.Wait()
	var sources []source
	for i, p := range all {
		err := errs[i]
		if err == nil && !infos[i].IsDir() && !infos[i].Mode().IsRegular() {
			return nil, nil, &PlaceError{p, "is " + kindOf(infos[i].Mode()) + ", not a file or folder"}
		}
		if err == nil && infos[i].Size() < 0 {
			err = errors.New("the server tells an impossible size")
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, &PlaceError{p, "does not exist on the node"}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p, c.remote(err))
		}
		sources = append(sources, source{p, base(trimSlash(p)), infos[i].IsDir()})
	}
	return sources, infos, nil
}

func splitLocal(p string) (folder, name string) { return filepath.Dir(p), localBase(p) }

func (g *getter) to(e entry) string { return filepath.Join(g.root.Name(), filepath.FromSlash(e.to)) }

// mkdir makes a folder unless there is one.
func (g *getter) mkdir(e entry) {
	if e.to == "" {
		return
	}
	rel := filepath.FromSlash(e.to)
	err := g.root.Mkdir(rel, e.mode.Perm()|0o700) // so that files can be put into it; attributes sets the rest
	switch {
	case err == nil:
		g.made = append(g.made, e)
	case errors.Is(err, fs.ErrExist):
		info, serr := g.root.Stat(rel)
		if err = serr; err == nil && !info.IsDir() {
			err = errors.New("there is a file of this name")
		}
	}
	if err != nil {
		g.broken[e.to] = true
		if !g.broken[path.Dir(e.to)] {
			g.problems = append(g.problems, Result{From: e.from, To: g.to(e), Err: fmt.Errorf("make the folder %s: %w", g.to(e), here(err))})
		}
	}
}

// attributes gives a folder that was made the mode and time of its source, once nothing more is put into it.
func (g *getter) attributes(e entry) {
	// A folder that has no attributes of its source is no reason to call a transfer failed: all files are there.
	rel := filepath.FromSlash(e.to)
	if info, err := g.root.Lstat(rel); err == nil && info.IsDir() && keepsModes {
		_ = g.root.Chmod(rel, info.Mode().Perm()&e.mode.Perm()) // less is taken away only: the umask was in it
	}
	_ = g.root.Chtimes(rel, e.time, e.time)
}

// finish does what is left to be done with the folders that were made: the deepest first, whose parents may take the right away.
func (c *Client) finish(ctx context.Context, made []entry, attributes func(entry)) {
	levels := (&plan{folders: made}).levels()
	for i := len(levels) - 1; i >= 0; i-- {
		c.folders(ctx, levels[i], attributes)
	}
}

// file copies one file.
func (g *getter) file(ctx context.Context, e entry) (r Result) {
	r = Result{From: e.from, To: g.to(e)}
	if g.broken[path.Dir(e.to)] {
		r.Err = errFolder
		return r
	}
	src, info, err := g.c.open(e.from)
	if err != nil {
		r.Err = err
		return r
	}
	defer func() { go src.Close() }() // nobody waits for the answer
	g.meter.bytes.Add(info.Size() - e.size)
	rel := filepath.FromSlash(e.to)
	part := filepath.Join(filepath.Dir(rel), partName(filepath.Base(rel)))
	mode := info.Mode().Perm()
	if !keepsModes {
		mode = 0o666
	}
	dst, err := g.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) // the umask takes its share
	if err != nil {
		r.Err = here(err)
		return r
	}
	defer func() {
		if r.Err == nil {
			return
		}
		_ = dst.Close()
		if err := g.root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Part = filepath.Join(g.root.Name(), part)
		}
	}()
	if r.Bytes, r.Err = g.c.fetch(ctx, src, info, dst, g.meter.note); r.Err != nil {
		return r
	}
	if r.Err = here(errors.Join(dst.Sync(), dst.Close())); r.Err != nil {
		return r
	}
	if r.Err = g.root.Chtimes(part, info.ModTime(), info.ModTime()); r.Err != nil {
		return r
	}
	if ctx.Err() != nil {
		r.Err = context.Cause(ctx)
		return r
	}
	r.Err = g.replace(part, rel)
	return r
}

// open opens a file of the server.
func (c *Client) open(p string) (*sftp.File, fs.FileInfo, error) {
	src, err := c.openToRead(p)
	if err != nil {
		return nil, nil, c.remote(err)
	}
	info, err := told(src.Stat())
	switch {
	case err != nil:
		err = c.remote(err)
	case !info.Mode().IsRegular():
		err = errors.New("it is no file any more")
	case info.Size() < 0:
		err = errors.New("the server tells an impossible size")
	}
	if err != nil {
		go src.Close()
		return nil, nil, err
	}
	return src, info, nil
}

// fetch copies the content of a file as long as it is now.
func (c *Client) fetch(ctx context.Context, src *sftp.File, info fs.FileInfo, dst io.WriterAt, note func(int)) (int64, error) {
	if info.Size() == 0 {
		return c.downloadUnsized(ctx, src, dst, note)
	}
	return info.Size(), c.download(ctx, src, info.Size(), dst, note)
}

// replace gives a whole file its name, unless that is another file of the same call: on a system that does not tell upper and lower
// case apart, or writes accents in its own way, the second would silently take the first one's place.
func (g *getter) replace(part, rel string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if info, err := g.root.Lstat(rel); err == nil {
		if info.IsDir() {
			return errors.New("there is a folder of this name")
		}
		if special(info) {
			return errSpecial
		}
		for _, w := range g.written[identity{info.Size(), info.ModTime()}] {
			if os.SameFile(info, w) {
				return errors.New("this computer takes its name for that of another file of the same transfer")
			}
		}
	}
	if err := g.root.Rename(part, rel); err != nil {
		return err
	}
	if info, err := g.root.Lstat(rel); err == nil {
		id := identity{info.Size(), info.ModTime()}
		g.written[id] = append(g.written[id], info)
	}
	return nil
}

// GetStream copies a file of the server to a stream.
func (c *Client) GetStream(ctx context.Context, p string, to io.Writer, opt Options) (Report, error) {
	defer c.leave(ctx)()
	sources, _, err := c.sources(ctx, []string{p})
	switch {
	case err != nil:
		return Report{}, err
	case len(sources) != 1:
		return Report{}, &PlaceError{p, fmt.Sprintf("fits %d files, and only one can be written to standard output", len(sources))}
	case sources[0].dir:
		return Report{}, &PlaceError{p, "is a folder, and only a file can be written to standard output"}
	}
	m := opt.Meter
	if m == nil {
		m = &Meter{}
	}
	src, info, err := c.open(sources[0].path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", p, err)
	}
	defer func() { go src.Close() }()
	m.plan(&plan{files: []entry{{size: info.Size()}}})
	dst := newOrdered(to)
	stop := context.AfterFunc(ctx, func() { dst.stop(context.Cause(ctx)) })
	defer stop()
	r := Result{From: sources[0].path, To: "-"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Bytes, r.Err = c.fetch(ctx, src, info, dst, m.note)
	}()
	select {
	case <-done:
		return Report{Files: []Result{r}}, nil
	case <-ctx.Done():
	}
	select { // a write to a pipe that nobody reads cannot be interrupted
	case <-done:
		return Report{Files: []Result{r}}, nil
	case <-time.After(c.patience):
		return Report{Files: []Result{{From: r.From, To: r.To, Err: context.Cause(ctx)}}}, nil
	}
}

// dryRun is the report of a plan that is not carried out.
func dryRun(p *plan, to func(entry) string) Report {
	r := Report{Skipped: p.skipped, Failed: p.failed}
	for _, e := range p.files {
		r.Files = append(r.Files, Result{From: e.from, To: to(e), Bytes: e.size})
	}
	return r
}
