//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	ten := make([]time.Duration, 10)
	for i := range ten {
		ten[i] = time.Duration(i + 1)
	}
	for _, tt := range []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{{nil, 0.5, 0}, {ten[:1], 0.5, 1}, {ten[:1], 0.95, 1}, {ten, 0.5, 5}, {ten, 0.95, 10}, {ten[:9], 0.5, 5}, {ten, 0, 1}, {ten, 1, 10}} {
		if got := quantile(tt.of, tt.p); got != tt.want {
			t.Errorf("the %v quantile of %d values is %d, want %d", tt.p, len(tt.of), got, tt.want)
		}
	}
}

func TestRow(t *testing.T) {
	began := time.Now()
	r := row{Who: "poll every 60s", Interval: "3s", interval: 3 * time.Second, Scale: 20}
	for _, after := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
		r.add(began, began.Add(after))
	}
	r.add(began, time.Time{})
	r = r.done()
	if r.Noticed != 3 || r.Missed != 1 || r.P50ms != 2000 || r.P95 != 1 {
		t.Errorf("%+v", r)
	}
	if got := r.real(r.P95); got != "1m0s" {
		t.Errorf("one interval is really %s", got)
	}
	var b strings.Builder
	(&changes{Changes: 4, RTT: 40, Results: map[string][]row{"local": {r}, "behind": {r}}}).table(&b)
	if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "poll every 60s 40s 1m0s 0.67 1.00 1") {
		t.Errorf("the table is\n%s", &b)
	}
}

func TestUsage(t *testing.T) {
	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; {
		time.Sleep(time.Microsecond)
	}
	after, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.cpu <= before.cpu || after.switches <= before.switches || after.rss <= 0 {
		t.Errorf("after some work %+v, before %+v", after, before)
	}
	if _, err := usageOf(1 << 30); err == nil {
		t.Error("a process that is not there has used something")
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-n 81", "-idle 1s", "-idle -1m", "more", "-nonsense"} {
		if err := run(t.Context(), strings.Fields(args), &strings.Builder{}, &strings.Builder{}); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}
