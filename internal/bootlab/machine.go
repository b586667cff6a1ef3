//go:build linux

package bootlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Available tells why no machine can be booted on this computer; nil when one can.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("booting a container needs root")
	}
	for _, tool := range []string{"systemd-nspawn", "nsenter", "unshare", "setpriv", "dbus-daemon"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w (apt-get install systemd-container libpam-systemd dbus-user-session)", err)
		}
	}
	text, err := os.ReadFile("/proc/filesystems")
	if err == nil && !strings.Contains(string(text), "\toverlay\n") {
		err = errors.New("this kernel has no overlayfs")
	}
	return err
}

// bootTime is how long a boot may take on a busy computer; it takes about a second on an idle one.
const bootTime = time.Minute

var serial atomic.Int32

// Machine is a booted container.
type Machine struct {
	pid    int // of its init, as seen from here
	nspawn *exec.Cmd
	log    bytes.Buffer
	ended  chan struct{} // closed when systemd-nspawn has ended
	err    error         // how
}

// units that would wait, or listen, or find nothing to do.
var masked = []string{"ssh.service", "ssh.socket", "nftables.service", "systemd-firstboot.service", "postgresql.service", "systemd-timesyncd.service",
	"systemd-resolved.service", "systemd-networkd.service", "systemd-networkd.socket", "networking.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap.service"}

// script mounts the machine's files, in a mount namespace that ends with it, and boots. $1 is an empty folder, $2 the
// network namespace.
const script = `set -eu
mount -t tmpfs -o size=1g,mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -f "$1/root/.dockerenv" "$1/root/usr/sbin/policy-rc.d"
# What this computer has of the program itself is not in the machine.
rm -f "$1/root"/usr/bin/emr-accessd "$1/root"/usr/local/bin/emr-accessd "$1/root"/usr/lib/systemd/user/emr-accessd.service "$1/root"/etc/systemd/system/emr-accessd@*
: >"$1/root/etc/machine-id"
echo bootlab >"$1/root/etc/hostname"
rm -rf "$1/root/var/log/journal" && mkdir -p "$1/root/var/log/journal"
# A session that ends takes its services along at once, and what does not stop is killed soon.
for place in logind:Login:UserStopDelaySec=1 user:Manager:DefaultTimeoutStopSec=15; do
  file=${place%%:*} rest=${place#*:}
  mkdir -p "$1/root/etc/systemd/$file.conf.d"
  printf '[%s]\n%s\n' "${rest%%:*}" "${rest#*:}" >"$1/root/etc/systemd/$file.conf.d/bootlab.conf"
done
mkdir -p "$1/root/etc/systemd/system/user@.service.d"
printf '[Service]\nTimeoutStopSec=20\n' >"$1/root/etc/systemd/system/user@.service.d/bootlab.conf"
dir=$1 ns=$2 name=$3
shift 3
exec systemd-nspawn --register=no --keep-unit --quiet --boot -D "$dir/root" --network-namespace-path="$ns" --console=pipe --resolv-conf=off --timezone=off -M "$name" "$@"
`

// Boot boots a machine. dir must exist and be empty; network is the file of a network namespace, for example
// netlab's Host.Path.
func Boot(dir, network string) (*Machine, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("bootlab-%d-%d", os.Getpid(), serial.Add(1))
	args := []string{"--mount", "--propagation", "private", "sh", "-c", script, "sh", dir, network, name}
	for _, unit := range masked {
		args = append(args, "systemd.mask="+unit)
	}
	m := &Machine{nspawn: exec.Command("unshare", args...), ended: make(chan struct{})}
	m.nspawn.Stdout, m.nspawn.Stderr = &m.log, &m.log
	m.nspawn.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	m.nspawn.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	m.nspawn.WaitDelay = 5 * time.Second
	started := make(chan error)
	go func() { // the thread that starts it must live as long: it dies with its parent thread
		lockThread()
		err := m.nspawn.Start()
		started <- err
		if err == nil {
			m.err = m.nspawn.Wait()
			close(m.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if err := m.up(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// up waits until the machine is up.
func (m *Machine) up() error {
	for deadline := time.Now().Add(bootTime); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		select {
		case <-m.ended:
			return fmt.Errorf("the machine ended: %w: %s", m.err, m.log.String())
		default:
		}
		if m.pid == 0 {
			m.pid = child(m.nspawn.Process.Pid)
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, _ := m.Command(ctx, "systemctl", "is-system-running").Output()
		cancel()
		if state := strings.TrimSpace(string(out)); state == "running" || state == "degraded" {
			return nil
		}
	}
	return errors.New("the machine does not come up")
}

// child is a child process that is systemd; 0 while there is none.
func child(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for f := range strings.FieldsSeq(string(text)) {
		comm, _ := os.ReadFile("/proc/" + f + "/comm")
		if n, err := strconv.Atoi(f); err == nil && strings.TrimSpace(string(comm)) == "systemd" {
			return n
		}
	}
	return 0
}

// Path is a file of the machine, as seen from here.
func (m *Machine) Path(file string) string {
	return filepath.Join("/proc", strconv.Itoa(m.pid), "root", file)
}

// Command is a command to run in the machine as root.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.pid), "-a", "--", name}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Run runs a command in the machine as root, and returns what it wrote.
func (m *Machine) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := m.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// Close ends the machine and everything in it.
func (m *Machine) Close() error {
	_ = unix.Kill(-m.nspawn.Process.Pid, unix.SIGKILL) // the machine's init dies with systemd-nspawn
	if m.pid != 0 {
		_ = unix.Kill(m.pid, unix.SIGKILL)
	}
	select {
	case <-m.ended:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the machine does not end")
	}
}
