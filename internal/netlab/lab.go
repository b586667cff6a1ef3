//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	prefix  = "netlab-"
	nsDir   = "/run/netns" // where iproute2 keeps the names of namespaces, ip-netns(8)
	confDir = "/etc/netns" // files there stand in for those in /etc inside `ip netns exec`, ip-netns(8)
)

// Available tells why no lab can be made on this computer; nil when one can.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w (apt-get install iproute2 nftables)", err)
		}
	}
	return nil
}

var serial atomic.Int32

// Lab is a set of hosts. Its methods may be used from several goroutines, but for Close.
type Lab struct {
	prefix string

	mu       sync.Mutex
	hosts    []*Host
	names    []string // lines of every /etc/hosts
	cleanups []func() error
}

// New makes an empty lab, and removes what runs that were killed have left behind.
func New() (*Lab, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	removeLeftovers()
	return &Lab{
		prefix: fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), serial.Add(1)),
		names:  []string{"127.0.0.1 localhost", "::1 localhost"},
	}, nil
}

// OnClose adds something to do at the end. The last one that was added is done first.
func (l *Lab) OnClose(f func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, f)
}

// Close ends the processes in the hosts and removes the hosts, also after failures. A second Close does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	cleanups, hosts := l.cleanups, l.hosts
	l.cleanups, l.hosts = nil, nil
	l.mu.Unlock()
	var errs []error
	for _, f := range slices.Backward(cleanups) {
		errs = append(errs, f())
	}
	for _, h := range hosts {
		errs = append(errs, h.remove())
	}
	return errors.Join(errs...)
}

// Name makes a name known to all hosts, with one line in their /etc/hosts for each address.
func (l *Lab) Name(name string, addrs ...netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range addrs {
		l.names = append(l.names, a.String()+" "+name)
	}
	for _, h := range l.hosts {
		if h.bare {
			continue
		}
		if err := h.writeNames(l.names); err != nil {
			return err
		}
	}
	return nil
}

// Cable connects two hosts with a pair of virtual Ethernet interfaces, and sets them up.
func (l *Lab) Cable(a *Host, nameA string, b *Host, nameB string) error {
	if err := run("ip", "link", "add", nameA, "netns", a.ns, "type", "veth", "peer", "name", nameB, "netns", b.ns); err != nil {
		return err
	}
	return errors.Join(a.IP("link", "set", nameA, "up"), b.IP("link", "set", nameB, "up"))
}

// removeLeftovers removes the namespaces of processes that are no more. What cannot be removed does no harm.
func removeLeftovers() {
	for _, dir := range []string{nsDir, confDir} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			rest, ours := strings.CutPrefix(e.Name(), prefix)
			pid, _, _ := strings.Cut(rest, "-")
			n, err := strconv.Atoi(pid)
			if !ours || err != nil || n <= 0 || !errors.Is(unix.Kill(n, 0), unix.ESRCH) {
				continue
			}
			if dir == nsDir {
				_ = run("ip", "netns", "del", e.Name())
			} else {
				_ = os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// run runs a tool outside of the hosts. Its output is in the error.
func run(name string, args ...string) error {
	return runInput("", name, args...)
}

func runInput(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
