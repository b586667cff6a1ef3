package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
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
