//go:build unix

// Command ssh measures emr-accessd's connections beside OpenSSH and the AWS CLI, as pairs in one run: each figure of one
// has its neighbour of the other, taken a moment later. See the README beside it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if os.Getenv(envNote) != "" { // called by the AWS CLI, see world.fakeSSH
		os.Exit(sshMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "ssh: error: %v\n", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	n      int
	short  bool
	json   bool
	only   string
	binary string
	aws    string
	raw    string
}

// sizes are how much is copied, in bytes, and how many small files.
type sizes struct {
	near, far  int64
	smallFiles int
}

func (o options) sizes() sizes {
	if o.short {
		return sizes{16 << 20, 2 << 20, 10}
	}
	return sizes{256 << 20, 32 << 20, 100}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var o options
	fs := flag.NewFlagSet("ssh", flag.ContinueOnError)
	fs.SetOutput(progress)
	fs.IntVar(&o.n, "n", 5, "pairs of each kind, 1 to 50")
	fs.BoolVar(&o.short, "short", false, "small sizes and one pair of each kind, to see that it runs")
	fs.BoolVar(&o.json, "json", false, "print JSON, with every single value")
	fs.StringVar(&o.raw, "raw", "", "write that JSON to this file as well")
	fs.StringVar(&o.only, "only", "", "only the kinds whose names have this in them")
	fs.StringVar(&o.binary, "binary", "", "measure this emr-accessd; it is built otherwise")
	fs.StringVar(&o.aws, "aws", "aws", "the AWS CLI; name the program itself where the one in PATH is a script that starts it")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.n < 1 || o.n > 50:
		return fmt.Errorf("-n %d: want 1 to 50", o.n)
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.short {
		o.n = 1
	}
	w, err := newWorld(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var r results
	r.describe()
	for _, k := range w.kinds() {
		if !strings.Contains(k.name, o.only) {
			continue
		}
		fmt.Fprintln(progress, k.name)
		row, err := w.measure(ctx, k, o.n)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		r.Rows = append(r.Rows, row)
	}
	r.Skipped = w.skipped
	if o.raw != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.raw, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	r.table(out)
	return nil
}
