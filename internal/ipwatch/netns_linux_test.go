package ipwatch_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of one test's making. Its own interfaces are up: lo, eth0 and its other end peer0.
type netns struct {
	t    *testing.T
	name string
}

var netnsCount atomic.Int32

// needNetns skips a test where namespaces cannot be made. With CI=true it fails instead, so that the tests with a real
// kernel cannot vanish unnoticed.
func needNetns(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("ip")
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("not root")
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("CI must be able to make network namespaces (root, iproute2): %v", err)
	default:
		t.Skipf("network namespaces cannot be made (root and iproute2 are needed): %v", err)
	}
}

func newNetns(t *testing.T) *netns {
	t.Helper()
	needNetns(t)
	n := &netns{t, fmt.Sprintf("ipwatch-%d-%d", os.Getpid(), netnsCount.Add(1))}
	n.host("netns", "add", n.name)
	t.Cleanup(func() { n.host("netns", "del", n.name) })
	// Without duplicate address detection, which takes two seconds.
	n.host("netns", "exec", n.name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
	n.ip("link", "set", "lo", "up")
	n.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
	n.ip("link", "set", "peer0", "up")
	n.ip("link", "set", "eth0", "up")
	return n
}

// ip runs ip(8) in the namespace.
func (n *netns) ip(args ...string) {
	n.t.Helper()
	n.host(append([]string{"-n", n.name}, args...)...)
}

// batch runs many commands of ip(8) in one process.
func (n *netns) batch(lines string) {
	n.t.Helper()
	cmd := exec.Command("ip", "-n", n.name, "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("ip -batch: %v: %s", err, out)
	}
}

func (n *netns) host(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// do runs f inside the namespace, on a thread that ends with it: one that cannot be trusted to be back outside must
// not run other goroutines.
func (n *netns) do(f func()) {
	n.t.Helper()
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock
		ns, err := os.Open("/run/netns/" + n.name)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			f()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		n.t.Fatalf("namespace %s: %v", n.name, err)
	}
}

// listeningSockets counts the netlink sockets of the namespace that listen to a group.
func (n *netns) listeningSockets() int {
	n.t.Helper()
	var table []byte
	var err error
	n.do(func() { table, err = os.ReadFile("/proc/thread-self/net/netlink") })
	if err != nil {
		n.t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // sk, protocol, port id, groups …
		if len(f) > 3 && f[1] == "0" && strings.Trim(f[3], "0") != "" {
			count++
		}
	}
	return count
}

// openTimers counts this process's descriptors of timers.
func openTimers(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == "anon_inode:[timerfd]" {
			count++
		}
	}
	return count
}
