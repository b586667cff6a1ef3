// The mutate program asks whether the tests of a package would notice a fault. It plants small faults (mutants) in
// the package, one at a time, and runs the package's own tests. A mutant that no test notices has survived: either a
// test is missing, or the fault changes nothing that matters, and survivors.txt says why.
//
// All mutants are compiled into a single test binary, and an environment variable says which of them is awake. So a
// mutant costs a run of the tests and no build.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are the program's flags.
type options struct {
	dir     string        // the package's directory
	files   []string      // the files to change; none: all that are not tests
	run     string        // which tests, as for go test -run
	args    []string      // more arguments of the test binary
	known   string        // the file of explained survivors
	budget  time.Duration // no mutant is begun after this long; 0: all are tried
	timeout time.Duration // how long a run of the tests may take
	sample  int           // how many mutants; 0: all
	seed    uint64        // chooses the sample
	workers int
	only    string // mutants whose name contains this
	verbose bool
}

func main() {
	o := options{}
	files := flag.String("files", "", "comma-separated `names` of the files to change (default all)")
	args := flag.String("args", "-rapid.checks=30 -rapid.seed=1 -rapid.shrinktime=1ms -rapid.nofailfile", "`arguments` of the test binary")
	flag.StringVar(&o.run, "run", "", "run only the tests that match this `pattern`")
	flag.StringVar(&o.known, "known", "bench/mutate/survivors.txt", "`file` of explained survivors")
	flag.DurationVar(&o.budget, "for", 0, "begin no mutant after this `time` (default: try all)")
	flag.DurationVar(&o.timeout, "timeout", patience, "a run of the tests that takes longer has noticed")
	flag.IntVar(&o.sample, "sample", 0, "try this `number` of mutants (default all)")
	flag.Uint64Var(&o.seed, "seed", 1, "`number` that chooses the sample and the order")
	flag.IntVar(&o.workers, "workers", 2, "run this `number` of tests at a time")
	flag.StringVar(&o.only, "only", "", "try only mutants whose name contains this `text`")
	flag.BoolVar(&o.verbose, "v", false, "print each mutant and what became of it")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/mutate [flags] DIRECTORY\nexample: go run ./bench/mutate -sample 20 internal/sgsync")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.dir, o.args = flag.Arg(0), strings.Fields(*args)
	if *files != "" {
		o.files = strings.Split(*files, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	unexplained, err := mutate(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
	if unexplained > 0 {
		os.Exit(1)
	}
}

// mutate tries the mutants, prints the result and returns how many survived that nothing explains.
func mutate(ctx context.Context, o options) (int, error) {
	known, err := readKnown(o.known)
	if err != nil {
		return 0, err
	}
	lab, err := newLab(ctx, o)
	if err != nil {
		return 0, err
	}
	defer lab.close()
	chosen := choose(lab.mutants, o)
	began := time.Now()
	results := lab.tryAll(ctx, chosen)

	counts, unexplained := map[fate]int{}, 0
	for _, r := range results {
		counts[r.fate]++
		if r.fate != survived && r.fate != unreached {
			continue
		}
		if reason, ok := known[r.mutant.name]; ok {
			counts[explained]++
			if o.verbose {
				fmt.Printf("explained  %s\n           %s\n", r.mutant, reason)
			}
			continue
		}
		unexplained++
		fmt.Printf("%-10s %s\n", r.fate, r.mutant)
	}
	lived := counts[survived] + counts[unreached]
	fmt.Printf("%s: %d mutants, tried %d in %s: %d noticed (%d of them by a timeout), %d survived (%d not reached by any test), %d of these explained\n",
		o.dir, len(lab.mutants), len(results), time.Since(began).Round(time.Second),
		counts[noticed]+counts[timedOut], counts[timedOut], lived, counts[unreached], counts[explained])
	if len(results) == 0 {
		return 0, fmt.Errorf("no mutant was tried")
	}
	return unexplained, ctx.Err()
}

// choose returns the mutants to try, in the order to try them.
func choose(all []mutant, o options) []mutant {
	var chosen []mutant
	for _, m := range all {
		if strings.Contains(m.String(), o.only) {
			chosen = append(chosen, m)
		}
	}
	r := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // the same sample again is the purpose
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	if o.sample > 0 && o.sample < len(chosen) {
		chosen = chosen[:o.sample]
	}
	return slices.Clip(chosen)
}

// readKnown returns the explained survivors: a line with the mutant's name, then an indented one with the reason.
func readKnown(file string) (map[string]string, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known, name := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			name = line
		case name != "":
			known[name] = strings.TrimSpace(known[name] + " " + strings.TrimSpace(line))
		}
	}
	return known, nil
}
