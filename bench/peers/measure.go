//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// job is one of those that are compared.
type job struct {
	name          string
	group         string
	program       []string
	changed, same []sample
}

// sample is what one run took.
type sample struct {
	Wall   float64 `json:"wall_ms"`
	CPU    float64 `json:"cpu_ms"`       // of all processes
	Peak   int64   `json:"peak_rss_kb"`  // resident memory of the largest process
	Calls  int     `json:"calls"`        // of AWS
	Writes int     `json:"writes"`       // of these
	Shut   float64 `json:"no_rule_ms"`   // no rule admits the laptop, between the calls that remove and make it
	AWS    int64   `json:"bytes_aws"`    // in and out, with TLS and without the headers of TCP and IP
	Echo   int64   `json:"bytes_echoes"` // the same, of the looks at the own address
}

// measuredVerb makes this program run another one and tell what that took.
const measuredVerb = "measured"

// measured runs a program and writes its wall time, CPU time and memory to file 3. The kernel counts the memory of who
// starts a process as that of the process, until the new program is in it (exec_mmap in Linux' fs/exec.c): so this is a
// process of its own, with less memory than what is measured, and not the one that has the simulated AWS in it.
func measured(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	s := sample{Wall: ms(time.Since(began))}
	if err == nil {
		p := cmd.ProcessState
		s.CPU = ms(p.UserTime() + p.SystemTime())
		if u, ok := p.SysUsage().(*syscall.Rusage); ok {
			if s.Peak = int64(u.Maxrss); runtime.GOOS == "darwin" { // in bytes there, getrusage(2)
				s.Peak /= 1024
			}
		}
		err = json.NewEncoder(os.NewFile(3, "result")).Encode(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// exec runs a job once.
func (w *world) exec(ctx context.Context, j *job) (s sample, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	answer, result, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer answer.Close()
	w.reset()
	cmd := exec.CommandContext(ctx, self, append([]string{measuredVerb}, j.program...)...)
	cmd.Env, cmd.ExtraFiles = w.environ(), []*os.File{result}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its child then
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	result.Close()
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", j.name, err, text)
	}
	if err := json.NewDecoder(answer).Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("%s: %w", j.name, err)
	}
	if s.Wall == 0 || s.Peak == 0 {
		return s, fmt.Errorf("%s: nothing was measured", j.name)
	}
	s.count(w.sim.Calls())
	s.AWS, s.Echo, err = w.traffic()
	return s, err
}

// count counts what a run has asked of AWS.
func (s *sample) count(calls []awssim.Call) {
	var closed time.Time
	for _, c := range calls {
		s.Calls++
		if c.Write() {
			s.Writes++
		}
		switch c.Action {
		case "RevokeSecurityGroupIngress":
			closed = c.At
		case "AuthorizeSecurityGroupIngress":
			if !closed.IsZero() {
				s.Shut += ms(c.At.Sub(closed))
			}
			closed = time.Time{}
		}
	}
}
