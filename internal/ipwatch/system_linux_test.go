package ipwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"golang.org/x/sys/unix"
)

// watched is a System whose events come from a namespace.
type watched struct {
	t      *testing.T
	system *ipwatch.System
	hints  <-chan ipwatch.Hint
	stop   context.CancelFunc
}

func (n *netns) watch() *watched {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{t: n.t, system: ipwatch.NewSystem(), stop: cancel}
	var err error
	n.do(func() { w.hints, err = w.system.Events(ctx) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cancel()
		for range w.hints {
		}
	})
	if notes := w.system.Notes(); len(notes) != 0 {
		n.t.Errorf("notes %q", notes)
	}
	return w
}

// until reads hints to the wanted one, and returns all that came.
func (w *watched) until(want string) []string {
	w.t.Helper()
	got, ok := w.hears(want, patience)
	if !ok {
		w.t.Fatalf("got %q, want %q", got, want)
	}
	return got
}

// hears reads hints to the wanted one, or for some time.
func (w *watched) hears(want string, patience time.Duration) (got []string, ok bool) {
	w.t.Helper()
	for late := time.After(patience); ; {
		select {
		case h, open := <-w.hints:
			if !open {
				w.t.Fatalf("the hints have ended; got %q, want %q", got, want)
			}
			checkHints(w.t, []ipwatch.Hint{h})
			if since := time.Since(h.At); since < 0 || since > time.Minute {
				w.t.Errorf("hint at %v", h.At)
			}
			if got = append(got, tellHint(h)); tellHint(h) == want {
				return got, true
			}
		case <-late:
			return got, false
		}
	}
}

// snapshot takes one in the namespace.
func (n *netns) snapshot() ipwatch.Snapshot {
	n.t.Helper()
	var s ipwatch.Snapshot
	var err error
	n.do(func() { s, err = ipwatch.Snapshotter{}.Take() })
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// TestSystemOnLinux: what a kernel does is heard, lost things as lost.
func TestSystemOnLinux(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	w := n.watch()
	n.ip("addr", "add", "192.168.1.5/24", "dev", "eth0")
	w.until("address: eth0 has the address 192.168.1.5")
	n.ip("route", "add", "default", "via", "192.168.1.1")
	w.until("route: the default route 0.0.0.0/0 came or changed")
	n.ip("link", "set", "peer0", "down") // as a cable that is pulled
	w.until("!link: eth0 went down")
	n.ip("link", "set", "peer0", "up")
	w.until("link: eth0 came up")
	n.ip("route", "replace", "default", "via", "192.168.1.2")
	w.until("!route: the default route 0.0.0.0/0 was replaced")
	n.ip("route", "del", "default")
	w.until("!route: the default route 0.0.0.0/0 was removed")
	n.ip("addr", "del", "192.168.1.5/24", "dev", "eth0")
	w.until("!address: eth0 lost the address 192.168.1.5")
	n.ip("addr", "add", "2001:db8:1::5/64", "dev", "eth0")
	w.until("address: eth0 has the address 2001:db8:1::5")
	n.ip("link", "del", "eth0")
	w.until("link: eth0 was removed")
}

// TestRenewal: a renewed lease and a router's advertisement give hints, but the snapshot stays as it was.
func TestRenewal(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	life := func(seconds int) {
		for _, a := range []string{"192.168.1.5/24", "2001:db8:1::5/64"} {
			n.ip(strings.Fields(fmt.Sprintf("addr replace %s dev eth0 valid_lft %d preferred_lft %d", a, seconds, seconds))...)
		}
	}
	life(600)
	n.ip("route", "add", "default", "via", "192.168.1.1")
	n.ip("-6", "route", "add", "default", "via", "2001:db8:1::1")
	before, w := n.snapshot(), n.watch()
	if len(before.Interfaces) != 1 || before.Interfaces[0].Name != "eth0" || len(before.Interfaces[0].Addrs) != 2 || !before.Ways[1].From.IsValid() {
		t.Fatalf("snapshot %+v", before)
	}
	life(3600)
	got := w.until("address: eth0 has the address 2001:db8:1::5")
	if !slices.Contains(got, "address: eth0 has the address 192.168.1.5") || slices.ContainsFunc(got, func(h string) bool { return h[0] == '!' }) {
		t.Errorf("hints %q", got)
	}
	if d := n.snapshot().Diff(before); d != "" {
		t.Errorf("renewed: %s", d)
	}
	// Containers and idle VPNs do not matter either.
	n.ip("link", "add", "docker0", "type", "bridge")
	n.ip("addr", "add", "172.17.0.1/16", "dev", "docker0")
	n.ip("link", "set", "docker0", "up")
	if d := n.snapshot().Diff(before); d != "" {
		t.Errorf("containers: %s", d)
	}
	n.ip("addr", "del", "192.168.1.5/24", "dev", "eth0")
	n.ip("addr", "add", "10.0.0.7/24", "dev", "eth0")
	n.ip("route", "add", "default", "via", "10.0.0.1")
	if d, want := n.snapshot().Diff(before), "eth0 has 10.0.0.7 now, and lost 192.168.1.5; the way to the internet over IPv4 is from 10.0.0.7 now, and was from 192.168.1.5"; d != want {
		t.Errorf("moved: %q, want %q", d, want)
	}
}

// TestDeprecated: an address that is deprecated is still there, but the system sends from another one.
func TestDeprecated(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	n.ip("addr", "add", "2001:db8:1::77/64", "dev", "eth0")
	n.ip("-6", "route", "add", "default", "via", "2001:db8:1::1")
	n.ip("addr", "add", "2001:db8:1::5/64", "dev", "eth0", "preferred_lft", "0")
	before := n.snapshot()
	n.ip("addr", "change", "2001:db8:1::5/64", "dev", "eth0", "valid_lft", "3600", "preferred_lft", "3600")
	n.ip("addr", "change", "2001:db8:1::77/64", "dev", "eth0", "valid_lft", "3600", "preferred_lft", "0")
	if d, want := n.snapshot().Diff(before), "the way to the internet over IPv6 is from 2001:db8:1::5 now, and was from 2001:db8:1::77"; d != want {
		t.Errorf("%q, want %q", d, want)
	}
}

// TestFlood: more events than the socket's buffer holds come while nobody reads. That is said, as a loss, and the
// events after it are heard.
func TestFlood(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var run func() <-chan ipwatch.Hint
	n.do(func() {
		l, err := ipwatch.OpenNetwork()
		if err != nil {
			t.Error(err)
			return
		}
		run = func() <-chan ipwatch.Hint { return ipwatch.RunListening(ctx, l) }
	})
	if run == nil {
		return
	}
	n.batch(strings.Repeat("addr add 10.1.2.3/24 dev eth0\naddr del 10.1.2.3/24 dev eth0\n", 1500))
	w := &watched{t: t, hints: run()}
	if got := w.until("!overflow: the kernel dropped messages: too many at once"); len(got) > 100 {
		t.Errorf("%d hints for one who did not read", len(got))
	}
	// The first ones may still be merged with what is left of the flood.
	for last, deadline := 1, time.Now().Add(patience); ; last++ {
		n.ip("addr", "add", fmt.Sprintf("192.168.1.%d/24", last), "dev", "eth0")
		if _, ok := w.hears(fmt.Sprintf("address: eth0 has the address 192.168.1.%d", last), time.Second); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is heard after the flood")
		}
	}
	cancel()
	for range w.hints {
	}
}

// TestSystemEnds: the descriptors and goroutines are given back. It does not run beside others, whose it would count.
func TestSystemEnds(t *testing.T) {
	n := newNetns(t)
	timers, routines := openTimers(t), runtime.NumGoroutine()
	for range 20 {
		w := n.watch()
		if s, tm := n.listeningSockets(), openTimers(t)-timers; s != 1 || tm != 1 {
			t.Fatalf("%d sockets and %d timers while it runs, want one of each", s, tm)
		}
		n.ip("addr", "add", "192.168.1.5/24", "dev", "eth0")
		n.ip("addr", "del", "192.168.1.5/24", "dev", "eth0") // and nobody reads
		w.stop()
		for range w.hints {
		}
		if s, tm := n.listeningSockets(), openTimers(t)-timers; s != 0 || tm != 0 {
			t.Fatalf("%d sockets and %d timers after the end", s, tm)
		}
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > routines+1 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if r := runtime.NumGoroutine(); r > routines+1 {
		t.Errorf("%d goroutines at the end, %d at the beginning", r, routines)
	}
}

// setClockEnv lets TestClockSet set the clock of this computer to what it shows, which disturbs others a little.
const setClockEnv = "EMR_ACCESSD_SET_CLOCK"

func TestClockSet(t *testing.T) {
	if os.Getenv(setClockEnv) == "" {
		t.Skip(setClockEnv + " is not set")
	}
	w := newNetns(t).watch()
	for range 2 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
		w.until("!wake: the computer slept, or its clock was set")
	}
}

// idleEnv makes this test binary a process that only listens, for TestIdle: "listen" or, to compare, "sleep".
// idleForEnv is how long TestIdle measures, such as "60s"; without it a short time shows that nothing turns in circles.
const (
	idleEnv    = "EMR_ACCESSD_IDLE"
	idleForEnv = "EMR_ACCESSD_IDLE_FOR"
)

// TestIdleChild is the process that TestIdle measures.
func TestIdleChild(t *testing.T) {
	what := os.Getenv(idleEnv)
	if what == "" {
		t.Skip("only a child of TestIdle")
	}
	d, err := time.ParseDuration(os.Getenv(idleForEnv))
	if err != nil {
		t.Fatal(err)
	}
	if what == "listen" {
		s := ipwatch.NewSystem()
		if _, err := s.Events(t.Context()); err != nil || len(s.Notes()) > 0 {
			t.Fatal(err, s.Notes())
		}
	}
	time.Sleep(time.Second) // what a start entails
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	time.Sleep(d)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	fmt.Printf("switches=%d cpu=%s\n", after.Nvcsw-before.Nvcsw, time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()))
}

// TestIdle: who listens in a quiet network wakes up no more often than who sleeps.
func TestIdle(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	time.Sleep(2 * time.Second) // what the interfaces' coming up entails
	long := os.Getenv(idleForEnv)
	if long == "" {
		long = "2s"
	}
	var switches map[string]int
	// A watching thread of Go's own sometimes turns some sixty times before it rests. Who wakes up by itself does so each time.
	for range 3 {
		switches = map[string]int{}
		for _, what := range []string{"sleep", "listen"} {
			cmd := exec.Command("ip", "netns", "exec", n.name, os.Args[0], "-test.run=^TestIdleChild$", "-test.v")
			cmd.Env = append(os.Environ(), idleEnv+"="+what, idleForEnv+"="+long)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			at := bytes.Index(out, []byte("switches="))
			if at < 0 {
				t.Fatalf("%s", out)
			}
			line, _, _ := bytes.Cut(out[at:], []byte("\n"))
			var s int
			if _, err := fmt.Sscanf(string(line), "switches=%d", &s); err != nil {
				t.Fatal(err)
			}
			switches[what] = s
			t.Logf("%s for %s: %s", what, long, line)
		}
		if switches["listen"] <= switches["sleep"]+20 { // the runtime's own differ by a few
			return
		}
	}
	t.Errorf("listening: %d voluntary context switches, sleeping: %d", switches["listen"], switches["sleep"])
}

func BenchmarkSnapshot(b *testing.B) {
	for b.Loop() {
		if _, err := (ipwatch.Snapshotter{Targets: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("52.1.2.3")} }}).Take(); err != nil {
			b.Fatal(err)
		}
	}
}
