//go:build linux

// Command soak runs the real daemon on several laptops in network namespaces, makes everything around it fail at random,
// and counts what must not happen. It needs root. See the README beside it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "soak: error: %v\n", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	length time.Duration
	seed   uint64
	worlds int
	race   bool
	json   bool
	list   bool
	binary string

	conspire bool
}

// lastingOf is one world in so many, whose daemon is never ended.
const lastingOf = 3

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var o options
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(progress)
	fs.DurationVar(&o.length, "for", 30*time.Minute, "how long new storms begin; the last one ends after that")
	fs.Uint64Var(&o.seed, "seed", 0, "of the schedule; 0 takes one at random and prints it")
	fs.IntVar(&o.worlds, "worlds", 6, "laptops side by side, 3 to 30")
	fs.BoolVar(&o.race, "race", false, "build the daemon with the race detector")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.BoolVar(&o.list, "list", false, "print the schedule of the first storm of each world, and do nothing")
	fs.BoolVar(&o.conspire, "conspire", false, "let all echoes tell the same lie, which no program can see through: the run must fail")
	fs.StringVar(&o.binary, "binary", "", "run this emr-accessd; it is built otherwise")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.length < time.Second:
		return fmt.Errorf("-for %s: want 1s or more", o.length)
	case o.worlds < lastingOf || o.worlds > 30:
		return fmt.Errorf("-worlds %d: want %d to 30", o.worlds, lastingOf)
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	for o.seed == 0 {
		o.seed = rand.Uint64()
	}
	if o.list {
		list(out, o)
		return nil
	}
	if err := netlab.Available(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		fmt.Fprintln(progress, "building emr-accessd")
		o.binary = filepath.Join(dir, "emr-accessd")
		var flags []string
		if o.race {
			flags = []string{"-race"}
		}
		if err := netlab.Build(ctx, o.binary, flags...); err != nil {
			return err
		}
	}
	fmt.Fprintf(progress, "seed %d, %d worlds\n", o.seed, o.worlds)
	result, err := soak(ctx, o, dir, progress)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(result)
	} else {
		result.table(out)
	}
	if len(result.Broken) > 0 {
		err = errors.Join(err, fmt.Errorf("%d promises broken (seed %d)", len(result.Broken), o.seed))
	}
	return err
}

// list prints what the first storm of each world has.
func list(out io.Writer, o options) {
	for world := range o.worlds {
		for track, faults := range newStorm(o.seed, world, 0, lasting(world)) {
			at := time.Duration(0)
			for _, f := range faults {
				at += f.After
				fmt.Fprintf(out, "world %d, %-7s at %4.1f s for %3.1f s: %s\n", world, tracks[track], at.Seconds(), f.For.Seconds(), f.Kind)
				at += f.For
			}
		}
	}
}

func lasting(world int) bool { return world%lastingOf == lastingOf-1 }
