// Cost measures what the program takes as its work grows: rounds with more clusters, groups with more rules, files of years.
// The program is the real one, each time a process of its own, and AWS is simulated over HTTP on loopback.
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
	"path/filepath"
	"runtime"
	"time"
)

// options are the flags.
type options struct {
	short, json bool
	binary      string
	roundTrip   time.Duration
}

func main() {
	if file := os.Getenv(sampleFile); file != "" {
		os.Exit(runner(os.Args[1:], file))
	}
	var o options
	flag.BoolVar(&o.short, "short", false, "only small numbers, to see that it runs: half a minute")
	flag.BoolVar(&o.json, "json", false, "print data instead of tables")
	flag.StringVar(&o.binary, "binary", "", "measure this build of emr-accessd, a `file`, instead of building it")
	flag.DurationVar(&o.roundTrip, "round-trip", 40*time.Millisecond, "`time` that AWS takes to answer, in the rounds with more clusters")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

// result is what a run has found.
type result struct {
	Date      string  `json:"date"`
	CPUs      int     `json:"cpus"`
	RoundTrip float64 `json:"round_trip_seconds"`
	Clusters  []row   `json:"clusters"`
	Rules     []row   `json:"rules"`
	Years     []row   `json:"years"`
}

// row is one thing that was measured.
type row struct {
	Of   string `json:"of"`   // what was measured
	Size int    `json:"size"` // clusters, rules or records
	sample
}

func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if flag.NArg() > 0 || o.roundTrip < 0 {
		return errors.New("want no arguments, and no time below zero")
	}
	dir, err := os.MkdirTemp("", "emr-accessd-cost-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		fmt.Fprintln(progress, "building emr-accessd")
		o.binary = filepath.Join(dir, "emr-accessd")
		if text, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", o.binary, "./cmd/emr-accessd").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l := &lab{options: o, self: self, dir: dir, progress: progress}
	res := result{Date: time.Now().UTC().Format(time.RFC3339), CPUs: runtime.NumCPU(), RoundTrip: o.roundTrip.Seconds()}
	for _, part := range []struct {
		rows    *[]row
		measure func(context.Context) ([]row, error)
	}{{&res.Clusters, l.clusters}, {&res.Rules, l.rules}, {&res.Years, l.years}} {
		if *part.rows, err = part.measure(ctx); err != nil {
			return err
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", " ")
		return e.Encode(res)
	}
	return res.show(out)
}
