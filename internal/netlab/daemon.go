//go:build linux

package netlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds emr-accessd into a file. It must be called from inside of the module.
func Build(ctx context.Context, file string, flags ...string) error {
	args := append(append([]string{"build", "-buildvcs=false"}, flags...), "-o", file, "github.com/emr-accessd/emr-accessd/cmd/emr-accessd")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Config writes the program's configuration: the world's cluster, echoes and STUN servers, with the shortest interval.
// settings are further lines of [address] by key, or others for the same key; the values are TOML.
func (w *World) Config(settings map[string]string) error {
	address := map[string]string{
		"accept": `["198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "2001:db8::/32"]`,
		"stun":   `["stun1.lab:3478", "stun2.lab:3478"]`, "interval": `"5s"`,
	}
	maps.Copy(address, settings)
	var b strings.Builder
	fmt.Fprintf(&b, "[[target]]\ncluster = %q\n\n[address]\n", w.Cloud.Cluster)
	for _, key := range slices.Sorted(maps.Keys(address)) {
		fmt.Fprintf(&b, "%s = %s\n", key, address[key])
	}
	for _, op := range Operators {
		fmt.Fprintf(&b, "\n[[address.source]]\nurl = \"https://%s.lab/\"\noperator = %q\nca-file = %q\n", op, op, w.CAFile())
	}
	return os.WriteFile(w.configFile(), []byte(b.String()), 0o600)
}

// Daemon is a running emr-accessd.
type Daemon struct {
	PID   int
	world *World
	prog  string
	env   []string
	log   lines
	cmd   *exec.Cmd
	ended chan error
}

// Run starts `program run` on the laptop. env is added to its environment. It is killed with the lab at the latest.
func (w *World) Run(program string, env ...string) (*Daemon, error) {
	d := &Daemon{world: w, prog: program, env: append(w.Environ(), env...), ended: make(chan error, 1)}
	ctx, kill := context.WithCancel(context.Background())
	d.cmd = w.Laptop.Command(ctx, program, "--verbose", "run")
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = d.env, &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		kill()
		return nil, err
	}
	d.PID = d.cmd.Process.Pid
	go func() { d.ended <- d.cmd.Wait() }()
	w.OnClose(func() error {
		kill()
		_ = d.wait(stopTime)
		return nil
	})
	return d, nil
}

// stopTime is how long a program may take to end, on a busy computer.
const stopTime = 20 * time.Second

// Stop ends the daemon as a service manager does. The error tells that it ended badly, or not at all.
func (d *Daemon) Stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return d.wait(stopTime)
}

func (d *Daemon) wait(limit time.Duration) error {
	select {
	case err := <-d.ended:
		d.ended <- err
		return err
	case <-time.After(limit):
		return errors.New("the daemon does not end")
	}
}

// Log is what the daemon has written so far.
func (d *Daemon) Log() string { return d.log.String() }

// Status is what `status --json` says, as far as tests look at it.
type Status struct {
	Running   bool     `json:"running"`
	LastError *string  `json:"last_error"`
	Noticing  []string `json:"noticing"`
	Warnings  []string `json:"warnings"`
	Targets   []struct {
		Verdicts map[string]struct {
			State   string `json:"state"`
			Address string `json:"address"`
			Why     string `json:"why"`
		} `json:"verdicts"`
		Error *string `json:"error"`
		Reach *struct {
			State string `json:"state"`
			Why   string `json:"why"`
		} `json:"reach"`
	} `json:"targets"`
}

// Verdict is the state and the sentence of a family ("ipv4") for the only target; "" when there is none yet.
func (s Status) Verdict(family string) (state, why string) {
	if len(s.Targets) != 1 {
		return "", ""
	}
	v := s.Targets[0].Verdicts[family]
	return v.State, v.Why
}

// Status asks the program on the laptop.
func (d *Daemon) Status(ctx context.Context) (s Status, err error) {
	out, err := d.Command(ctx, "status", "--json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// Command runs another command of the program beside the daemon, and returns its standard output.
func (d *Daemon) Command(ctx context.Context, args ...string) (string, error) {
	cmd := d.world.Laptop.Command(ctx, d.prog, args...)
	cmd.Env = d.env
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// lines takes a child's output, which os/exec writes from a goroutine of its own.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
