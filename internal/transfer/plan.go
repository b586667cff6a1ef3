package transfer

import (
	"cmp"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a tree may have. A server could tell one without end.
const (
	maxDepth   = 100
	maxEntries = 1_000_000
)

// entry is a file or a folder to be copied.
type entry struct {
	from string                   // its path, as the user would write it
	to   string                   // where to, below the destination's folder, with slashes; "" is the folder itself
	open func() (*os.File, error) // for a file of this computer
	size int64                    // bytes, when it was listed
	mode fs.FileMode
	time time.Time
}

func (e entry) depth() int {
	if e.to == "" {
		return 0
	}
	return strings.Count(e.to, "/") + 1
}

// plan is what is to be done.
type plan struct {
	follow  bool
	mu      sync.Mutex // several folders are listed at a time
	folders []entry
	files   []entry
	skipped []Skipped
	failed  []Result
	entries int
	roots   []*os.Root // of folders of this computer
}

// close closes the folders that files are opened in.
func (p *plan) close() {
	for _, r := range p.roots {
		r.Close()
	}
}

// skip leaves something out.
func (p *plan) skip(path, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped = append(p.skipped, Skipped{path, why})
}

// chain are the real paths of a folder and of those above it, to notice a link that leads back into one of them.
type chain []string

// below is the chain of a folder in the last one.
func (c chain) below(real string) chain { return append(c[:len(c):len(c)], real) }

// errLoop says that a link leads to a folder that it lies in.
const errLoop = "a link to a folder that it lies in"

// Skipped is what was left out of a folder on purpose.
type Skipped struct {
	Path string
	Why  string // such as "a symbolic link"
}

// kindOf says what an entry is that is neither a file nor a folder.
func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a named pipe"
	case fs.ModeSocket:
		return "a socket"
	}
	return "a device"
}

func (p *plan) add(e entry) (full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.mode.IsDir():
		p.folders = append(p.folders, e)
	case e.mode.IsRegular():
		p.files = append(p.files, e)
	default:
		p.skipped = append(p.skipped, Skipped{e.from, kindOf(e.mode)})
	}
	p.entries++
	return p.entries >= maxEntries
}

func (p *plan) fail(from string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, Result{From: from, Err: err})
}

// sort gives a plan the same order whatever order its entries were found in.
func (p *plan) sort() {
	byTo := func(a, b entry) int { return cmp.Or(strings.Compare(a.to, b.to), strings.Compare(a.from, b.from)) }
	slices.SortStableFunc(p.folders, byTo)
	slices.SortStableFunc(p.files, byTo)
	slices.SortStableFunc(p.skipped, func(a, b Skipped) int { return strings.Compare(a.Path, b.Path) })
	slices.SortStableFunc(p.failed, func(a, b Result) int { return strings.Compare(a.From, b.From) })
}

// levels are the folders by their depth: those of one level do not depend on each other.
func (p *plan) levels() [][]entry {
	var levels [][]entry
	byDepth := slices.Clone(p.folders)
	slices.SortStableFunc(byDepth, func(a, b entry) int { return cmp.Compare(a.depth(), b.depth()) })
	for _, e := range byDepth {
		if n := len(levels); n == 0 || levels[n-1][0].depth() != e.depth() {
			levels = append(levels, nil)
		}
		levels[len(levels)-1] = append(levels[len(levels)-1], e)
	}
	return levels
}
