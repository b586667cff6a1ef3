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
func (p *plan) listLocal(ctx context.Context, s source, to string) (closer func(), err error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	e := entry{from: s.path, to: to, size: info.Size(), mode: info.Mode(), time: info.ModTime()}
	if !s.dir {
		e.open = func() (*os.File, error) { return os.Open(s.path) }
		p.add(e)
		return func() {}, nil
	}
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return nil, err
	}
	p.add(e)
	var walk func(rel string, depth int)
	walk = func(rel string, depth int) {
		infos, err := readDir(root, rel)
		if err == nil && depth > maxDepth {
			err = errDeep
		}
		if err != nil {
			p.fail(filepath.Join(s.path, rel), err)
			return
		}
		for _, info := range infos {
			if ctx.Err() != nil {
				return
			}
			below := filepath.Join(rel, info.Name())
			e := entry{from: filepath.Join(s.path, below), to: path.Join(to, filepath.ToSlash(below)),
				size: info.Size(), mode: info.Mode(), time: info.ModTime(),
				open: func() (*os.File, error) { return root.Open(below) }}
			if p.add(e) {
				p.fail(s.path, errMany)
				return
			}
			if info.IsDir() {
				walk(below, depth+1)
			}
		}
	}
	walk(".", 1)
	return func() { root.Close() }, context.Cause(ctx)
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var walk func(folder, to string, depth int)
	walk = func(folder, to string, depth int) {
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
			e := entry{from: from, to: path.Join(to, info.Name()), size: info.Size(), mode: info.Mode(), time: info.ModTime()}
			if e.size < 0 {
				p.fail(from, errors.New("the server tells an impossible size"))
				continue
			}
			if p.add(e) {
				cancel(errMany)
				return
			}
			if info.IsDir() {
				group.Go(func() { walk(from, e.to, depth+1) })
			}
		}
	}
	walk(trimSlash(s.path), to, 1)
	group.Wait()
	return context.Cause(ctx)
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

// isPattern tells whether a path of the server has wildcards in its last name.
func isPattern(p string) bool { return strings.ContainsAny(path.Base(p), `*?[`) }

// expand finds what a path of the server means: itself where it exists, else what its last name fits as a pattern.
func (c *Client) expand(ctx context.Context, p string) ([]string, error) {
	if _, err := c.sftp.Lstat(p); err == nil || !strings.ContainsAny(p, `*?[`) {
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
