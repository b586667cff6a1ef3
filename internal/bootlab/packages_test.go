//go:build linux

package bootlab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// release builds a deb and an rpm in two versions, which the first test does for both, and returns their folder.
var release = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(built.path), "release")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
		out, err := exec.CommandContext(ctx, "../../packaging/build", "--only", "linux-amd64,deb,rpm", "--version", version, "--out", filepath.Join(dir, version)).CombinedOutput()
		cancel()
		if err != nil {
			return "", fmt.Errorf("build %s: %w: %s", version, err, out)
		}
	}
	return dir, nil
})

// packages are the files of both versions in a format.
func packages(t *testing.T, format string) (older, newer string) {
	t.Helper()
	if _, err := os.Stat("../../packaging/build"); err != nil {
		t.Skip("there is nothing yet that builds packages")
	}
	dir, err := release()
	check(t, err)
	find := func(version string) string {
		found, err := filepath.Glob(filepath.Join(dir, version, "*."+format))
		check(t, err)
		if len(found) != 1 {
			t.Fatalf("packages of %s: %v", version, found)
		}
		return found[0]
	}
	return find("1.0.0"), find("1.1.0")
}

// packager is what a distribution installs packages with.
type packager struct {
	format           string
	install, upgrade []string // and the file
	remove, purge    []string
}

func TestDeb(t *testing.T) {
	t.Parallel()
	testPackages(t, packager{format: "deb", install: []string{"dpkg", "-i"}, upgrade: []string{"dpkg", "-i"}, remove: []string{"dpkg", "-r", "emr-accessd"}, purge: []string{"dpkg", "-P", "emr-accessd"}})
}

func TestRPM(t *testing.T) {
	t.Parallel()
	testPackages(t, packager{format: "rpm", install: []string{"rpm", "--force-debian", "--nodeps", "-i"}, upgrade: []string{"rpm", "--force-debian", "--nodeps", "--replacepkgs", "-U"},
		remove: []string{"rpm", "--force-debian", "--nodeps", "-e", "emr-accessd"}})
}

// testPackages installs, upgrades and removes a package under a service that runs.
func testPackages(t *testing.T, p packager) {
	need(t)
	older, newer := packages(t, p.format)
	l := newLaptop(t)
	for name, file := range map[string]string{"older": older, "newer": newer} {
		text, err := os.ReadFile(file)
		check(t, err)
		l.file("/root/"+name+"."+p.format, string(text), 0o644)
	}
	const program, fragment, dropIns = "/usr/bin/emr-accessd", "/usr/lib/systemd/user/" + unit, home + "/.config/systemd/user/emr-accessd.service*"
	put := func(args []string, name string) string { return l.root(append(args, "/root/"+name+"."+p.format)...) }
	l.login()
	litter := []string{"find", "/usr", "/etc", "/var", "/run", "-name", "*emr-accessd*", "-not", "-path", "/run/user/*", "-not", "-path", "/var/lib/rpm/*"}
	before := l.root(litter...) // this computer may have something of its own
	l.says(put(p.install, "older"), "emr-accessd install")
	l.property("user", unit, "ActiveState", "inactive") // enabled for nobody
	if out := l.alice("systemd-analyze", "--user", "--man=no", "verify", fragment); out != "" {
		t.Errorf("systemd-analyze verify says\n%s", out)
	}

	// The package's unit is enabled, and none is written that would hide it.
	l.says(l.alice(program, "install"), "enabled and started, from your package", fragment, l.here().String()+"/32")
	l.property("user", unit, "FragmentPath", fragment)
	l.missing(home + "/.config/systemd/user/emr-accessd.service")
	l.says(l.alice("cat", home+"/.config/systemd/user/emr-accessd.service.d/install.conf"), `Environment="PATH=`)
	l.move()

	// Its upgrade brings the newer program into the service that runs.
	was := l.show("user", unit, "MainPID")
	put(p.upgrade, "newer")
	l.until("the newer program", func() bool { now := l.show("user", unit, "MainPID"); return now != was && now != "0" })
	l.property("user", unit, "ActiveState", "active")
	l.says(l.alice(program, "version"), "1.1.0")
	if out := l.alice("readlink", "/proc/"+l.show("user", unit, "MainPID")+"/exe"); strings.TrimSpace(out) != program {
		t.Errorf("the service runs %q", out)
	}
	l.move()

	// Another program is another service, which hides the package's, and gives way to it again.
	l.file(home+"/.local/bin/emr-accessd", read(t, built.path), 0o755)
	l.root("chown", "-R", "alice:", home+"/.local")
	l.says(l.alice(home+"/.local/bin/emr-accessd", "install"), "installed and started as a service of your user")
	l.property("user", unit, "FragmentPath", home+"/.config/systemd/user/"+unit)
	l.alice(program, "install")
	l.property("user", unit, "FragmentPath", fragment)
	l.move()

	l.says(l.alice(program, "uninstall", "--keep-rules"), "stopped and disabled", "a package")
	l.missing(dropIns, home+"/.config/systemd/user/*/emr-accessd*")
	l.property("user", unit, "ActiveState", "inactive")

	// A service of the system goes on over an upgrade, and starts no more once the package is gone: its unit stays, disabled.
	l.root(program, "install", "--system", "--user", "alice", "--env", "HTTPS_PROXY=http://a:secret@192.0.2.1:3128", "--env", "NO_PROXY=*")
	was = l.show("system", systemUnit, "MainPID")
	put(p.upgrade, "newer")
	l.until("the program anew", func() bool { now := l.show("system", systemUnit, "MainPID"); return now != was && now != "0" })
	l.property("system", systemUnit, "ActiveState", "active")
	l.property("system", systemUnit, "UnitFileState", "enabled")
	l.move()
	l.says(l.root(p.remove...), systemUnit+" is disabled")
	l.until("the end of the daemon of the system", func() bool { return l.show("system", systemUnit, "MainPID") == "0" })
	l.property("system", systemUnit, "UnitFileState", "disabled")
	l.property("system", systemUnit, "ActiveState", "inactive")
	put(p.install, "newer")
	l.property("system", systemUnit, "ActiveState", "inactive")
	l.root("systemctl", "enable", "--now", systemUnit)
	l.move()
	if p.purge != nil { // which takes it away; no other format knows that
		l.root("systemctl", "disable", "--now", systemUnit)
	} else {
		l.root(program, "uninstall", "--system", "--user", "alice", "--keep-rules")
	}
	l.alice(program, "install")

	// Removed under a service that runs: it ends, and nothing of the program stays but what is the user's.
	l.root(p.remove...)
	if p.purge != nil {
		l.root(p.purge...)
	}
	l.until("the end of the daemon", func() bool { return l.show("user", unit, "MainPID") == "0" })
	if left := l.root(litter...); left != before {
		t.Errorf("there was\n%sand now there is\n%s", before, left)
	}
	if _, err := os.Stat(l.m.Path(home + "/.config/emr-accessd/config.toml")); err != nil {
		t.Errorf("the user's configuration: %v", err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	return string(text)
}
