//go:build linux

package bootlab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/bootlab"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// patience is for what must happen soon, on a computer that does much else.
const patience = 2 * time.Minute

var (
	cafeInner = netip.MustParsePrefix("192.168.60.1/24")
	cafeHost  = netip.MustParseAddr("192.168.60.2")
	cafeOuter = netip.MustParseAddr("203.0.112.20")
)

const (
	program = "/usr/local/bin/emr-accessd"
	home    = "/home/alice"
	runtime = "/run/user/1500"
)

// laptop is a booted machine that moves between two networks, in a world with a simulated AWS. Its user is alice.
type laptop struct {
	*netlab.World
	t    *testing.T
	m    *bootlab.Machine
	cafe *netlab.Router
	out  bool // in the café
}

// built is the program, built once for all tests.
var built struct{ path, newer string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bootlab")
	if err != nil {
		panic(err)
	}
	built.path, built.newer = filepath.Join(dir, "emr-accessd"), filepath.Join(dir, "newer")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need skips a test where no machine can be booted. With CI=true it fails instead.
func need(t *testing.T) {
	t.Helper()
	switch err := bootlab.Available(); {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("CI must be able to do this: %v", err)
	default:
		t.Skipf("this cannot be done here: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build builds the program, which the first test does for all.
var build = sync.OnceValue(func() error {
	return errors.Join(netlab.Build(context.Background(), built.path), netlab.Build(context.Background(), built.newer, "-ldflags=-s"))
})

// newLaptop boots a machine where alice has a configuration and AWS keys, and is not logged in.
func newLaptop(t *testing.T) *laptop {
	t.Helper()
	need(t)
	check(t, build())
	w, err := netlab.NewWorld(t.TempDir(), netlab.Options{})
	check(t, err)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &laptop{World: w, t: t}
	l.cafe, err = w.Cafe("cafe", cafeInner, cafeOuter)
	check(t, err)
	l.m, err = bootlab.Boot(t.TempDir(), w.Laptop.Path())
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := l.m.Run(context.Background(), "journalctl", "--no-pager", "-n", "100", "--grep", "emr-accessd|alice|1500")
			doing, _ := l.m.Run(context.Background(), "sh", "-c", "systemctl list-jobs; ps -ef")
			t.Logf("the journal:\n%s\n%s", out, doing)
		}
		if err := l.m.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"hosts", "resolv.conf"} {
		text, err := os.ReadFile(filepath.Join("/etc/netns", filepath.Base(w.Laptop.Path()), name))
		check(t, err)
		_ = os.Remove(l.m.Path("/etc/" + name))
		l.file("/etc/"+name, string(text), 0o644)
	}
	ca, err := os.ReadFile(w.CAFile())
	check(t, err)
	l.file("/etc/lab-ca.pem", string(ca), 0o644)
	l.root("useradd", "--create-home", "--uid=1500", "--shell=/bin/bash", "alice")
	check(t, w.Config(map[string]string{"accept": `["198.51.100.0/24", "203.0.112.0/24", "203.0.113.0/24", "192.0.2.0/24"]`}))
	text, err := os.ReadFile(filepath.Join(w.Dir, "config.toml"))
	check(t, err)
	l.file(home+"/.config/emr-accessd/config.toml", strings.ReplaceAll(string(text), w.CAFile(), "/etc/lab-ca.pem"), 0o600)
	l.file(home+"/.aws/config", "[default]\nregion = eu-west-1\nendpoint_url = https://api.lab\nca_bundle = /etc/lab-ca.pem\n", 0o600)
	l.file(home+"/.aws/credentials", "[default]\naws_access_key_id = AKIALAB\naws_secret_access_key = lab\n", 0o600)
	l.root("chown", "-R", "alice:", home)
	return l
}

// withProgram copies the program to where an administrator would.
func (l *laptop) withProgram(from string) {
	l.t.Helper()
	text, err := os.ReadFile(from)
	check(l.t, err)
	_ = os.Remove(l.m.Path(program)) // it may run
	l.file(program, string(text), 0o755)
}

// file writes a file of the machine.
func (l *laptop) file(path, text string, mode os.FileMode) {
	l.t.Helper()
	check(l.t, os.MkdirAll(filepath.Dir(l.m.Path(path)), 0o755))
	check(l.t, os.WriteFile(l.m.Path(path), []byte(text), mode))
}

// root runs a command that must succeed, as root.
func (l *laptop) root(args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out, err := l.m.Run(ctx, args[0], args[1:]...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// try runs a command as alice, with the environment of a shell of hers.
func (l *laptop) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	env := []string{"--reuid=1500", "--regid=1500", "--init-groups", "env", "-i", "HOME=" + home, "USER=alice", "LOGNAME=alice", "PATH=/usr/local/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR=" + runtime, "SHELL=/bin/bash"}
	return l.m.Run(ctx, "setpriv", append(env, args...)...)
}

// alice runs a command of hers that must succeed.
func (l *laptop) alice(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// fails runs a command of hers that must fail, and say so.
func (l *laptop) fails(want string, args ...string) {
	l.t.Helper()
	if out, err := l.try(args...); err == nil || !strings.Contains(out, want) {
		l.t.Fatalf("%v: %v, want %q in\n%s", args, err, want, out)
	}
}

// login begins a session of alice, as a display manager does; logout ends it.
func (l *laptop) login() {
	l.t.Helper()
	l.root("systemd-run", "--quiet", "--unit=login-of-alice", "--property=PAMName=login", "--property=User=alice", "--no-block", "sleep", "infinity")
	l.until("her service manager", func() bool { _, err := os.Stat(l.m.Path(runtime + "/systemd/private")); return err == nil })
}

func (l *laptop) logout() {
	l.t.Helper()
	for session := range strings.FieldsSeq(l.root("loginctl", "show-user", "alice", "--property=Sessions", "--value")) {
		l.root("loginctl", "terminate-session", session)
	}
	_, _ = l.m.Run(l.t.Context(), "systemctl", "stop", "login-of-alice") // it may have ended with its session
	if l.lingers() {
		return
	}
	l.until("the end of her service manager", func() bool { _, err := os.Stat(l.m.Path(runtime + "/systemd/private")); return err != nil })
}

func (l *laptop) lingers() bool {
	_, err := os.Stat(l.m.Path("/var/lib/systemd/linger/alice"))
	return err == nil
}

// until waits for something.
func (l *laptop) until(what string, is func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%s does not come", what)
		}
	}
}

// move takes the laptop to the other network. The rule must follow, whoever keeps it.
func (l *laptop) move() {
	l.t.Helper()
	to, host, outer := l.cafe, cafeHost, cafeOuter
	if l.out {
		to, host, outer = l.Home, netlab.Laptop, netlab.HomeOuter
	}
	l.out = !l.out
	check(l.t, l.WiFi.Plug(to))
	check(l.t, l.WiFi.Configure(host))
	l.open(outer)
}

// open waits until the group lets this address in. The other one may be held for a while: the laptop goes to and fro.
func (l *laptop) open(addr netip.Addr) {
	l.t.Helper()
	l.until("a rule for "+addr.String(), func() bool { return slices.Contains(l.Cloud.Own(), addr.String()+"/32") })
}

// here is the laptop's public address now.
func (l *laptop) here() netip.Addr {
	if l.out {
		return cafeOuter
	}
	return netlab.HomeOuter
}

// show is one property of a unit; "user" asks the service manager of alice.
func (l *laptop) show(scope, unit, property string) string {
	l.t.Helper()
	args := []string{"systemctl", "show", "--value", "--property=" + property, unit}
	if scope == "user" {
		return strings.TrimSpace(l.alice(slices.Insert(args, 1, "--user")...))
	}
	return strings.TrimSpace(l.root(args...))
}

// running is what `status --json` says to alice.
func (l *laptop) running() bool {
	l.t.Helper()
	out := l.alice(program, "status", "--json")
	var s netlab.Status
	check(l.t, json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &s)) // after what was said on standard error
	return s.Running
}

// property waits until a property of a unit is so.
func (l *laptop) property(scope, unit, name, want string) {
	l.t.Helper()
	last := ""
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if last = l.show(scope, unit, name); last == want {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s of %s is %q, want %q", name, unit, last, want)
		}
	}
}

// missing checks that there is nothing at these places.
func (l *laptop) missing(paths ...string) {
	l.t.Helper()
	for _, p := range paths {
		found, err := filepath.Glob(l.m.Path(p))
		check(l.t, err)
		for _, f := range found {
			l.t.Errorf("%s is left behind", fmt.Sprintf("/%s", strings.SplitN(f, "/root/", 2)[1]))
		}
	}
}
