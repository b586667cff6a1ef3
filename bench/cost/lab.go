package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// sample is what a process has taken.
type sample struct {
	Seconds float64 `json:"seconds"`     // from its start to its end
	CPU     float64 `json:"cpu_seconds"` // user and system
	Peak    int     `json:"peak_kb"`     // resident memory, at most; 0 where the system does not tell
	Calls   int     `json:"calls"`       // to AWS
	Writes  int     `json:"writes"`
	Answers int     `json:"answer_bytes"` // of AWS
	Output  int     `json:"output_bytes"` // what it printed
	State   int     `json:"state_bytes"`  // of the state file afterwards
	Runs    int     `json:"runs"`         // a round that wants a fresh look at the address is made once more
}

// lab is where processes are measured.
type lab struct {
	options
	self     string // this program
	dir      string
	progress io.Writer
	worlds   int
}

// world is one laptop with its AWS.
type world struct {
	*lab
	*cloud
	home string
}

func (l *lab) world() (*world, error) {
	l.worlds++
	w := &world{l, newCloud(), filepath.Join(l.dir, fmt.Sprintf("world-%d", l.worlds))}
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *world) state() string { return filepath.Join(w.home, "state") }

// target is a table of the configuration.
type target struct{ region, cluster, group string }

// configure writes the configuration. The own address is fixed in it: what is measured does not look for it.
func (w *world) configure(address string, targets []target) error {
	var b strings.Builder
	for _, t := range targets {
		fmt.Fprintf(&b, "[[target]]\nregion = %q\n", t.region)
		if t.group != "" {
			fmt.Fprintf(&b, "security-group = %q\n", t.group)
		} else {
			fmt.Fprintf(&b, "cluster = %q\n", t.cluster)
		}
	}
	fmt.Fprintf(&b, "[address]\nipv4 = %q\nipv6 = \"off\"\naccept = [\"198.51.100.0/24\"]\negress-check = false\nstun = []\n[rules]\nprobe = false\n[notify]\ndesktop = false\n", address)
	return os.WriteFile(filepath.Join(w.home, "config.toml"), []byte(b.String()), 0o600)
}

// maxRuns bounds how often a round is made anew whose look at the address got too old.
const maxRuns = 6

// run runs the program to its success, and adds up what that took.
func (w *world) run(ctx context.Context, args ...string) (s sample, err error) {
	w.asked()
	for s.Runs < maxRuns {
		s.Runs++
		var out, messages bytes.Buffer
		file := filepath.Join(w.home, "sample.json")
		cmd := exec.CommandContext(ctx, w.self, append([]string{w.binary}, args...)...)
		cmd.Env = []string{sampleFile + "=" + file, "HOME=" + w.home, "AWS_ENDPOINT_URL=" + w.URL, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + regions[0],
			"EMR_ACCESSD_CONFIG=" + filepath.Join(w.home, "config.toml"), "EMR_ACCESSD_STATE=" + w.state()}
		cmd.Stdout, cmd.Stderr = &out, &messages
		err = cmd.Run()
		one, rerr := readSample(file)
		if rerr != nil {
			return s, errors.Join(err, rerr, errors.New(messages.String()))
		}
		s.Seconds += one.Seconds
		s.CPU += one.CPU
		s.Peak = max(s.Peak, one.Peak)
		s.Output = out.Len()
		if err == nil {
			break
		}
		if ctx.Err() != nil || !strings.Contains(messages.String()+out.String(), "looked at too long ago") {
			return s, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, messages.Bytes())
		}
	}
	s.Calls, s.Writes, s.Answers = w.asked()
	if info, serr := os.Stat(filepath.Join(w.state(), "state.json")); serr == nil {
		s.State = int(info.Size())
	} else if !errors.Is(serr, os.ErrNotExist) {
		err = errors.Join(err, serr)
	}
	return s, err
}

func readSample(file string) (s sample, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	return s, errors.Join(json.Unmarshal(data, &s), os.Remove(file))
}

// typical runs the program some times and returns the run that took the middle time.
func (w *world) typical(ctx context.Context, args ...string) (sample, error) {
	runs := 5
	if w.short {
		runs = 1
	}
	var all []sample
	for range runs {
		s, err := w.run(ctx, args...)
		if err != nil {
			return s, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b sample) int { return int((a.Seconds - b.Seconds) * 1e9) })
	return all[len(all)/2], nil
}
