package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// includeHead begins the file of `ssh-config --write`. A file that begins otherwise is somebody else's.
const includeHead = "# emr-accessd writes this file (emr-accessd ssh-config --write): changes are lost.\n"

// includeName is the file's name in ~/.ssh. The user's own configuration includes it, and is never written.
const includeName = "emr-accessd.config"

// maxInclude bounds the file, in bytes: a thousand clusters.
const maxInclude = 1 << 20

// includeBlock is the part of the file about one cluster, or one node of it.
type includeBlock struct{ cluster, text string }

var blockMark = regexp.MustCompile(`^# (begin|end) (j-[0-9A-Z]{8,20}(?:-[a-z]{1,10}(?:-[0-9a-f]{1,17})?)?)$`)

// errForeign: the file has something that this program did not write.
var errForeign = errors.New("was not written by emr-accessd, or was changed since")

// parseInclude reads what formatInclude wrote; an empty text has no blocks.
func parseInclude(text string) (blocks []includeBlock, err error) {
	if text == "" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(text, includeHead)
	if !ok {
		return nil, errForeign
	}
	open := false
	for line := range strings.Lines(rest) {
		bare := strings.TrimRight(line, "\r\n")
		m := blockMark.FindStringSubmatch(bare)
		last := len(blocks) - 1
		switch {
		case m == nil && open:
			blocks[last].text += bare + "\n"
		case m == nil && bare == "":
		case m != nil && m[1] == "begin" && !open && !slices.ContainsFunc(blocks, func(b includeBlock) bool { return b.cluster == m[2] }):
			blocks, open = append(blocks, includeBlock{cluster: m[2]}), true
		case m != nil && m[1] == "end" && open && blocks[last].cluster == m[2]:
			open = false
		default:
			return nil, errForeign
		}
	}
	if open {
		return nil, errForeign
	}
	return blocks, nil
}

func formatInclude(blocks []includeBlock) string {
	var b strings.Builder
	b.WriteString(includeHead)
	for _, block := range blocks {
		fmt.Fprintf(&b, "\n# begin %s\n%s# end %s\n", block.cluster, block.text, block.cluster)
	}
	return b.String()
}

// mergeBlocks lays new blocks over old ones.
func mergeBlocks(old, add []includeBlock) []includeBlock {
	all := slices.Clone(old)
	for _, block := range add {
		if i := slices.IndexFunc(all, func(o includeBlock) bool { return o.cluster == block.cluster }); i >= 0 {
			all[i] = block
		} else {
			all = append(all, block)
		}
	}
	return all
}

// oneWriter runs write while no other process does: each would write back what the file had before the other one.
func (a *app) oneWriter(ctx context.Context, write func() error) (err error) {
	store, err := a.store()
	if err != nil {
		return err
	}
	lock := flock.New(store.Path("ssh-config.lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another ssh-config: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return write()
}

// writeInclude brings the file up to date and reports whether that changed it. What it had of other clusters is
// kept with keep.
func writeInclude(path string, blocks []includeBlock, keep bool) (changed bool, err error) {
	old, mode, err := readInclude(path)
	if err != nil {
		return false, err
	}
	had, err := parseInclude(old)
	if err != nil {
		return false, hinted{fmt.Errorf("%s %w", path, err), exitFailed, "move it away, or name another with --file"}
	}
	if keep {
		blocks = mergeBlocks(had, blocks)
	}
	text := formatInclude(blocks)
	if text == old && mode == 0o600 {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	if err := replaceFile(path, []byte(text)); err != nil {
		return false, err
	}
	return true, nil
}

func readInclude(path string) (text string, mode fs.FileMode, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxInclude {
		return "", 0, hinted{fmt.Errorf("%s is no file of emr-accessd", path), exitFailed, "move it away, or name another with --file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInclude))
	return string(data), info.Mode().Perm(), err
}

// includes reports whether an ssh configuration includes the file for all hosts, before anything that could set another
// value first. When in doubt it says no: the advice to add a line that is there already does no harm.
func includes(config, file string) bool {
	for line := range strings.Lines(config) {
		words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
		if len(words) > 0 && (strings.EqualFold(words[0], "host") || strings.EqualFold(words[0], "match")) {
			return false
		}
		if len(words) > 1 && strings.EqualFold(words[0], "include") &&
			slices.ContainsFunc(words[1:], func(w string) bool {
				return w == file || w == filepath.Base(file) || w == "~/.ssh/"+filepath.Base(file)
			}) {
			return true
		}
	}
	return false
}
