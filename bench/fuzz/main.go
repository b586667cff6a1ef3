// Command fuzz runs every fuzz target of the module for a while, one after the other, and reports how often each has been
// executed. See bench/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "fuzz: error: %v\n", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	length   string
	only     *regexp.Regexp
	parallel int
	json     bool
	list     bool
	keep     bool
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o := options{only: regexp.MustCompile("")}
	fs := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	fs.SetOutput(progress)
	fs.StringVar(&o.length, "for", "1m", "how long each target runs; 2000x is so many executions")
	fs.Func("only", "run the targets that a regular expression finds, as \"internal/ipwatch.FuzzParseSTUN\"", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	fs.IntVar(&o.parallel, "parallel", 2, "processes of one target")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.BoolVar(&o.list, "list", false, "print the targets, and run none")
	fs.BoolVar(&o.keep, "keep", false, "keep the inputs that were found in "+corpora+", for a commit")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.parallel < 1:
		return fmt.Errorf("-parallel %d: want 1 or more", o.parallel)
	case !lengthForm.MatchString(o.length):
		return fmt.Errorf("-for %q: want a time such as 30s, or a number such as 2000x", o.length)
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	targets, err := find(os.DirFS("."))
	if err != nil {
		return err
	}
	chosen := targets[:0]
	for _, t := range targets {
		if o.only.MatchString(t.String()) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		return errors.New("there is no such target; run this in the module's folder")
	}
	if o.list {
		for _, t := range chosen {
			fmt.Fprintln(out, t)
		}
		return nil
	}
	return all(ctx, o, chosen, out, progress)
}

var lengthForm = regexp.MustCompile(`^([1-9][0-9]*x|([0-9.]+(ms|s|m|h))+)$`)

// result is what one target has done.
type result struct {
	Package string  `json:"package"`
	Target  string  `json:"target"`
	Execs   int64   `json:"executions"`
	New     int64   `json:"new_interesting"` // inputs found in this run, which Go keeps in its cache
	Corpus  int64   `json:"corpus"`          // inputs in all
	Seconds float64 `json:"seconds"`         // with the time to compile
	Failed  string  `json:"failed,omitempty"`
}

// all runs the targets and prints what they did. The error says how many found something.
func all(ctx context.Context, o options, targets []target, out, progress io.Writer) error {
	results, failed := []result{}, 0
	for i, t := range targets {
		fmt.Fprintf(progress, "%d of %d: %s\n", i+1, len(targets), t)
		r := one(ctx, o, t)
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Failed != "" {
			failed++
			fmt.Fprintf(progress, "%s\n", r.Failed)
		}
		results = append(results, r)
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(results); err != nil {
			return err
		}
	} else {
		table(out, results)
	}
	if failed > 0 {
		return fmt.Errorf("%d targets have failed", failed)
	}
	return nil
}

// one runs a target with `go test -fuzz`, from the kept inputs on. Go keeps what it found interesting in its cache, and what made the
// target fail in the package's testdata/fuzz.
func one(ctx context.Context, o options, t target) result {
	r := result{Package: t.folder, Target: t.name}
	c, err := corpusOf(ctx, t)
	if err == nil {
		err = c.give()
	}
	if err != nil {
		r.Failed = err.Error()
		return r
	}
	// Go would spend up to a minute to make each new input smaller, and execute nothing else in the meantime.
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", o.length, "-fuzzminimizetime", "20x",
		"-parallel", strconv.Itoa(o.parallel), "./"+t.folder)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	begin := time.Now()
	text, err := cmd.CombinedOutput()
	r.Seconds = time.Since(begin).Seconds()
	r.read(string(text))
	switch {
	case err != nil && !onlyLate(string(text)):
		r.Failed = fmt.Sprintf("%v\n%s", err, text)
	case r.Execs < least:
		r.Failed = fmt.Sprintf("executed %d times, which says nothing; want %d\n%s", r.Execs, least, text)
	case o.keep:
		if err := c.keep(); err != nil {
			r.Failed = err.Error()
		}
	}
	return r
}

// onlyLate reports whether a target has failed for no other reason than the end of its time, which found go test in the
// middle of something (go.dev/issue/75804, mended in Go 1.27): it says so, and names no input.
func onlyLate(text string) bool {
	return late.MatchString(text) && !strings.Contains(text, "Failing input") && !strings.Contains(text, "panic")
}

var late = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n    context deadline exceeded\nFAIL$`)

// least is how often a target must have been executed, also in a short run on a busy computer.
const least = 200

var counts = regexp.MustCompile(`execs: (\d+) \(\d+/sec\), new interesting: (\d+) \(total: (\d+)\)`)

// read takes the last counts out of what go test wrote.
func (r *result) read(text string) {
	found := counts.FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		return
	}
	for i, n := range []*int64{&r.Execs, &r.New, &r.Corpus} {
		*n, _ = strconv.ParseInt(found[len(found)-1][i+1], 10, 64) // digits; one too long is the largest
	}
}

func table(w io.Writer, results []result) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "target\texecutions\tnew inputs\tcorpus\tresult")
	sum := int64(0)
	for _, r := range results {
		what, _, _ := strings.Cut(r.Failed, "\n")
		if what == "" {
			what = "ok"
		}
		sum += r.Execs
		fmt.Fprintf(tw, "%s.%s\t%d\t%d\t%d\t%s\n", r.Package, r.Target, r.Execs, r.New, r.Corpus, what)
	}
	_ = tw.Flush()
	fmt.Fprintf(w, "\n%d targets, %d executions\n", len(results), sum)
}
