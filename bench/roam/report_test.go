//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
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
		r.follow(began, time.Time{}, began.Add(after), time.Time{})
	}
	r.follow(began, time.Time{}, time.Time{}, time.Time{})
	r = r.done()
	if r.Noticed != 3 || r.Missed != 1 || r.P50ms != 2000 || r.P95 != 1 || r.Real50 != 40000 || r.Gone50 != 0 {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	(&changes{Changes: 4, RTT: 40, Results: map[string][]row{"local": {r}, "behind": {r}}}).table(&b)
	if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "poll every 60s 40s 1m0s 0.67 1.00 1 -") {
		t.Errorf("the table is\n%s", &b)
	}
}

// Of a script the time to its run is stretched, and the run itself is not.
func TestRowOfScript(t *testing.T) {
	began := time.Now()
	r := row{interval: 5 * time.Second, Scale: 12}
	start := began.Add(2 * time.Second)
	r.follow(began, start, start.Add(1500*time.Millisecond), start.Add(time.Second))
	r = r.done()
	want := value{MS: 3500, OwnMS: 1500, RealMS: 25500, GoneMS: 25000}
	if len(r.Values) != 1 || r.Values[0] != want || r.Real50 != 25500 || r.P50 != 0.425 {
		t.Errorf("%+v, want %+v", r, want)
	}
}

func TestCalls(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	call := func(s int, action, group string, status int, params ...string) awssim.Call {
		c := awssim.Call{At: at(s), Service: "ec2", Action: action, Status: status, Params: map[string]string{"GroupId": group}}
		for i := 0; i < len(params); i += 2 {
			c.Params[params[i]] = params[i+1]
		}
		return c
	}
	const add, cidr = "AuthorizeSecurityGroupIngress", "IpPermissions.1.IpRanges.1.CidrIp"
	calls := []awssim.Call{
		call(1, add, "sg-2", 200, cidr, "198.51.100.2/32"),
		call(2, "RevokeSecurityGroupIngress", "sg-1", 400, "CidrIp", "198.51.100.1/32"),
		call(3, "RevokeSecurityGroupIngress", "sg-1", 200, "CidrIp", "198.51.100.1/32"),
		call(4, add, "sg-1", 400, cidr, "198.51.100.2/32"),
		call(5, add, "sg-1", 200, cidr, "198.51.100.2/32"),
		call(6, "ModifySecurityGroupRules", "sg-1", 200),
	}
	if got := openedIn(calls, "sg-1", "198.51.100.2"); !got.Equal(at(5)) {
		t.Errorf("opened at %d", got.Unix())
	}
	if got := openedIn(calls, "sg-1", "198.51.100.1"); !got.IsZero() {
		t.Errorf("what was closed was opened at %d", got.Unix())
	}
	for since, want := range map[int]int{0: 3, 3: 6} {
		if got := goneIn(calls, "sg-1", at(since)); !got.Equal(at(want)) {
			t.Errorf("since %d gone at %d, want %d", since, got.Unix(), want)
		}
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
