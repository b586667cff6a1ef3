package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// corpora is where the inputs of earlier runs are kept, a file for each target, so that a run on another computer begins with
// all that they reached. An entry is what Go writes into a file of its own: a first line, and a line of Go for each argument.
const corpora = "bench/fuzz/corpora"

const (
	entryHead = "go test fuzz v1\n" // of Go's encoding, https://go.dev/doc/security/fuzz/
	maxEntry  = 1 << 10             // bytes of one that is kept; longer ones reach little more
	maxCorpus = 32 << 10            // bytes that are kept of one target
)

// corpus is the kept inputs of a target, and the folder in which Go keeps those that it finds.
type corpus struct{ kept, cache string }

// file is the name under which the corpus of a target is kept.
func (t target) file() string { return strings.ReplaceAll(t.String(), "/", ".") + ".txt" }

// corpusOf finds both. The folder is Go's own business; it has stayed where it is since Go 1.18.
func corpusOf(ctx context.Context, t target) (corpus, error) {
	run := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "go", args...).Output()
		if err != nil {
			return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	cache, err := run("env", "GOCACHE")
	if err != nil {
		return corpus{}, err
	}
	pkg, err := run("list", "./"+t.folder)
	if err != nil {
		return corpus{}, err
	}
	return corpus{filepath.Join(corpora, t.file()), filepath.Join(cache, "fuzz", filepath.FromSlash(pkg), t.name)}, nil
}

// give puts the kept inputs where Go looks for them. There may be none.
func (c corpus) give() error {
	text, err := os.ReadFile(c.kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.cache, 0o755); err != nil {
		return err
	}
	for _, entry := range split(text) {
		name := fmt.Sprintf("%x", sha256.Sum256(entry))[:16] // as Go names them: what it has found itself is not doubled
		if err := os.WriteFile(filepath.Join(c.cache, name), entry, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// keep keeps the shortest of the inputs that Go has.
func (c corpus) keep() error {
	files, err := os.ReadDir(c.cache)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // there is none where nothing was found
		return err
	}
	var entries [][]byte
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(c.cache, f.Name()))
		if err != nil {
			return err
		}
		entries = append(entries, text)
	}
	return os.WriteFile(c.kept, join(entries), 0o644)
}

// join is the text that is kept of entries, whatever order they come in.
func join(entries [][]byte) []byte {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e []byte) bool {
		return len(e) > maxEntry || !bytes.HasSuffix(e, []byte("\n")) || len(split(e)) != 1 || !bytes.Equal(split(e)[0], e)
	})
	slices.SortFunc(entries, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b)) })
	var text []byte
	for _, e := range slices.CompactFunc(entries, bytes.Equal) {
		if len(text)+len(e) > maxCorpus {
			break
		}
		text = append(text, e...)
	}
	return text
}

// split takes entries apart. Lines before the first are none. Git on Windows may end lines in its own way; in an entry all is quoted.
func split(text []byte) (entries [][]byte) {
	for line := range bytes.Lines(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) {
		switch {
		case string(line) == entryHead:
			entries = append(entries, slices.Clone(line))
		case len(entries) > 0:
			entries[len(entries)-1] = append(entries[len(entries)-1], line...)
		}
	}
	return entries
}
