package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"golang.org/x/sys/unix"
)

const (
	killedUser = "AIDASIMULATEDUSER0001" // the simulation's, for any key
	killedHere = "198.51.100.7/32"
	killedWas  = "198.51.100.8/32"
	killedGone = "198.51.100.9/32"
)

var (
	killedMe  = sgsync.Holder{UserID: killedUser, Installation: "k1"}
	killedBob = sgsync.Holder{UserID: "AIDABOB", Installation: "b1"}
)

// killedCases are the transitions of a rule.
var killedCases = []struct {
	name, command string
	seed          func(*killed)
}{
	{"add", "sync", func(*killed) {}},
	{"move", "sync", func(k *killed) { k.rule(killedWas, killedUser, killedMe, 23*time.Hour) }},
	{"join", "sync", func(k *killed) { k.rule(killedHere, "AIDABOB", killedBob, 23*time.Hour) }},
	{"leave", "sync", func(k *killed) { k.rule(killedWas, killedUser, killedMe, 23*time.Hour, killedBob) }},
	{"remove", "sync", func(k *killed) { k.rule(killedWas, "AIDABOB", killedMe, 23*time.Hour) }},
	{"remove another's", "sync", func(k *killed) { k.rule(killedGone, "AIDABOB", killedBob, -time.Hour) }},
	{"renew", "sync", func(k *killed) { k.rule(killedHere, killedUser, killedMe, 5*time.Hour) }},
	{"release", "revoke", func(k *killed) {
		k.rule(killedHere, killedUser, killedMe, 23*time.Hour)
		k.rule(killedWas, killedUser, killedMe, 23*time.Hour, killedBob)
	}},
}

// Killed with SIGKILL at any call, before it acts or before its answer comes, and at any change of the state
// folder: the next round covers the address at once, the rounds after it end as if the process had never been
// killed, and then there is nothing left to write (I6).
func TestKilledForReal(t *testing.T) {
	slots := make(chan struct{}, 4) // processes at a time; most of the time is spent waiting for σ
	var wg sync.WaitGroup
	for _, c := range killedCases {
		whole := newKilled(t, slots)
		c.seed(whole)
		if out, err := whole.run(c.command, never); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, out)
		}
		want, points := whole.listing(), whole.points()
		if len(points) < 8 {
			t.Fatalf("%s: %d points to be killed at are too few: %v", c.name, len(points), points)
		}
		for _, p := range points {
			k := newKilled(t, slots)
			wg.Go(func() {
				c.seed(k)
				if wrong := k.survive(c.command, p, want); wrong != "" {
					t.Errorf("%s, killed at %v: %s", c.name, p, wrong)
				}
			})
		}
		t.Logf("%s: %d points", c.name, len(points))
	}
	wg.Wait()
}

// point is an instant in the life of a process: at the nth call (before its effect or after it), or at the nth
// change of the state folder.
type point struct {
	kind string
	n    int
}

var never = point{"never", -1}

func (p point) String() string { return fmt.Sprintf("%s-%d", p.kind, p.n) }

// killed is a process and its world.
type killed struct {
	sim     *awssim.Sim
	group   string
	dir     string
	url     string
	ctx     context.Context
	program string
	slots   chan struct{}

	mu     sync.Mutex
	at     point
	calls  []bool // of this process: true for a write
	events int
	cmd    *exec.Cmd
	dead   bool
}

func newKilled(t *testing.T, slots chan struct{}) *killed {
	t.Helper()
	k := &killed{sim: awssim.New(awssim.Options{Region: "eu-west-1"}), dir: memoryDir(t), ctx: t.Context(), program: programPath(t), slots: slots}
	k.group = k.sim.AddGroup(k.sim.AddVPC(false), "ElasticMapReduce-master", "x")
	k.sim.AddRule(k.group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.200/32"})
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	k.url = server.URL
	file := func(name, text string) {
		if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("config.toml", fmt.Sprintf("[[target]]\nsecurity-group = %q\n[address]\nipv4 = \"198.51.100.7\"\nipv6 = \"off\"\naccept = [\"198.51.100.0/24\"]\negress-check = false\nstun = []\n[rules]\nprobe = false\n", k.group))
	if err := os.Mkdir(filepath.Join(k.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	file("state/state.json", fmt.Sprintf(`{"version":1,"installation":%q}`, killedMe.Installation))
	return k
}

// memoryDir is a folder in memory, where there is one: each change of the state is synced.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "killed")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// rule puts a rule with firm leases into the group.
func (k *killed) rule(cidr, owner string, holder sgsync.Holder, left time.Duration, others ...sgsync.Holder) {
	tags := map[string]string{sgsync.OwnerTag: owner}
	for _, h := range append(others, holder) {
		tags[h.Key()] = sgsync.FormatLease(time.Now().Add(left), time.Now().Add(-time.Hour), "x@y")
	}
	k.sim.AddRule(k.group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: cidr, Tags: tags})
}

// ServeHTTP is AWS, and the end of the process at the chosen call.
func (k *killed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		panic(http.ErrAbortHandler) // on its way when the process died: a call before its effect is a point of its own
	}
	n := len(k.calls)
	if k.at == (point{"before-call", n}) {
		k.kill()
		panic(http.ErrAbortHandler)
	}
	before := len(k.sim.Calls())
	k.sim.ServeHTTP(w, r)
	k.calls = append(k.calls, k.sim.Calls()[before].Write())
	if k.at == (point{"after-call", n}) {
		k.kill()
		panic(http.ErrAbortHandler)
	}
}

// kill is SIGKILL. The caller holds the lock.
func (k *killed) kill() {
	k.dead = true
	_ = k.cmd.Process.Kill()
}

var errWasKilled = errors.New("killed")

// run runs the program once. Where it is killed, the error is errWasKilled.
func (k *killed) run(command string, at point) (string, error) {
	k.slots <- struct{}{}
	defer func() { <-k.slots }()
	cmd := exec.CommandContext(k.ctx, k.program, command)
	cmd.Env = []string{coverage(), "HOME=" + k.dir, "AWS_ENDPOINT_URL=" + k.url, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=eu-west-1",
		"EMR_ACCESSD_CONFIG=" + filepath.Join(k.dir, "config.toml"), "EMR_ACCESSD_STATE=" + filepath.Join(k.dir, "state"), "GORACE=atexit_sleep_ms=0"}
	mototest.DieWithParent(cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	k.mu.Lock()
	k.at, k.calls, k.events, k.dead, k.cmd = at, nil, 0, false, cmd
	k.mu.Unlock()
	stop, err := k.watch()
	if err != nil {
		return "", err
	}
	k.mu.Lock() // whoever kills needs the process
	err = cmd.Start()
	k.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		err = errWasKilled
	}
	return out.String(), err
}

// watch counts what happens in the state folder, and ends the process at the chosen event: a new file that is
// not whole yet, one that took its place, or another line of a log. AWS does not answer in between.
func (k *killed) watch() (stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(k.dir, "state"), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_MODIFY); err != nil {
		return nil, err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := events.Read(buf)
			if err != nil {
				return
			}
			k.seen(buf[:n])
		}
	}()
	return func() {
		time.Sleep(5 * time.Millisecond) // the last events are on their way
		_ = events.Close()
		<-ended
	}, nil
}

// seen counts the events in a buffer of inotify(7).
func (k *killed) seen(buf []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(buf) >= unix.SizeofInotifyEvent {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		name := string(bytes.TrimRight(buf[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+int(e.Len)], "\x00"))
		buf = buf[unix.SizeofInotifyEvent+int(e.Len):]
		line := strings.HasSuffix(name, ".jsonl")
		if !strings.Contains(name, "state") || line != (e.Mask&unix.IN_MODIFY != 0) {
			continue // the lock; a file that will take another's place is written; the log's first line comes at once
		}
		if k.at == (point{"file", k.events}) {
			k.kill()
		}
		k.events++
	}
}

// points are all that a process that was not killed has passed. Before a read there is nothing that is not there
// after the call before it.
func (k *killed) points() (ps []point) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n, write := range k.calls {
		if write {
			ps = append(ps, point{"before-call", n})
		}
		ps = append(ps, point{"after-call", n})
	}
	for n := range k.events {
		ps = append(ps, point{"file", n})
	}
	return ps
}

// survive kills a process, makes the rounds after it, and returns what is wrong.
func (k *killed) survive(command string, p point, want string) string {
	out, err := k.run(command, p)
	if err != nil && !errors.Is(err, errWasKilled) || err == nil && p.kind != "file" { // the last file may be seen too late
		return fmt.Sprintf("%v\n%s", err, out)
	}
	killedAt := time.Now()
	if out, err := k.run(command, never); err != nil {
		return fmt.Sprintf("the round after it: %v\n%s", err, out)
	}
	if got := k.listing(); command == "sync" && !strings.Contains(got, killedHere+" "+killedMe.Key()) && !strings.Contains(got, killedHere+" "+killedBob.Key()+" "+killedMe.Key()) {
		return fmt.Sprintf("the address is not covered at once:\n%s", got)
	}
	time.Sleep(time.Until(killedAt.Add(sgsync.AttemptTimeout + sgsync.Sigma + sgsync.ClockGrain)))
	if out, err := k.run(command, never); err != nil {
		return fmt.Sprintf("the round when all is visible: %v\n%s", err, out)
	}
	if got := k.listing(); got != want {
		return fmt.Sprintf("in the end:\n%s\nnever killed:\n%s", got, want)
	}
	if out, err := k.run(command, never); err != nil {
		return fmt.Sprintf("one more round: %v\n%s", err, out)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.calls, true) {
		return fmt.Sprintf("one more round writes: %v", k.calls)
	}
	return ""
}

// listing shows each rule with its leases, without what differs from run to run.
func (k *killed) listing() string {
	var lines []string
	for _, r := range k.sim.Rules(k.group) {
		line := r.CIDR
		for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
			if l, ok := sgsync.ParseLease(key, r.Tags[key]); ok {
				line += " " + key
				if l.End.Before(time.Now().Add(12 * time.Hour)) {
					line += " ending"
				}
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
