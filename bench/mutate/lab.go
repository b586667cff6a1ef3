package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fate is what became of a mutant.
type fate string

// The fates. Explained is a survivor that survivors.txt knows.
const (
	noticed   fate = "noticed"
	timedOut  fate = "timed out"
	survived  fate = "SURVIVED"
	unreached fate = "UNREACHED" // no test runs that code at all
	explained fate = "explained"
)

// result is a mutant and its fate.
type result struct {
	mutant mutant
	fate   fate
}

// lab is a test binary with all mutants in it.
type lab struct {
	options
	temp, binary string
	mutants      []mutant
	reached      map[int]bool
}

// newLab plants the mutants, builds the binary and runs its tests once with all mutants asleep.
func newLab(ctx context.Context, o options) (*lab, error) {
	l := &lab{options: o, reached: map[int]bool{}}
	var err error
	if l.dir, err = filepath.Abs(o.dir); err != nil {
		return nil, err
	}
	if l.temp, err = os.MkdirTemp("", "mutate-"); err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close removes the lab's files.
func (l *lab) close() { _ = os.RemoveAll(l.temp) }

// build writes the changed files beside the real ones (an overlay), compiles them and finds what the tests reach.
func (l *lab) build(ctx context.Context) error {
	names, err := filepath.Glob(filepath.Join(l.dir, "*.go"))
	if err != nil {
		return err
	}
	replace := map[string]string{}
	var pkg string
	for _, name := range names {
		base := filepath.Base(name)
		if strings.HasSuffix(base, "_test.go") || len(l.files) > 0 && !slices.Contains(l.files, base) {
			continue
		}
		source, err := os.ReadFile(name) //nolint:gosec // a file of the package that the user names
		if err != nil {
			return err
		}
		changed, planted, p, err := plant(base, source, len(l.mutants)+1)
		if err != nil {
			return err
		}
		pkg, l.mutants = p, append(l.mutants, planted...)
		if err := l.write(replace, name, base, changed); err != nil {
			return err
		}
	}
	if len(l.mutants) == 0 {
		return errors.New("found nothing to change in " + l.dir)
	}
	number(l.mutants)
	if err := l.write(replace, filepath.Join(l.dir, "mutate_switch.go"), "mutate_switch.go", []byte("package "+pkg+switchSource)); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	file := filepath.Join(l.temp, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	l.binary = filepath.Join(l.temp, "mutants.test")
	c := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", file, "-o", l.binary, ".") //nolint:gosec // our own words
	c.Dir = l.dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build the mutants: %w\n%s", err, out)
	}
	return l.reach(ctx)
}

// write writes a changed file and notes in replace what it stands for.
func (l *lab) write(replace map[string]string, name, base string, text []byte) error {
	replace[name] = filepath.Join(l.temp, base)
	return os.WriteFile(replace[name], text, 0o600)
}

// patience is the time for a run of the tests with no mutant awake, and by default for the others, too.
const patience = 2 * time.Minute

// reach runs the tests with all mutants asleep. They must pass, and they note which places they come to.
func (l *lab) reach(ctx context.Context) error {
	file := filepath.Join(l.temp, "reached")
	began := time.Now()
	patient := *l // a slow machine has not noticed anything yet
	patient.timeout = max(l.timeout, patience)
	f, out, err := patient.test(ctx, "MUTATE_REACHED="+file)
	if err != nil {
		return err
	}
	if f != survived {
		return fmt.Errorf("the tests fail without any mutant:\n%s", out)
	}
	text, err := os.ReadFile(file) //nolint:gosec // our own file
	if err != nil {
		return err
	}
	for word := range strings.FieldsSeq(string(text)) {
		id, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		l.reached[id] = true
	}
	fmt.Fprintf(os.Stderr, "%d mutants, %d of them reached; a run of the tests takes %s\n",
		len(l.mutants), len(l.reached), time.Since(began).Round(time.Millisecond))
	return nil
}

// tryAll tries mutants until the budget is used up.
func (l *lab) tryAll(ctx context.Context, chosen []mutant) []result {
	var (
		mu      sync.Mutex
		results []result
		group   sync.WaitGroup
		next    = make(chan mutant)
	)
	for range l.workers {
		group.Go(func() {
			for m := range next {
				f := unreached
				if l.reached[m.id] {
					var err error
					if f, _, err = l.test(ctx, "MUTATE="+strconv.Itoa(m.id)); err != nil {
						return
					}
				}
				mu.Lock()
				results = append(results, result{m, f})
				if l.verbose {
					fmt.Fprintf(os.Stderr, "%4d/%d %-10s %s\n", len(results), len(chosen), f, m)
				}
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for _, m := range chosen {
		if l.budget > 0 && time.Since(began) > l.budget || ctx.Err() != nil {
			break
		}
		select {
		case next <- m:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	slices.SortFunc(results, func(a, b result) int { return a.mutant.id - b.mutant.id })
	return results
}

// test runs the tests with one variable more in the environment. The error is of the run itself, not of a test.
func (l *lab) test(ctx context.Context, variable string) (fate, []byte, error) {
	limited, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	args := append([]string{"-test.failfast", "-test.run=" + l.run, "-test.timeout=0"}, l.args...)
	c := exec.CommandContext(limited, l.binary, args...) //nolint:gosec // our own binary
	c.Dir, c.Env = l.dir, append(os.Environ(), variable)
	c.WaitDelay = 5 * time.Second // a child of a killed test may hold its output open
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", nil, ctx.Err()
	case limited.Err() != nil:
		return timedOut, out.Bytes(), nil
	case errors.As(err, &exit):
		return noticed, out.Bytes(), nil
	case err != nil:
		return "", nil, err
	}
	return survived, out.Bytes(), nil
}

// switchSource is the file that wakes a mutant: all ask mutant__ whether they are the one.
const switchSource = `

import (
	"os"
	"strconv"
	"sync"
)

var (
	awake__, _   = strconv.Atoi(os.Getenv("MUTATE"))
	reachedTo__  = os.Getenv("MUTATE_REACHED")
	reached__    sync.Map
)

func mutant__(id int) bool {
	if reachedTo__ != "" {
		if _, known := reached__.LoadOrStore(id, true); !known {
			f, err := os.OpenFile(reachedTo__, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				panic(err)
			}
			if _, err := f.WriteString(strconv.Itoa(id) + "\n"); err != nil {
				panic(err)
			}
			if err := f.Close(); err != nil {
				panic(err)
			}
		}
	}
	return id == awake__
}

func add__[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float64 | ~string](id int, a, b T) T {
	if mutant__(id) {
		return a
	}
	return a + b
}

func subtract__[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float64](id int, a, b T) T {
	if mutant__(id) {
		return a + b
	}
	return a - b
}
`
