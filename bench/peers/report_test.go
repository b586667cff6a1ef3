//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

func TestParse(t *testing.T) {
	for _, args := range []string{"-n 0", "-n 251", "more", "-nonsense"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
	if o, err := parse([]string{"-short", "-json"}, io.Discard); err != nil || o.n != shortPairs || !o.json {
		t.Errorf("%+v %v", o, err)
	}
}

func TestCount(t *testing.T) {
	at := time.Now()
	var s sample
	s.count([]awssim.Call{
		{At: at, Service: "ec2", Action: "DescribeSecurityGroupRules"},
		{At: at.Add(time.Second), Service: "ec2", Action: "RevokeSecurityGroupIngress"},
		{At: at.Add(3 * time.Second), Service: "ec2", Action: "AuthorizeSecurityGroupIngress"},
	})
	if s.Calls != 3 || s.Writes != 2 || s.Shut != 2000 {
		t.Errorf("%+v", s)
	}
}

func TestConclude(t *testing.T) {
	ours := &job{name: "emr-accessd", changed: []sample{{Wall: 30, CPU: 20}, {Wall: 10, CPU: 20}, {Wall: 20, CPU: 20}},
		same: []sample{{Wall: 10, CPU: 10, Calls: 5, AWS: 1000, Echo: 100}}}
	theirs := &job{name: "script of aws", changed: []sample{{Wall: 300, CPU: 40}, {Wall: 200, CPU: 40}, {Wall: 80, CPU: 40}},
		same: []sample{{Wall: 100, CPU: 1000, Calls: 1, AWS: 900, Echo: 100}}}
	r := conclude([]*job{ours, theirs}, 20e6)
	if f := r.Runs[0]; f.Wall != 20 || f.WallRatio != 0.1 || f.CPURatio != 0.5 {
		t.Errorf("%+v", f)
	}
	want := []day{
		{"emr-accessd, its looks", 96, 480, 0.96, 96*1000 + 8*100 + 2880*52},
		{"script of aws each 5 min", 288, 288, 288, 288 * 1000},
		{"script of aws each 1 min", 1440, 1440, 1440, 1440 * 1000},
	}
	for i, d := range r.Days {
		if d != want[i] {
			t.Errorf("%+v, want %+v", d, want[i])
		}
	}
	var table, data bytes.Buffer
	if err := r.table(&table); err != nil || !strings.Contains(table.String(), "24m0s") {
		t.Errorf("%v\n%s", err, &table)
	}
	if err := r.json(&data); err != nil || strings.Count(data.String(), `"no_rule_ms"`) != 4+8 {
		t.Errorf("not every value is in it: %v\n%s", err, &data)
	}
	var back result
	if err := json.Unmarshal(data.Bytes(), &back); err != nil || len(back.Runs) != 4 || len(back.Runs[0].Samples) != 3 || back.Runs[0].Wall != 20 {
		t.Errorf("%+v %v", back, err)
	}
}

// All bytes of a connection are counted once it is closed, and those of TLS too.
func TestTraffic(t *testing.T) {
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	w.reset()
	client := w.echoes[0].Client()
	resp, err := client.Get(w.echoes[0].url())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || strings.TrimSpace(string(body)) != "198.51.100.1" {
		t.Fatalf("%q %v", body, err)
	}
	client.Transport.(*http.Transport).CloseIdleConnections()
	aws, echo, err := w.traffic()
	if err != nil || aws != 0 || echo < 1000 || echo > 20000 {
		t.Errorf("%d bytes of AWS, %d of the echoes, %v", aws, echo, err)
	}
	if w.reset(); w.echoes[0].bytes.Load() != 0 {
		t.Error("the counter was not reset")
	}
}
