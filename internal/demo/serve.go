package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Serve makes a world and keeps it up until ctx ends, which is no error. It writes the lines that set a shell's
// environment to o.Out and to a file in the world's folder, and everything for people to o.Err.
func Serve(ctx context.Context, o Options) (err error) {
	out := &lines{w: o.Err}
	w, err := NewWorld(ctx, WorldOptions{Dir: o.Dir, AlwaysOpen: o.AlwaysOpen, Passage: func(p Passage) {
		if p.Admitted {
			out.print("gate: %s admitted by %s", p.From, p.Why)
		} else {
			out.print("gate: %s dropped: %s", p.From, p.Why)
		}
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	setting := w.setting() + findable(o.Program)
	file := filepath.Join(w.dir, envFile())
	if err := os.WriteFile(file, []byte(setting), 0o600); err != nil {
		return fmt.Errorf("write the environment: %w", err)
	}
	if _, err := io.WriteString(o.Out, setting); err != nil {
		return fmt.Errorf("write the environment: %w", err)
	}
	for line := range strings.Lines(w.guide(file)) {
		out.print("%s", strings.TrimSuffix(line, "\n"))
	}
	<-ctx.Done()
	out.print("The world ends. The variables in your shell point to nothing now.")
	return nil
}

// lines writes whole lines from several goroutines.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, format+"\n", args...)
}

// unsetVars would win over the ones that are set here.
func unsetVars() []string {
	return []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"}
}

func envFile() string {
	if runtime.GOOS == "windows" {
		return "env.ps1"
	}
	return "env.sh"
}

// setting is what a shell has to read to be in the world: POSIX sh, or PowerShell on Windows.
func (w *World) setting() string {
	var b strings.Builder
	for _, name := range unsetVars() {
		if runtime.GOOS == "windows" {
			fmt.Fprintf(&b, "$env:%s = $null\n", name)
		} else {
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	for _, kv := range w.alice.Vars() {
		name, value, _ := strings.Cut(kv, "=")
		if runtime.GOOS == "windows" {
			fmt.Fprintf(&b, "$env:%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
		} else {
			fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
		}
	}
	return b.String()
}

// findable is what a shell has to read so that the names of commands in the guide lead to this program: `go run` builds one that is
// in no PATH. It is empty where they do already.
func findable(program string) string {
	const name = "emr-accessd"
	if strings.TrimSuffix(filepath.Base(program), ".exe") != name {
		return ""
	}
	this, err := os.Stat(program)
	if found, lookErr := exec.LookPath(name); lookErr == nil && err == nil {
		if other, err := os.Stat(found); err == nil && os.SameFile(this, other) {
			return ""
		}
	}
	dir := filepath.Dir(program)
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("$env:PATH = '%s;' + $env:PATH\n", strings.ReplaceAll(dir, "'", "''"))
	}
	return fmt.Sprintf("export PATH='%s':\"$PATH\"\n", strings.ReplaceAll(dir, "'", `'\''`))
}

// guide tells what there is and what to try.
func (w *World) guide(file string) string {
	var b strings.Builder
	at := w.node.listen
	fmt.Fprintf(&b, `The world is up until Ctrl-C: a simulated AWS at %s with the cluster
%s (%s), and its primary node at %s behind a gate that drops every
connection which the rules of %s do not admit. No AWS account is used.
`, w.endpoint, clusterName, w.cloud.cluster, at, w.cloud.master)
	if !w.real {
		b.WriteString("This system has no loopback addresses but 127.0.0.1: the gate goes by the address in the file below.\n")
	}
	source := w.alice.SourcePath
	fmt.Fprintf(&b, `
In another terminal:

  . %s

  emr-accessd ip
  emr-accessd sync --dry-run
  emr-accessd run &                  # the daemon
  emr-accessd status
  emr-accessd connect -i %s %s
  echo 127.0.0.3 > %s
                                     # the laptop moves (any 127.x.y.z will do)
  emr-accessd status                 # the rule has followed

  aws ec2 describe-security-group-rules --filters Name=group-id,Values=%s
  aws --endpoint-url %s emr list-clusters --active
                                     # aws emr ignores the variable, and would ask AWS
`, file, w.keyFile, w.cloud.cluster, source, w.cloud.master, w.endpoint)
	if w.real {
		fmt.Fprintf(&b, `  ssh -b $(cat %s) -i %s -p %d %s@%s
                                     # OpenSSH passes the same gate
`, source, w.keyFile, at.Port(), nodeUser, at.Addr())
	}
	b.WriteString("  emr-accessd revoke\n\nWhat the gate sees:\n")
	return b.String()
}
