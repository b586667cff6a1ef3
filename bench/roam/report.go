//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// whereabouts say when and on what something was measured.
type where struct {
	At      string `json:"at"`
	Machine string `json:"machine"`
}

func whereabouts() where {
	return where{time.Now().UTC().Format(time.RFC3339), fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
}

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
	Real50   float64 `json:"p50_real_ms"` // with the real interval
	Real95   float64 `json:"p95_real_ms"`
	Gone50   float64 `json:"p50_old_gone_real_ms,omitempty"` // until the rule for the address before was gone; 0 is not known
	Values   []value `json:"values"`                         // in the order of the changes, those alone that were noticed

	interval time.Duration
}

// value is one change that was noticed. The times begin with the address in place.
type value struct {
	MS     float64 `json:"ms"`                         // until the call came that makes the rule, as measured
	OwnMS  float64 `json:"own_ms,omitempty"`           // of that, what does not depend on the interval: a script's run
	RealMS float64 `json:"real_ms"`                    // with the interval that was not shortened
	GoneMS float64 `json:"old_gone_real_ms,omitempty"` // until the rule for the address before was gone; 0 is not known
}

// follow adds a change. started is when the run of a script began that has noticed it, and zero for what waits all the time;
// of noticed and gone the zero Time means that it has not happened.
func (r *row) follow(began, started, noticed, gone time.Time) {
	if noticed.IsZero() {
		r.Missed++
		return
	}
	r.Noticed++
	if started.IsZero() {
		started = noticed
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	waited := ms(started.Sub(began)) * float64(r.Scale)
	v := value{MS: ms(noticed.Sub(began)), OwnMS: ms(noticed.Sub(started)), RealMS: waited + ms(noticed.Sub(started))}
	if !gone.IsZero() {
		v.GoneMS = waited + ms(gone.Sub(started))
	}
	r.Values = append(r.Values, v)
}

// done fills in the figures.
func (r row) done() row {
	both := func(of func(value) float64) (p50, p95 float64) {
		all := make([]float64, len(r.Values))
		for i, v := range r.Values {
			all[i] = of(v)
		}
		slices.Sort(all)
		return quantile(all, 0.5), quantile(all, 0.95)
	}
	r.P50ms, r.P95ms = both(func(v value) float64 { return v.MS })
	r.Real50, r.Real95 = both(func(v value) float64 { return v.RealMS })
	r.Gone50, _ = both(func(v value) float64 { return v.GoneMS })
	whole := r.interval.Seconds() * 1000 * float64(r.Scale)
	r.P50, r.P95 = r.Real50/whole, r.Real95/whole
	return r
}

// quantile is the smallest value that a share p of the sorted values do not exceed (nearest rank); 0 without values.
func quantile[T cmp.Ordered](sorted []T, p float64) (none T) {
	if len(sorted) == 0 {
		return none
	}
	rank := int(p * float64(len(sorted)))
	if float64(rank) < p*float64(len(sorted)) {
		rank++
	}
	return sorted[max(rank, 1)-1]
}

// text is a time for people.
func text(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// changes are the results of both kinds of changes.
type changes struct {
	where
	Changes int              `json:"changes"` // of each kind
	RTT     float64          `json:"rtt_ms"`
	Results map[string][]row `json:"results"` // "local", "behind", "script"
}

func (c *changes) table(w io.Writer) {
	fmt.Fprintf(w, "From an address in place to the rule for it, %d changes of each kind, round trip %.0f ms.\n", c.Changes, c.RTT)
	fmt.Fprintf(w, "Pollers ran with intervals %d times shorter, scripts with shorter ones too; the seconds are for the real ones.\n", scale)
	for _, kind := range []struct{ name, title string }{
		{"local", "Another network (the system tells)"}, {"behind", "Another address of the router (nothing tells)"},
		{"script", "A script of the AWS CLI that cron runs, after either"},
	} {
		if len(c.Results[kind.name]) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", kind.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(tw, "\tp50\tp95\tp50 in intervals\tp95 in intervals\tmissed\told rule gone, p50\t")
		for _, r := range c.Results[kind.name] {
			who := r.Who
			if r.Scale == 1 {
				who += " (interval " + r.Interval + ")"
			}
			gone := "-"
			if r.Gone50 > 0 {
				gone = text(r.Gone50)
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%.2f\t%d\t%s\t\n", who, text(r.Real50), text(r.Real95), r.P50, r.P95, r.Missed, gone)
		}
		_ = tw.Flush()
	}
}

// idle is what waiting costs.
type idle struct {
	where
	Seconds float64   `json:"seconds"`
	Calls   int       `json:"aws_calls"`
	Echoes  int       `json:"requests_to_echoes"`
	STUN    int       `json:"stun_exchanges"`
	Results []waiting `json:"results"`
}

// waiting is what one program cost.
type waiting struct {
	Who      string  `json:"who"`
	Switches int64   `json:"context_switches"`
	CPUms    float64 `json:"cpu_ms"`
	Bytes    int64   `json:"bytes"` // in and out, with all headers
	RSSkB    int64   `json:"rss_kb"`
	AnonKB   int64   `json:"rss_anon_kb"` // of that, what is in no file: the rest is mostly the program itself, which the system may drop
}

func (i *idle) table(w io.Writer) {
	fmt.Fprintf(w, "What %.0f s of waiting cost, with nothing to do.\n\n", i.Seconds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tcontext switches\tCPU\tbytes in and out\tresident memory\tof that its own\t")
	for _, r := range i.Results {
		fmt.Fprintf(tw, "%s\t%d\t%.1f ms\t%d\t%.1f MB\t%.1f MB\t\n", r.Who, r.Switches, r.CPUms, r.Bytes, float64(r.RSSkB)/1024, float64(r.AnonKB)/1024)
	}
	_ = tw.Flush()
	fmt.Fprintf(w, "\nIn that time there were %d calls to AWS, %d requests to the sources of the address, and %d STUN exchanges.\n", i.Calls, i.Echoes, i.STUN)
}
