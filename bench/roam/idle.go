//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// warmUp is the time from the start until nothing of it is left to do: the first rule has been read again (after 10 s),
// and both STUN servers have been asked.
const warmUp = 75 * time.Second

// sleeper is the program that does nothing.
const sleeper = `package main

import "time"

func main() {
	for {
		time.Sleep(time.Hour)
	}
}
`

// measureIdle measures the daemon at its default interval, and a program that only sleeps, side by side on one laptop.
func measureIdle(ctx context.Context, o options, dir string, progress io.Writer) (_ *idle, err error) {
	world := filepath.Join(dir, "idle")
	if err := os.Mkdir(world, 0o700); err != nil {
		return nil, err
	}
	w, err := netlab.NewWorld(world, netlab.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Config(map[string]string{"interval": `"30s"`}); err != nil {
		return nil, err
	}
	d, err := w.Run(o.binary)
	if err != nil {
		return nil, err
	}
	asleep, err := startSleeper(ctx, w, dir)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "waiting %s until all is quiet, then measuring for %s\n", warmUp, o.idle)
	if err := wait(ctx, warmUp); err != nil {
		return nil, err
	}
	if len(w.Cloud.Own()) != 1 {
		return nil, fmt.Errorf("there is no rule: what waits here is not what it should be; the program wrote:\n%s", d.Log())
	}
	begin := time.Now()
	result := &idle{where: whereabouts(), Results: []waiting{{Who: "emr-accessd (interval 30s)"}, {Who: "a program that sleeps"}}}
	pids := []int{d.PID, asleep}
	start := make([]usage, len(pids))
	for i, pid := range pids {
		if start[i], err = usageOf(pid); err != nil {
			return nil, err
		}
	}
	bytes, err := traffic(w.Laptop)
	if err != nil {
		return nil, err
	}
	w.Cloud.Sim.ResetCalls()
	echoes, stuns := asked(w)
	if err := wait(ctx, o.idle); err != nil {
		return nil, err
	}
	result.Seconds = time.Since(begin).Seconds()
	for i, pid := range pids {
		end, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		r := &result.Results[i]
		r.Switches, r.CPUms, r.RSSkB, r.AnonKB = end.switches-start[i].switches, float64(end.cpu-start[i].cpu)/1e6, end.rss, end.anon
	}
	after, err := traffic(w.Laptop)
	result.Results[0].Bytes = after - bytes // the other one has no socket
	result.Calls = len(w.Cloud.Sim.Calls())
	result.Echoes, result.STUN = asked(w)
	result.Echoes, result.STUN = result.Echoes-echoes, result.STUN-stuns
	return result, err
}

// asked is how often the sources of the address and the STUN servers of a world have been asked.
func asked(w *netlab.World) (echoes, stuns int) {
	for _, e := range w.Echoes {
		echoes += len(e.Asked())
	}
	for _, s := range w.STUN {
		times, _ := s.Asked()
		stuns += len(times)
	}
	return echoes, stuns
}

// startSleeper builds and starts the program that does nothing.
func startSleeper(ctx context.Context, w *netlab.World, dir string) (pid int, err error) {
	source, binary := filepath.Join(dir, "sleeper.go"), filepath.Join(dir, "sleeper")
	if err := os.WriteFile(source, []byte(sleeper), 0o600); err != nil {
		return 0, err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the sleeper: %w: %s", err, out)
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := w.Laptop.Command(ctx, binary)
	if err := cmd.Start(); err != nil {
		stop()
		return 0, err
	}
	w.OnClose(func() error {
		stop()
		_ = cmd.Wait() // it was killed
		return nil
	})
	return cmd.Process.Pid, nil
}

// usage is what a process has used since its start.
type usage struct {
	switches int64
	cpu      int64 // ns
	rss      int64 // KiB, now
	anon     int64 // KiB of that which are in no file: the process's own
}

// usageOf adds up the threads of a process. The kernel counts for each thread (proc_pid_status(5), and schedstat in the
// kernel's documentation of scheduler statistics).
func usageOf(pid int) (u usage, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err == nil && len(tasks) == 0 {
		err = fmt.Errorf("process %d has ended", pid)
	}
	if err != nil {
		return u, err
	}
	for _, task := range tasks {
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			continue // the thread has ended since
		}
		for line := range strings.Lines(string(status)) {
			name, rest, _ := strings.Cut(line, ":")
			fields := strings.Fields(rest)
			if len(fields) == 0 {
				continue
			}
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			switch name {
			case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
				u.switches += n
			case "VmRSS":
				u.rss = n
			case "RssAnon":
				u.anon = n
			}
		}
		stat, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.Fields(string(stat) + " ?")[0], 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/schedstat: %w", task, err)
		}
		u.cpu += n
	}
	return u, nil
}

// traffic is what has gone through the laptop's Wi-Fi interface in both directions, in bytes.
func traffic(h *netlab.Host) (sum int64, err error) {
	err = h.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, counters, _ := strings.Cut(line, ":")
			f := strings.Fields(counters)
			if strings.TrimSpace(name) != "wlan0" || len(f) < 9 {
				continue
			}
			in, _ := strconv.ParseInt(f[0], 10, 64)
			out, _ := strconv.ParseInt(f[8], 10, 64)
			sum = in + out
			return nil
		}
		return errors.New("the laptop has no interface wlan0")
	})
	return sum, err
}
