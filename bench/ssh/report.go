//go:build unix

package main

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// pair is one value of each side in seconds, taken one right after the other.
type pair struct {
	Ours  float64 `json:"ours"`
	Other float64 `json:"other"`
}

// row is one kind of thing that both sides do.
type row struct {
	Name   string  `json:"name"`
	Other  string  `json:"other"`
	Ours   float64 `json:"ours_s"` // medians
	Theirs float64 `json:"other_s"`
	Ratio  float64 `json:"ratio"` // the median of the ratios within pairs: the noise of both is the same
	Aim    float64 `json:"aim,omitempty"`
	Bytes  int64   `json:"bytes,omitempty"`
	Pairs  []pair  `json:"pairs"`
}

func (r row) done() row {
	var a, b, ratios []float64
	for _, p := range r.Pairs {
		a, b, ratios = append(a, p.Ours), append(b, p.Other), append(ratios, p.Ours/p.Other)
	}
	r.Ours, r.Theirs, r.Ratio = median(a), median(b), median(ratios)
	return r
}

// median is the middle value, or the mean of both in the middle; 0 without values.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// results are a whole run.
type results struct {
	At      string   `json:"at"`
	Machine string   `json:"machine"`
	OpenSSH string   `json:"openssh"`
	Rows    []row    `json:"rows"`
	Skipped []string `json:"skipped,omitempty"`
}

func (r *results) describe() {
	r.At = time.Now().UTC().Format(time.RFC3339)
	r.Machine = fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	out, _ := exec.Command("ssh", "-V").CombinedOutput()
	r.OpenSSH = strings.TrimSpace(string(out))
}

func (r *results) table(w io.Writer) {
	fmt.Fprintf(w, "%s; %s; %s. Medians of pairs; a ratio below 1 means that emr-accessd is faster.\n\n", r.At, r.Machine, r.OpenSSH)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\temr-accessd\tother\tratio\taim\tpairs\tbeside")
	for _, row := range r.Rows {
		aim := ""
		if row.Aim > 0 {
			aim = fmt.Sprintf("%.1f", row.Aim)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%s\t%d\t%s\n", row.Name, show(row.Ours, row.Bytes), show(row.Theirs, row.Bytes), row.Ratio, aim, len(row.Pairs), row.Other)
	}
	_ = tw.Flush()
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "not measured: %s\n", s)
	}
}

// show is a time, with the rate where something was copied.
func show(seconds float64, bytes int64) string {
	text := fmt.Sprintf("%.2f s", seconds)
	if bytes >= 1<<20 && seconds > 0 {
		text += fmt.Sprintf(" (%.0f MB/s)", float64(bytes)/seconds/1e6)
	}
	return text
}
