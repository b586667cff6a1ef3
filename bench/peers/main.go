//go:build unix

// Peers compares emr-accessd with what else would do its job: a script of the AWS CLI that cron runs. Both follow the same
// addresses, change by change, against the same simulated AWS over HTTPS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/emr-accessd/emr-accessd/bench/cron"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == measuredVerb { // a child of our own, see measure
		os.Exit(measured(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers: error:", err)
		os.Exit(1)
	}
}

// shortPairs show that it runs.
const shortPairs = 2

// options are the command line's.
type options struct {
	n    int
	aws  string
	json bool
}

func parse(args []string, usage io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.IntVar(&o.n, "n", 10, "`pairs` of changes to measure")
	fs.StringVar(&o.aws, "aws", "aws", "the AWS CLI")
	fs.BoolVar(&o.json, "json", false, "print JSON, with every single value")
	short := fs.Bool("short", false, fmt.Sprintf("only see that it runs: %d pairs", shortPairs))
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *short {
		o.n = shortPairs
	}
	switch {
	case o.n < 1 || o.n > 250:
		return o, fmt.Errorf("-n %d: want 1 to 250", o.n)
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, nil
}

// run measures pairs and prints what came of them.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.aws, err = cron.FindAWS(o.aws); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "emr-accessd-peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(progress, "building emr-accessd")
	binary := filepath.Join(dir, "emr-accessd")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", binary, "github.com/emr-accessd/emr-accessd/cmd/emr-accessd")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	defer w.close()
	script := filepath.Join(dir, "script.sh")
	if err := (cron.Script{AWS: o.aws, Group: w.theirs, Echo: w.echoes[0].url()}).Write(script); err != nil {
		return err
	}
	jobs := []*job{
		{name: "emr-accessd", group: w.ours, program: []string{binary, "sync"}},
		{name: "script of aws", group: w.theirs, program: []string{"/bin/sh", script}},
	}
	if err := w.pairs(ctx, jobs, o.n, progress); err != nil {
		return err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	r := conclude(jobs, info.Size())
	if o.json {
		return r.json(out)
	}
	return r.table(out)
}

// pairs has the jobs follow n changes of the address, and then look once more with nothing to do.
func (w *world) pairs(ctx context.Context, jobs []*job, n int, progress io.Writer) error {
	for i := range n + 1 { // the first has nothing to compare with: a rule is made
		w.move(i)
		for k := range jobs {
			j := jobs[(i+k)%len(jobs)] // who is first changes from pair to pair
			fmt.Fprintf(progress, "change %d of %d: %s\n", i, n, j.name)
			changed, err := w.exec(ctx, j)
			if err != nil {
				return err
			}
			if got := w.admits(j.group); !slices.Equal(got, []string{w.address()}) {
				return fmt.Errorf("%s: the rules admit %v, not %s alone", j.name, got, w.address())
			}
			same, err := w.exec(ctx, j)
			if err != nil {
				return err
			}
			if i > 0 {
				j.changed, j.same = append(j.changed, changed), append(j.same, same)
			}
		}
	}
	return nil
}
