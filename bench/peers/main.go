// Peers compares emr-accessd with what else would do its job: a script of the AWS CLI that cron runs. Both follow the same
// addresses, change by change, against the same simulated AWS over HTTP.
package main

import (
	"cmp"
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
	"text/tabwriter"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

func main() {
	n := flag.Int("n", 10, "`pairs` of changes to measure")
	aws := flag.String("aws", "aws", "the AWS CLI; where that is a script that starts the real one, name the real one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *n, *aws, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run measures n pairs and prints what came of them.
func run(ctx context.Context, n int, aws string, out, progress io.Writer) (err error) {
	if n < 1 || flag.NArg() > 0 {
		return errors.New("want at least one pair, and no arguments")
	}
	dir, err := os.MkdirTemp("", "emr-accessd-peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(progress, "building emr-accessd")
	binary := filepath.Join(dir, "emr-accessd")
	if text, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/emr-accessd").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	defer w.close()
	jobs := []*job{
		{name: "emr-accessd", group: w.ours, program: []string{binary, "sync"}},
		{name: "script of aws", group: w.theirs, program: []string{"/bin/sh", filepath.Join(dir, "script.sh")}},
	}
	if err := w.writeScript(aws); err != nil {
		return err
	}
	for i := range n + 1 { // the first has nothing to compare with: a rule is made
		w.move(i)
		for k := range jobs {
			j := jobs[(i+k)%len(jobs)] // who is first changes from pair to pair
			fmt.Fprintf(progress, "change %d of %d: %s\n", i, n, j.name)
			changed, err := w.exec(ctx, j)
			if err != nil {
				return err
			}
			if !slices.Contains(w.admits(j.group), w.address()) {
				return fmt.Errorf("%s: %s has no rule", j.name, w.address())
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
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	return show(out, jobs, info.Size())
}

// job is one of those that are compared.
type job struct {
	name          string
	group         string
	program       []string
	changed, same []sample
}

// sample is what one run took.
type sample struct {
	wall, cpu, shut time.Duration // shut: no rule admits the laptop, between the calls that make and remove them
	calls, writes   int
}

// show prints the medians, and what a day comes to.
func show(out io.Writer, jobs []*job, size int64) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, part := range []struct {
		name string
		of   func(*job) []sample
	}{{"a run after a change of address", func(j *job) []sample { return j.changed }}, {"a run that finds nothing to do", func(j *job) []sample { return j.same }}} {
		fmt.Fprintf(tw, "%s\twall\tCPU\tcalls\twrites\twithout a rule\t\n", part.name)
		for _, j := range jobs {
			s := part.of(j)
			fmt.Fprintf(tw, "%s\t%v\t%v\t%d\t%d\t%v\t\n", j.name, middle(s, func(s sample) time.Duration { return s.wall }).Round(time.Millisecond),
				middle(s, func(s sample) time.Duration { return s.cpu }).Round(time.Millisecond), middle(s, func(s sample) int { return s.calls }),
				middle(s, func(s sample) int { return s.writes }), middle(s, func(s sample) time.Duration { return s.shut }).Round(time.Millisecond))
		}
		a, b := part.of(jobs[0]), part.of(jobs[1])
		fmt.Fprintf(tw, "ratio within pairs\t%.2f\t%.2f\t\t\t\t\n\t\t\t\t\t\t\n", ratio(a, b, func(s sample) time.Duration { return s.wall }), ratio(a, b, func(s sample) time.Duration { return s.cpu }))
	}
	idle := func(j *job, runs int) string {
		return fmt.Sprintf("%d\t%v", runs*middle(j.same, func(s sample) int { return s.calls }), (time.Duration(runs) * middle(j.same, func(s sample) time.Duration { return s.cpu })).Round(time.Second))
	}
	fmt.Fprintf(tw, "a day without a change\tcalls\tCPU\t\n")
	fmt.Fprintf(tw, "%s, its look for drift each 15 min\t%s\t\n", jobs[0].name, idle(jobs[0], 96))
	fmt.Fprintf(tw, "%s each 5 min\t%s\t\n", jobs[1].name, idle(jobs[1], 288))
	fmt.Fprintf(tw, "%s each minute\t%s\t\n", jobs[1].name, idle(jobs[1], 1440))
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nemr-accessd is one file of %.1f MB. The daemon is not started anew for each look, as `sync` is here, so its CPU time is less.\n", float64(size)/1e6)
	return err
}

func middle[T cmp.Ordered](s []sample, of func(sample) T) T {
	all := make([]T, len(s))
	for i := range s {
		all[i] = of(s[i])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// ratio is the median of the ratios within pairs, so that a machine with other work disturbs both alike.
func ratio(a, b []sample, of func(sample) time.Duration) float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = float64(of(a[i])) / float64(of(b[i]))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// sampleOf counts what a run has asked of AWS.
func sampleOf(calls []awssim.Call) (s sample) {
	var closed time.Time
	for _, c := range calls {
		s.calls++
		if c.Write() {
			s.writes++
		}
		switch c.Action {
		case "RevokeSecurityGroupIngress":
			closed = c.At
		case "AuthorizeSecurityGroupIngress":
			if !closed.IsZero() {
				s.shut += c.At.Sub(closed)
			}
			closed = time.Time{}
		}
	}
	return s
}
