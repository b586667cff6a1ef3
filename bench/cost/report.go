package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// show prints the tables.
func (r result) show(out io.Writer) error {
	for _, part := range []struct {
		title, size string
		rows        []row
	}{
		{fmt.Sprintf("rounds as clusters are added, AWS %v away", time.Duration(r.RoundTrip*float64(time.Second))), "clusters", r.Clusters},
		{"one group as rules are added", "rules", r.Rules},
		{"files of years", "records", r.Years},
	} {
		tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(tw, "%s\t%s\truns\tcalls\twrites\tfrom AWS\ttime\tCPU\tpeak memory\tprinted\tstate\t\n", part.title, part.size)
		for _, row := range part.rows {
			fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%.0f MB\t%s\t%s\t\n", row.Of, row.Size, row.Runs, row.Calls, row.Writes, size(row.Answers),
				seconds(row.Seconds), seconds(row.CPU), float64(row.Peak)/1024, size(row.Output), size(row.State))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return nil
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

// size is a number of bytes for people.
func size(n int) string {
	switch {
	case n == 0:
		return "-"
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
