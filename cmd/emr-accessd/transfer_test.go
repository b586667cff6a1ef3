package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/transfer"
)

func TestTransferWords(t *testing.T) {
	for _, tt := range []struct {
		verb, line, want string // want is the cluster, the sources and the destination, or "!" with words of the error
	}{
		{"put", "c a", "c|a|"},
		{"put", "c a b", "c|a|b"},
		{"put", "c a b d/", "c|a b|d/"},
		{"put", "c a --dest d", "c|a|d"},
		{"put", "c a b --dest d", "c|a b|d"},
		{"put", "c --src a --dest d", "c|a|d"},
		{"put", "c --src a d", "c|a|d"},
		{"put", "c --src a", "c|a|"},
		{"put", "c --src a --dest d e", "!only DEST"},
		{"put", "c --src a b d", "!only DEST"},
		{"put", "c - d", "c|-|d"},
		{"put", "c -", "!DEST is needed"},
		{"put", "c - a d", "!cannot be a SOURCE"},
		{"put", "c", "!nothing is named"},
		{"put", "", "!no cluster"},
		{"put", "-r c a", "c|a|"},
		{"put", "j-2AXX:a b", "!two words"},
		{"get", "c a", "c|a|."},
		{"get", "c a -", "c|a|-"},
		{"get", "c - a", "!cannot be a SOURCE"},
		{"get", "c j-2AXX:a b", "!two words"},
	} {
		var f transferFlags
		a := &app{}
		cmd := a.putCommand()
		if tt.verb == "get" {
			cmd = a.getCommand()
		}
		cmd.ResetFlags()
		f.register(cmd)
		if err := cmd.ParseFlags(strings.Fields(tt.line)); err != nil {
			t.Fatalf("%s: %v", tt.line, err)
		}
		cluster, sources, dest, err := f.split(cmd, cmd.Flags().Args())
		got := cluster + "|" + strings.Join(sources, " ") + "|" + dest
		words, wantErr := strings.CutPrefix(tt.want, "!")
		if wantErr != (err != nil) || wantErr && !strings.Contains(err.Error(), words) || !wantErr && got != tt.want {
			t.Errorf("%s %s: %s (%v), want %s", tt.verb, tt.line, got, err, tt.want)
		}
		if err != nil && exitCode(err) != exitUsage {
			t.Errorf("%s %s: exit code %d", tt.verb, tt.line, exitCode(err))
		}
	}
}

func TestMeterLine(t *testing.T) {
	for _, tt := range []struct {
		c    transfer.Counts
		rate float64
		want string
	}{
		{transfer.Counts{}, 0, "put: looking at the files"},
		{transfer.Counts{DoneBytes: 2_500_000}, 1e6, "put, 2.5 MB, 1.0 MB/s"},
		{transfer.Counts{Files: 1, Bytes: 4e6, DoneBytes: 1e6, Listed: true, Current: "a/job.jar"}, 1e6, "put, 25 % of 4.0 MB, 1.0 MB/s, 3 s left, job.jar"},
		{transfer.Counts{Files: 12, DoneFiles: 3, Bytes: 4e9, Listed: true, Current: "x"}, 1e5, "put: 3 of 12 files, 0 % of 4.0 GB, 100.0 kB/s, 11:06 h left, x"},
		{transfer.Counts{Files: 1, Bytes: 10, DoneBytes: 30, Listed: true}, 0, "put, 100 % of 10 bytes"},
		{transfer.Counts{Files: 1, Bytes: 1 << 60, DoneBytes: 1, Listed: true, Current: "\x1b[2Jx"}, 1, "put, 0 % of 1152921.5 TB, 1 bytes/s, days left, ·[2Jx"},
	} {
		if got := meterLine("put", tt.c, tt.rate, 200); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.c, got, tt.want)
		}
		if got := meterLine("put", tt.c, tt.rate, 10); utf8.RuneCountInString(got) > 10 {
			t.Errorf("%q is wider than its terminal", got)
		}
	}
}

func TestRate(t *testing.T) {
	var r rate
	at := time.Unix(1e9, 0)
	if got := r.add(at, 0); got != 0 {
		t.Errorf("at once: %v", got)
	}
	for i := range 100 { // 1 MB/s, then nothing
		at = at.Add(meterStep)
		r.add(at, min(int64(i+1)*250_000, 10_000_000))
	}
	if got := r.add(at.Add(meterStep), 10_000_000); got != 0 {
		t.Errorf("after ten seconds without a byte: %v", got)
	}
	if len(r.at) > 30 {
		t.Errorf("%d samples are kept", len(r.at))
	}
}
