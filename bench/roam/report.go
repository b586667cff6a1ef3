//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is the latencies of one program, from an address in place to the rule for it.
type row struct {
	Who      string  `json:"who"`
	Interval string  `json:"interval"` // that it ran with
	Scale    int     `json:"scale"`    // by which that was shortened
	Noticed  int     `json:"noticed"`
	Missed   int     `json:"missed"`
	P50ms    float64 `json:"p50_ms"` // as measured, so with the shortened interval
	P95ms    float64 `json:"p95_ms"`
	P50      float64 `json:"p50_intervals"`
	P95      float64 `json:"p95_intervals"`

	interval time.Duration
	took     []time.Duration
}

// add adds a change. The zero Time means that it was not noticed.
func (r *row) add(began, noticed time.Time) {
	if noticed.IsZero() {
		r.Missed++
		return
	}
	r.Noticed++
	r.took = append(r.took, noticed.Sub(began))
}

// done fills in the figures.
func (r row) done() row {
	slices.Sort(r.took)
	at := func(p float64) time.Duration { return quantile(r.took, p) }
	r.P50ms, r.P95ms = at(0.5).Seconds()*1000, at(0.95).Seconds()*1000
	r.P50, r.P95 = at(0.5).Seconds()/r.interval.Seconds(), at(0.95).Seconds()/r.interval.Seconds()
	return r
}

// quantile is the smallest value that a share p of the sorted values do not exceed (nearest rank); 0 without values.
func quantile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(p * float64(len(sorted)))
	if float64(rank) < p*float64(len(sorted)) {
		rank++
	}
	return sorted[max(rank, 1)-1]
}

// real is what a share of intervals means with the interval that was not shortened.
func (r row) real(intervals float64) string {
	d := time.Duration(intervals * float64(r.interval) * float64(r.Scale))
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// changes are the results of both kinds of changes.
type changes struct {
	Changes int              `json:"changes"` // of each kind
	RTT     float64          `json:"rtt_ms"`
	Results map[string][]row `json:"results"` // "local", "behind"
}

func (c *changes) table(w io.Writer) {
	fmt.Fprintf(w, "From an address in place to the rule for it, %d changes of each kind, round trip %.0f ms.\n", c.Changes, c.RTT)
	fmt.Fprintf(w, "Pollers ran with intervals %d times shorter; the seconds are for the real ones.\n", scale)
	for _, kind := range []struct{ name, title string }{
		{"local", "Another network (the system tells)"}, {"behind", "Another address of the router (nothing tells)"},
	} {
		fmt.Fprintf(w, "\n%s\n", kind.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(tw, "\tp50\tp95\tp50 in intervals\tp95 in intervals\tmissed\t")
		for _, r := range c.Results[kind.name] {
			who := r.Who
			if r.Scale == 1 {
				who += " (interval " + r.Interval + ")"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%.2f\t%d\t\n", who, r.real(r.P50), r.real(r.P95), r.P50, r.P95, r.Missed)
		}
		_ = tw.Flush()
	}
}

// idle is what waiting costs.
type idle struct {
	Seconds float64   `json:"seconds"`
	Results []waiting `json:"results"`
}

// waiting is what one program cost.
type waiting struct {
	Who      string  `json:"who"`
	Switches int64   `json:"context_switches"`
	CPUms    float64 `json:"cpu_ms"`
	Bytes    int64   `json:"bytes"` // in and out, with all headers
	RSSkB    int64   `json:"rss_kb"`
}

func (i *idle) table(w io.Writer) {
	fmt.Fprintf(w, "What %.0f s of waiting cost, with nothing to do.\n\n", i.Seconds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tcontext switches\tCPU\tbytes in and out\tresident memory\t")
	for _, r := range i.Results {
		fmt.Fprintf(tw, "%s\t%d\t%.1f ms\t%d\t%.1f MB\t\n", r.Who, r.Switches, r.CPUms, r.Bytes, float64(r.RSSkB)/1024)
	}
	_ = tw.Flush()
}
