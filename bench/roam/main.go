//go:build linux

// Command roam measures, in network namespaces, how soon a rule follows an address that changes, beside what asks at an
// interval; and what it costs to wait. It needs root. See the README beside it.
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == pollerVerb { // a child of our own, see startPoller
		os.Exit(pollerMain(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "roam: error: %v\n", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	n      int
	idle   time.Duration
	json   bool
	binary string
	script bool
	aws    string // the AWS CLI
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var o options
	fs := flag.NewFlagSet("roam", flag.ContinueOnError)
	fs.SetOutput(progress)
	fs.IntVar(&o.n, "n", 10, "changes of each kind, 1 to 80")
	fs.DurationVar(&o.idle, "idle", 0, "measure in place of that what waiting costs, for so long (10s or more)")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.StringVar(&o.binary, "binary", "", "measure this emr-accessd; it is built otherwise")
	fs.BoolVar(&o.script, "script", true, "measure a script of the AWS CLI too")
	fs.StringVar(&o.aws, "aws", "aws", "the AWS CLI for it")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.n < 1 || o.n > 80:
		return fmt.Errorf("-n %d: want 1 to 80", o.n)
	case o.idle != 0 && o.idle < 10*time.Second:
		return fmt.Errorf("-idle %s: want 10s or more", o.idle)
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.script = o.script && o.idle == 0
	if err := errors.Join(netlab.Available(), o.findScript()); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "roam-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		fmt.Fprintln(progress, "building emr-accessd")
		o.binary = filepath.Join(dir, "emr-accessd")
		if err := netlab.Build(ctx, o.binary); err != nil {
			return err
		}
	}
	var result interface{ table(io.Writer) }
	if o.idle > 0 {
		result, err = measureIdle(ctx, o, dir, progress)
	} else {
		result, err = measureChanges(ctx, o, dir, progress)
	}
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	result.table(out)
	return nil
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
