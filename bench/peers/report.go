//go:build unix

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// What the daemon does in a day without a change (keeper.DriftCheck, keeper.EvidenceAge, ipwatch.DefaultInterval).
const (
	driftsADay = 24 * 4
	looksADay  = 24 / 3
	stunsADay  = 24 * 60 * 2
	stunBytes  = 20 + 32 // a question and its answer in IPv4, without the headers of UDP and IP
)

// result is what a run has found.
type result struct {
	At      string    `json:"at"`
	Machine string    `json:"machine"`
	Pairs   int       `json:"pairs"`
	Size    int64     `json:"program_bytes"`
	Runs    []figures `json:"runs"`
	Days    []day     `json:"days_without_a_change"`
}

// figures are the medians of one kind of run.
type figures struct {
	Kind string `json:"kind"`
	Who  string `json:"who"`
	sample
	WallRatio float64  `json:"wall_ratio,omitempty"` // of the first program: the median of the ratios within pairs, so that a
	CPURatio  float64  `json:"cpu_ratio,omitempty"`  // machine with other work disturbs both alike
	Samples   []sample `json:"samples"`
}

// day is what a day comes to that brings nothing new.
type day struct {
	Who   string  `json:"who"`
	Runs  int     `json:"runs"`
	Calls int     `json:"calls"`
	CPU   float64 `json:"cpu_s"`
	Bytes int64   `json:"bytes"`
}

// kinds are the kinds of runs.
var kinds = []struct {
	name string
	of   func(*job) []sample
}{
	{"a run after a change of address", func(j *job) []sample { return j.changed }},
	{"a run that finds nothing to do", func(j *job) []sample { return j.same }},
}

// conclude makes figures of the samples. size is that of the program in bytes.
func conclude(jobs []*job, size int64) result {
	r := result{At: time.Now().UTC().Format(time.RFC3339), Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Pairs: len(jobs[0].same), Size: size}
	for _, kind := range kinds {
		for i, j := range jobs {
			f := figures{Kind: kind.name, Who: j.name, sample: medians(kind.of(j)), Samples: kind.of(j)}
			if i == 0 {
				other := kind.of(jobs[1])
				f.WallRatio = ratio(f.Samples, other, func(s sample) float64 { return s.Wall })
				f.CPURatio = ratio(f.Samples, other, func(s sample) float64 { return s.CPU })
			}
			r.Runs = append(r.Runs, f)
		}
	}
	ours, theirs := medians(jobs[0].same), medians(jobs[1].same)
	r.Days = []day{{Who: jobs[0].name + ", its looks", Runs: driftsADay, Calls: driftsADay * ours.Calls, CPU: driftsADay * ours.CPU / 1000,
		Bytes: driftsADay*ours.AWS + looksADay*ours.Echo + stunsADay*stunBytes}}
	for _, every := range []time.Duration{5 * time.Minute, time.Minute} {
		n := int(24 * time.Hour / every)
		r.Days = append(r.Days, day{Who: fmt.Sprintf("%s each %g min", jobs[1].name, every.Minutes()), Runs: n, Calls: n * theirs.Calls,
			CPU: float64(n) * theirs.CPU / 1000, Bytes: int64(n) * (theirs.AWS + theirs.Echo)})
	}
	return r
}

// medians is a sample of the medians.
func medians(s []sample) sample {
	return sample{
		Wall: middle(s, func(s sample) float64 { return s.Wall }), CPU: middle(s, func(s sample) float64 { return s.CPU }),
		Peak: middle(s, func(s sample) int64 { return s.Peak }), Calls: middle(s, func(s sample) int { return s.Calls }),
		Writes: middle(s, func(s sample) int { return s.Writes }), Shut: middle(s, func(s sample) float64 { return s.Shut }),
		AWS: middle(s, func(s sample) int64 { return s.AWS }), Echo: middle(s, func(s sample) int64 { return s.Echo }),
	}
}

// middle is the median; of an even number the larger one in the middle.
func middle[T cmp.Ordered](s []sample, of func(sample) T) T {
	all := make([]T, len(s))
	for i := range s {
		all[i] = of(s[i])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func ratio(a, b []sample, of func(sample) float64) float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = of(a[i]) / of(b[i])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (r result) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// table prints it for people.
func (r result) table(out io.Writer) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, f := range r.Runs {
		if i == 0 || f.Kind != r.Runs[i-1].Kind {
			fmt.Fprintf(tw, "%s\twall\tCPU\tpeak memory\tcalls\twrites\twithout a rule\tbytes, AWS\tbytes, address\t\n", f.Kind)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.1f MB\t%d\t%d\t%s\t%d\t%d\t\n", f.Who, millis(f.Wall), millis(f.CPU), float64(f.Peak)/1024, f.Calls, f.Writes, millis(f.Shut), f.AWS, f.Echo)
		if i+1 == len(r.Runs) || f.Kind != r.Runs[i+1].Kind {
			first := r.Runs[i-1]
			fmt.Fprintf(tw, "ratio within pairs\t%.2f\t%.2f\t\t\t\t\t\t\t\n\t\t\t\t\t\t\t\t\t\n", first.WallRatio, first.CPURatio)
		}
	}
	fmt.Fprintln(tw, "a day without a change\tcalls\tCPU\tbytes\t")
	for _, d := range r.Days {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%.2f MB\t\n", d.Who, d.Calls, time.Duration(d.CPU*float64(time.Second)).Round(time.Second), float64(d.Bytes)/1e6)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `
The day of emr-accessd is reckoned: %d looks for drift, each with the calls and the CPU of a sync, and the bytes of %d looks
at the own address and %d STUN exchanges. What the daemon takes is measured by: go run ./bench/roam -idle 1h
emr-accessd is one file of %.1f MB. Bytes are those of TCP and UDP, TLS in them.
`, driftsADay, looksADay, stunsADay, float64(r.Size)/1e6)
	return err
}

func millis(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond).String()
}
