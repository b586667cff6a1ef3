//go:build linux

package bootlab_test

import (
	"os"
	"strings"
	"testing"
)

const systemUnit = "emr-accessd@alice.service"

// A service of the system runs as alice, with less than alice may do.
func TestSystemService(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.withProgram(built.path)
	refused := func(want string, args ...string) {
		t.Helper()
		out, err := l.m.Run(t.Context(), program, args...)
		if err == nil {
			t.Errorf("%v succeeds:\n%s", args, out)
		}
		l.says(out, want)
	}
	refused("runs as an ordinary user", "install", "--system")
	refused("is root", "install", "--system", "--user", "root")
	refused("unknown user", "install", "--system", "--user", "mallory")
	refused("is for a service of your user", "install", "--system", "--user", "alice", "--linger")
	refused("keys are not recorded", "install", "--system", "--user", "alice", "--env", "AWS_SECRET_ACCESS_KEY=x")
	l.fails("sudo emr-accessd install --system --user alice", program, "install", "--system", "--user", "alice")

	// Root follows no link out of alice's home, and checks her configuration as she would.
	l.alice("sh", "-c", "mkdir -p ~/.local/state && ln -s /root/loot ~/.local/state/emr-accessd")
	l.root("mkdir", "-m", "755", "/root/loot")
	refused("emr-accessd: error", "install", "--system", "--user", "alice")
	l.missing("/root/loot/*", "/etc/systemd/system/"+systemUnit+"*")
	l.alice("rm", home+"/.local/state/emr-accessd")
	l.root("chmod", "666", home+"/.config/emr-accessd/config.toml")
	refused("others may write to it", "install", "--system", "--user", "alice")
	l.root("chmod", "600", home+"/.config/emr-accessd/config.toml")

	out := l.root("env", "HTTPS_PROXY=http://bob:secret@203.0.113.80:3128", "NO_PROXY=.lab", "AWS_PROFILE=nobody", program, "install", "--system", "--user", "alice", "--env", "VAULT_TOKEN=secret")
	l.says(out, "installed and started as a service of the system that runs as alice (systemd): /etc/systemd/system/"+systemUnit, "daemon: running", l.here().String()+"/32")
	l.open(l.here())
	if out := l.root("ps", "-o", "user=", "-p", l.show("system", systemUnit, "MainPID")); out != "alice\n" {
		t.Errorf("it runs as %q", out)
	}
	if info, err := os.Stat(l.m.Path("/etc/systemd/system/emr-accessd@alice.env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the password: %v, %v", info, err)
	}
	// Everybody may read the unit, and ask systemd for it.
	l.says(l.root("cat", "/etc/systemd/system/emr-accessd@alice.env"), `VAULT_TOKEN="secret"`)
	if out := l.alice("cat", "/etc/systemd/system/"+systemUnit) + l.alice("systemctl", "show", systemUnit); strings.Contains(out, "secret") {
		t.Errorf("everybody may read the password:\n%s", out)
	}
	if out := l.root("cat", "/proc/"+l.show("system", systemUnit, "MainPID")+"/environ"); !strings.Contains(out, "VAULT_TOKEN=secret\x00") {
		t.Error("the service has no VAULT_TOKEN")
	}
	if !l.running() { // as alice sees it
		t.Error("alice is told that no daemon runs")
	}
	l.move()
	l.isGood("--system", "15")
	l.crashes("system", systemUnit)
	l.hangs("system", systemUnit, "/etc/systemd/system/"+systemUnit+".d")
	l.wrongConfiguration("system", systemUnit)
	l.root("rm", "-r", "/etc/systemd/system/"+systemUnit+".d")
	l.root("systemctl", "daemon-reload")

	l.login() // two daemons of one user are refused
	l.fails("runs already, and not as this service", program, "install")
	l.fails("sudo emr-accessd restart --system --user alice", program, "restart")
	l.fails("sudo emr-accessd logs --system --user alice", program, "logs")
	l.root(program, "restart", "--system", "--user", "alice")
	l.logout()
	l.move()
	l.says(l.root(program, "logs", "--system", "--user", "alice", "-n", "100"), "msg=started")
	l.says(l.root(program, "logs", "--system", "--user", "alice", "-n", "100", "--json"), `"from":"emr-accessd","text":"started"`)
	l.withProgram(built.newer)
	l.root(program, "install", "--system", "--user", "alice")
	l.move()
	l.says(l.root(program, "uninstall", "--system", "--user", "alice", "--revoke"), "the service is removed", "removed")
	l.missing("/etc/systemd/system/emr-accessd*", "/etc/systemd/system/*/emr-accessd*")
	if own := l.Cloud.Own(); len(own) > 0 || !l.Cloud.Untouched() {
		t.Errorf("rules that are left: %v; those of others untouched: %v", own, l.Cloud.Untouched())
	}
	if out := l.root("find", home, "-not", "-user", "alice"); out != "" {
		t.Errorf("not hers:\n%s", out)
	}
}
