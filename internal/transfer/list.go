package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

var (
	errDeep = fmt.Errorf("the folders are nested more than %d deep", maxDepth)
	errMany = fmt.Errorf("there are more than %d files and folders", maxEntries)
)

// listLocal adds a source of this computer to a plan. What lies in a folder is opened below that folder only, so that nothing else
// is sent when a link comes in between.
func (p *plan) listLocal(ctx context.Context, s source, to string) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if !s.dir {
		p.add(entry{from: s.path, to: to, size: info.Size(), mode: info.Mode(), time: info.ModTime(),
			open: func() (*os.File, error) { return os.Open(s.path) }})
		return nil
	}
	real, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		return err
	}
	if err := p.listTree(ctx, s.path, to, info, chain{real}); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// listTree adds a folder of this computer with what is in it.
func (p *plan) listTree(ctx context.Context, top, to string, info fs.FileInfo, above chain) error {
	root, err := os.OpenRoot(top)
	if err != nil {
		return err
	}
	p.roots = append(p.roots, root)
	p.add(entry{from: top, to: to, mode: info.Mode(), time: info.ModTime()})
	var walk func(rel string, above chain)
	walk = func(rel string, above chain) {
		infos, err := readDir(root, rel)
		if err == nil && len(above) > maxDepth {
			err = errDeep
		}
		if err != nil {
			p.fail(filepath.Join(top, rel), err)
			return
		}
		for _, info := range infos {
			if ctx.Err() != nil {
				return
			}
			below := filepath.Join(rel, info.Name())
			e := entry{from: filepath.Join(top, below), to: path.Join(to, filepath.ToSlash(below)),
				size: info.Size(), mode: info.Mode(), time: info.ModTime(),
				open: func() (*os.File, error) { return root.Open(below) }}
			if p.follow && e.mode.Type() == fs.ModeSymlink {
				p.followLocal(ctx, e, above)
				continue
			}
			if p.add(e) {
				p.fail(top, errMany)
				return
			}
			if info.IsDir() {
				walk(below, above.below(filepath.Join(above[len(above)-1], info.Name())))
			}
		}
	}
	walk(".", above)
	return nil
}

// followLocal adds what a link leads to, which may lie anywhere: the user has asked for it.
func (p *plan) followLocal(ctx context.Context, link entry, above chain) {
	real, err := filepath.EvalSymlinks(link.from)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(real)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.skip(link.from, "a link to nothing")
	case err != nil:
		p.fail(link.from, err)
	case info.IsDir() && slices.Contains(above, real):
		p.skip(link.from, errLoop)
	case info.IsDir():
		if err := p.listTree(ctx, link.from, link.to, info, above.below(real)); err != nil {
			p.fail(link.from, err)
		}
	default:
		p.add(entry{from: link.from, to: link.to, size: info.Size(), mode: info.Mode(), time: info.ModTime(),
			open: func() (*os.File, error) { return os.Open(real) }})
	}
}

// readDir lists a folder below a root, sorted by name. What is gone by the time it is looked at is left out.
func readDir(root *os.Root, rel string) ([]fs.FileInfo, error) {
	f, err := root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var infos []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, nil
}

// listRemote adds a source of the server to a plan. Folders are listed side by side.
func (c *Client) listRemote(ctx context.Context, p *plan, s source, to string, info fs.FileInfo) error {
	p.add(entry{from: s.path, to: to, size: info.Size(), mode: info.Mode(), time: info.ModTime()})
	if !info.IsDir() {
		return nil
	}
	above := chain{}
	if p.follow {
		real, err := c.realPath(trimSlash(s.path))
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, c.remote(err))
		}
		above = chain{real}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var walk func(folder, to string, above chain, depth int)
	walk = func(folder, to string, above chain, depth int) {
		infos, err := c.list(ctx, folder)
		if err == nil && depth > maxDepth {
			err = errDeep
		}
		if err != nil {
			if c.fatal(err) {
				cancel(err)
			}
			p.fail(folder, err)
			return
		}
		for _, info := range infos {
			from := under(folder, info.Name())
			if err := checkName(info.Name()); err != nil {
				p.fail(from, err)
				continue
			}
			one := func() {
				e, here := entry{from: from, to: path.Join(to, info.Name())}, above
				if p.follow {
					if info, here = c.follow(p, from, info, above); info == nil {
						return
					}
				}
				e.size, e.mode, e.time = info.Size(), info.Mode(), info.ModTime()
				switch {
				case e.size < 0:
					p.fail(from, errors.New("the server tells an impossible size"))
				case p.add(e):
					cancel(errMany)
				case info.IsDir():
					walk(from, e.to, here, depth+1)
				}
			}
			if info.Mode().IsRegular() {
				one()
			} else {
				group.Go(one)
			}
		}
	}
	walk(trimSlash(s.path), to, above, 1)
	group.Wait()
	return context.Cause(ctx)
}

// follow finds what a link of the server leads to; anything else is itself. nil says that it is left out, which is noted.
func (c *Client) follow(p *plan, from string, info fs.FileInfo, above chain) (fs.FileInfo, chain) {
	if info.Mode().Type() != fs.ModeSymlink {
		if info.IsDir() {
			above = above.below(under(above[len(above)-1], info.Name()))
		}
		return info, above
	}
	c.lists <- struct{}{}
	defer func() { <-c.lists }()
	there, err := c.stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.skip(from, "a link to nothing")
		return nil, nil
	case err != nil:
		p.fail(from, c.remote(err))
		return nil, nil
	case !there.IsDir():
		return there, above
	}
	real, err := c.realPath(from)
	if err != nil {
		p.fail(from, c.remote(err))
		return nil, nil
	}
	if slices.Contains(above, real) {
		p.skip(from, errLoop)
		return nil, nil
	}
	return there, above.below(real)
}

// list lists a folder of the server.
func (c *Client) list(ctx context.Context, folder string) ([]fs.FileInfo, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case c.lists <- struct{}{}:
	}
	defer func() { <-c.lists }()
	infos, err := c.sftp.ReadDirContext(ctx, folder)
	if err != nil {
		return nil, c.remote(err)
	}
	return infos, nil
}

// expand finds what a path of the server means: itself where it exists, else what its last name fits as a pattern.
func (c *Client) expand(ctx context.Context, p string) ([]string, error) {
	if _, err := c.lstat(p); err == nil || !strings.ContainsAny(p, `*?[`) {
		return []string{p}, nil // the user sees an error, if there is one, when it is looked at
	} else if c.isLost(err) {
		return nil, ErrLost
	}
	folder, pattern := path.Split(trimSlash(p))
	if strings.ContainsAny(folder, `*?[`) {
		return nil, &PlaceError{p, "has wildcards in the name of a folder; only its last name may have them"}
	}
	if _, err := path.Match(pattern, "x"); err != nil {
		return nil, &PlaceError{p, "is not a pattern: a [ without its ]"}
	}
	where := trimSlash(folder)
	if where == "" {
		where = "."
	}
	infos, err := c.list(ctx, where)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	var found []string
	for _, info := range infos {
		name := info.Name()
		fits, _ := path.Match(pattern, name)
		if !fits || name[0] == '.' && pattern[0] != '.' {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		found = append(found, folder+name)
	}
	if len(found) == 0 {
		return nil, &PlaceError{p, "fits nothing on the node"}
	}
	slices.Sort(found)
	return found, nil
}
