package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// office are three daemons, each with its own state and address, in one group.
type office struct {
	*testing.T
	endpoint, cluster, region string
	rules                     func() []string // "ADDRESS/32 lease lease" of the managed rules, sorted
	daemons                   map[string]*daemon
}

type daemon struct {
	*echoes
	dir string
	key string
	cmd *exec.Cmd
	out syncBuffer
}

// syncBuffer may be read while a process writes. The buffer is not embedded: io.Copy would go by its ReadFrom, without
// the lock.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// add makes a laptop at an address and starts its daemon.
func (o *office) add(name, key, addr string) {
	o.Helper()
	dir := o.TempDir()
	e, err := newEchoes(dir)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(e.close)
	d := &daemon{echoes: e, dir: dir, key: key}
	e.set("all", addr)
	text := e.config(dir, fmt.Sprintf("[[target]]\ncluster = %q\n", o.cluster))
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
	o.daemons[name] = d
	o.start(name)
	o.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // it was killed: the error says only that
		if o.Failed() {
			o.Logf("%s: %s", name, d.out.String())
		}
	})
}

func (o *office) command(d *daemon, arg string) *exec.Cmd {
	cmd := exec.Command(programPath(o.T), arg)
	cmd.Env = []string{coverage(), "HOME=" + d.dir, "AWS_ENDPOINT_URL=" + o.endpoint, "AWS_ACCESS_KEY_ID=" + d.key, "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + o.region,
		"EMR_ACCESSD_CONFIG=" + filepath.Join(d.dir, "config.toml"), "EMR_ACCESSD_STATE=" + filepath.Join(d.dir, "state"), "GORACE=atexit_sleep_ms=0"}
	cmd.Stdout, cmd.Stderr = &d.out, &d.out
	mototest.DieWithParent(cmd)
	return cmd
}

func (o *office) start(name string) {
	o.Helper()
	d := o.daemons[name]
	d.cmd = o.command(d, "run")
	if err := d.cmd.Start(); err != nil {
		o.Fatal(err)
	}
}

func (o *office) kill(name string) {
	d := o.daemons[name]
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// until waits for the managed rules to be these: each an address and the number of its leases.
func (o *office) until(what string, want ...string) {
	o.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = o.rules(); slices.Equal(got, want) {
			return
		}
	}
	o.Fatalf("%s: the rules are %q, want %q", what, got, want)
}

// day is the story: two behind one address, one moves, one is killed, one comes back.
func (o *office) day(keys [3]string) {
	o.Helper()
	o.add("ann", keys[0], "198.51.100.7")
	o.until("ann is in", "198.51.100.7/32 1")
	o.add("ben", keys[1], "198.51.100.7")
	o.until("ben joins", "198.51.100.7/32 2")
	o.add("cid", keys[2], "203.0.113.9")
	o.until("cid is elsewhere", "198.51.100.7/32 2", "203.0.113.9/32 1")

	o.daemons["ann"].set("all", "198.51.100.20")
	o.until("ann goes home: ben keeps the rule", "198.51.100.20/32 1", "198.51.100.7/32 1", "203.0.113.9/32 1")

	o.kill("ben")
	o.daemons["cid"].set("all", "198.51.100.7")
	o.until("cid comes to the office: the dead man's lease is still good", "198.51.100.20/32 1", "198.51.100.7/32 2")

	o.start("ben")
	o.daemons["cid"].set("all", "203.0.113.10") // not the one before: an address that flips is held at both
	o.until("ben is back, and cid is gone", "198.51.100.20/32 1", "198.51.100.7/32 1", "203.0.113.10/32 1")

	for _, name := range []string{"ann", "ben", "cid"} {
		o.kill(name)
		if err := o.command(o.daemons[name], "revoke").Run(); err != nil {
			o.Fatalf("revoke of %s: %v", name, err)
		}
	}
	o.until("nobody is left")
}

// Three processes with the simulated AWS: at no call was anybody's address uncovered.
func TestOffice(t *testing.T) {
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	for i, user := range []string{"AIDAANN", "AIDABEN", "AIDACID"} {
		w.sim.AddPrincipal(fmt.Sprintf("AKIA%d", i), awssim.Principal{UserID: user})
	}
	o := &office{T: t, endpoint: w.server.URL, cluster: w.cluster, region: "eu-west-1", daemons: map[string]*daemon{}, rules: func() (lines []string) {
		for _, r := range w.sim.Rules(w.master) {
			lines = managedLine(lines, r.CIDR, r.Tags)
		}
		slices.Sort(lines)
		return lines
	}}
	before := foreignOnly(w.listing())
	o.day([3]string{"AKIA0", "AKIA1", "AKIA2"})
	if after := foreignOnly(w.listing()); after != before {
		t.Errorf("rules of others changed:\n%s\nwere\n%s", after, before)
	}
	for _, c := range w.sim.Calls() {
		if c.Action == "RevokeSecurityGroupIngress" && c.Params["SecurityGroupRuleId.1"] == "" {
			t.Errorf("a rule was revoked by what it admits: %v", c.Params)
		}
	}
}

// The same with moto, where everybody is the same user.
func TestOfficeMoto(t *testing.T) {
	w := newMotoWorld(t)
	before := w.rules(t)
	o := &office{T: t, endpoint: w.endpoint, cluster: w.cluster, region: "us-east-1", daemons: map[string]*daemon{}, rules: func() (lines []string) {
		for _, line := range w.rules(t) {
			f := strings.Fields(line)
			tags := map[string]string{}
			for _, tag := range f[4:] {
				if k, _, ok := strings.Cut(tag, "="); ok {
					tags[k] = ""
				}
			}
			lines = managedLine(lines, f[3], tags)
		}
		slices.Sort(lines)
		return lines
	}}
	o.day([3]string{"test", "test", "test"})
	if after := w.rules(t); !slices.Equal(before, after) {
		t.Errorf("the group is not as it was:\n%s", strings.Join(after, "\n"))
	}
}

// managedLine adds a managed rule as its address and the number of its leases.
func managedLine(lines []string, cidr string, tags map[string]string) []string {
	if _, ours := tags["emr-accessd-owner"]; !ours {
		return lines
	}
	n := 0
	for k := range tags {
		if strings.HasPrefix(k, "emr-accessd-lease-") {
			n++
		}
	}
	return append(lines, fmt.Sprintf("%s %d", cidr, n))
}

func foreignOnly(listing string) string {
	var b strings.Builder
	for l := range strings.Lines(listing) {
		if !strings.Contains(l, "emr-accessd-owner") {
			b.WriteString(l)
		}
	}
	return b.String()
}
