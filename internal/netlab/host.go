//go:build linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Host is a computer of the lab: a network namespace with a name of its own.
type Host struct {
	lab  *Lab
	ns   string
	file *os.File // the namespace
	bare bool     // it knows the names of [Lab.Name] from a name server alone
}

// Host makes a host, whose name must be unique in the lab. It has its loopback interface and nothing else, and takes
// IPv6 addresses into use at once: duplicate address detection would take two seconds of each test.
func (l *Lab) Host(name string) (*Host, error) {
	h := &Host{lab: l, ns: l.prefix + name}
	if err := run("ip", "netns", "add", h.ns); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.hosts = append(l.hosts, h) // from here on Close removes it
	names := l.names
	l.mu.Unlock()
	var err error
	if h.file, err = os.Open(h.Path()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(h.etc(""), 0o755); err != nil {
		return nil, err
	}
	return h, errors.Join(
		h.writeNames(names),
		h.Resolver(netip.Addr{}),
		h.Sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0", "net.ipv4.ping_group_range=0 0"),
		h.IP("link", "set", "lo", "up"),
	)
}

// Path is the file that names the host's network namespace.
func (h *Host) Path() string { return filepath.Join(nsDir, h.ns) }

func (h *Host) etc(file string) string { return filepath.Join(confDir, h.ns, file) }

// writeNames writes the file in place: commands that run already have this very file mounted.
func (h *Host) writeNames(lines []string) error {
	return os.WriteFile(h.etc("hosts"), []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// ByDNS makes the host know no name but localhost by itself, and ask a name server for all others.
func (h *Host) ByDNS(server netip.Addr) error {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	h.bare = true
	return errors.Join(h.writeNames(h.lab.names[:2]), h.Resolver(server))
}

// Resolver sets the host's name server; the zero Addr is none. Names of [Lab.Name] are known without one.
func (h *Host) Resolver(server netip.Addr) error {
	text := "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n" // nobody listens there: a look-up fails at once
	if server.IsValid() {
		text = fmt.Sprintf("nameserver %s\noptions attempts:2 timeout:1\n", server)
	}
	return os.WriteFile(h.etc("resolv.conf"), []byte(text), 0o644)
}

// remove ends what runs in the host and removes it.
func (h *Host) remove() error {
	if h.file != nil {
		h.file.Close()
	}
	out, err := exec.Command("ip", "netns", "pids", h.ns).Output()
	for pid := range strings.FieldsSeq(string(out)) {
		if n, err := strconv.Atoi(pid); err == nil && n > 1 && n != os.Getpid() {
			_ = unix.Kill(n, unix.SIGKILL)
		}
	}
	return errors.Join(err, run("ip", "netns", "del", h.ns), os.RemoveAll(h.etc("")))
}

// IP runs ip(8) in the host.
func (h *Host) IP(args ...string) error {
	return run("ip", append([]string{"-n", h.ns}, args...)...)
}

// Batch runs many commands of ip(8) in one process, one a line. It stops at the first that fails.
func (h *Host) Batch(lines ...string) error {
	return runInput(strings.Join(lines, "\n")+"\n", "ip", "-n", h.ns, "-batch", "-")
}

// NFT runs a script of nft(8) in the host, all of it or nothing.
func (h *Host) NFT(lines ...string) error {
	return runInput(strings.Join(lines, "\n")+"\n", "ip", "netns", "exec", h.ns, "nft", "-f", "-")
}

// Sysctl sets kernel parameters of the host, each as "net.a.b=value".
func (h *Host) Sysctl(settings ...string) error {
	return h.Do(func() error {
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// Command is a command to run in the host. It ends with ctx, and when this process dies.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
	// ip netns exec becomes the command, so this reaches it. [Host.Do] lets no thread end, or else children would end
	// with the thread that happened to start them.
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Do runs f in the host, on a thread of its own. Sockets that f makes stay in the host. f must start no goroutine that
// makes others.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		if err := unix.Setns(int(h.file.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter %s: %w", h.ns, err)
			return
		}
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with this goroutine: no other may run in there
		done <- err
	}()
	return <-done
}

// Listen is [net.Listen] in the host. The listener is closed with the lab at the latest.
func (h *Host) Listen(network, addr string) (ln net.Listener, err error) {
	err = h.Do(func() (err error) {
		ln, err = net.Listen(network, addr)
		return err
	})
	if err == nil {
		h.closeLater(ln.Close)
	}
	return ln, err
}

// ListenPacket is [net.ListenPacket] in the host. The socket is closed with the lab at the latest.
func (h *Host) ListenPacket(network, addr string) (c net.PacketConn, err error) {
	err = h.Do(func() (err error) {
		c, err = net.ListenPacket(network, addr)
		return err
	})
	if err == nil {
		h.closeLater(c.Close)
	}
	return c, err
}

// Dial is [net.Dialer.DialContext] in the host. The address must be numeric: names would be resolved outside.
func (h *Host) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, err
	}
	err = h.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

func (h *Host) closeLater(f func() error) {
	h.lab.OnClose(func() error {
		if err := f(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
}
