package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// TestDue: nothing that is to come was "just now", or is "ago".
func TestDue(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-time.Minute: "now", 0: "now", time.Second: "now", 9*time.Second + time.Millisecond: "in 9 s", 5 * time.Minute: "in 5 min"} {
		if got := due(noon.Add(d), noon); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// full is a disk without room.
type full struct{ tries int }

func (f *full) Write([]byte) (int, error) { f.tries++; return 0, syscall.ENOSPC }

// An answer that could not be written is a failure, told once: a script reads it from a file.
func TestAnswerOnFullDisk(t *testing.T) {
	for _, json := range []bool{false, true} {
		a := &app{streams: streams{Out: &full{}}, flags: flags{json: json}}
		if err := a.print("x", func(w io.Writer) { fmt.Fprintln(w, "x") }); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("json %v: %v", json, err)
		}
	}
	disk := &full{}
	p := newDoctorPage(disk)
	p.check(doctorCheck{Subject: "a", Check: "b", State: stateOK, Seen: "c"})
	if err := p.end(doctorAnswer{}); !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") || disk.tries != 1 {
		t.Errorf("%v after %d tries", err, disk.tries)
	}
}

// Groups that targets share are shown once, and two rounds that changed the same group are both shown.
func TestGroupsToldOnce(t *testing.T) {
	t.Parallel()
	of := func(do string) keeper.TargetReport {
		return keeper.TargetReport{Target: do, Groups: []keeper.GroupReport{{ID: "sg-1", Region: "eu-west-1", Changes: []keeper.ChangeReport{{Do: do, CIDR: "192.0.2.1/32"}}}}}
	}
	rep := keeper.Report{Applied: true, Targets: []keeper.TargetReport{of("leave"), of("leave"), of("remove")}}
	for _, render := range []func(io.Writer){func(w io.Writer) { renderTidied(w, rep, "") }, func(w io.Writer) { renderReport(w, rep) }} {
		var b strings.Builder
		render(&b)
		if got := b.String(); strings.Count(got, "left ") != 1 || strings.Count(got, "removed ") != 1 {
			t.Error(got)
		}
	}
}
