//go:build linux

package bootlab_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
)

const unit = "emr-accessd.service"

// What a service of the user leaves in the user's home, but for configuration and state.
var userFiles = []string{home + "/.config/systemd/user/emr-accessd*", home + "/.config/systemd/user/*/emr-accessd*", home + "/.config/emr-accessd/service.env"}

// A service of the user, in a real systemd: from nothing to nothing.
func TestUserService(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.withProgram(built.path)
	l.fails("your user has no systemd manager now", "env", "-u", "XDG_RUNTIME_DIR", program, "install")
	l.login()
	l.installed()
	l.move()
	l.isGood("--user", "65")
	l.crashes("user", unit)
	l.hangs("user", unit, home+"/.config/systemd/user/"+unit+".d")
	l.wrongConfiguration("user", unit)
	l.alice("rm", "-r", home+"/.config/systemd/user/"+unit+".d")
	l.alice("systemctl", "--user", "daemon-reload")
	l.upgraded()

	// The service ends with the session, and begins with it; its rule stays.
	l.logout()
	l.open(l.here())
	l.login()
	l.until("the daemon after a log-in", l.running)
	l.move()

	// Uninstalled, it leaves its rules, and says so; told to, it gives them back.
	l.says(l.alice(program, "uninstall"), "the service is removed", "your rules stay")
	l.missing(userFiles...)
	l.open(l.here())
	l.alice(program, "install")
	l.says(l.alice(program, "uninstall", "--revoke"), "the service is removed", "removed")
	l.missing(userFiles...)
	if own := l.Cloud.Own(); len(own) > 0 {
		t.Errorf("rules that are left: %v", own)
	}
	l.says(l.alice(program, "uninstall"), "there was no service")

	// On a terminal, it asks.
	l.alice(program, "install")
	l.alice(program, "stop")
	l.says(l.alice(program, "status"), "the service is installed and stopped")
	l.says(l.alice("sh", "-c", "(sleep 1; echo y) | script -qec '"+program+" uninstall' /dev/null"), "Give your rules back now", "the service is removed", "removed")
	if own := l.Cloud.Own(); len(own) > 0 {
		t.Errorf("rules that are left: %v", own)
	}
	l.fails("the service is not installed", program, "start")
	if !l.Cloud.Untouched() {
		t.Error("rules of others were touched")
	}
}

// installed installs the service with much in the shell's environment, and looks at what became of it.
func (l *laptop) installed() {
	t := l.t
	t.Helper()
	out := l.alice("env", "HTTPS_PROXY=http://bob:secret@203.0.113.80:3128", "NO_PROXY=.lab", "AWS_ACCESS_KEY_ID=AKIAX", "AWS_SECRET_ACCESS_KEY=hush", "AWS_PROFILE=default",
		"PATH=/usr/local/bin:/usr/bin:/tmp:", program, "install")
	l.says(out, "are not passed to the service", "HTTPS_PROXY may hold a password", "PATH leaves out",
		"installed and started as a service of your user (systemd): "+home+"/.config/systemd/user/"+unit, "daemon: running", l.here().String()+"/32")
	l.open(l.here())
	l.says(out, "that named no AWS profile or region have those of this shell now (profile default)")
	l.says(l.alice("cat", home+"/.config/emr-accessd/config.toml"), "[[target]]\nprofile = \"default\"\n")

	pid := l.show("user", unit, "MainPID")
	environ, err := os.ReadFile(l.m.Path("/proc/" + pid + "/environ"))
	check(t, err)
	for _, want := range []string{"HTTPS_PROXY=http://bob:secret@203.0.113.80:3128\x00", "NO_PROXY=.lab\x00", "AWS_PROFILE=default\x00", "PATH=/usr/local/bin:/usr/bin\x00"} {
		if !strings.Contains("\x00"+string(environ), "\x00"+want) {
			t.Errorf("the service lacks %q: %q", want, environ)
		}
	}
	for _, key := range []string{"AKIAX", "hush"} {
		if strings.Contains(string(environ), key) {
			t.Errorf("the service has %s", key)
		}
	}
	text, err := os.ReadFile(l.m.Path(home + "/.config/systemd/user/" + unit))
	check(t, err)
	if strings.Contains(string(text), "secret") {
		t.Errorf("the proxy's password is in the unit:\n%s", text)
	}
	info, err := os.Stat(l.m.Path(home + "/.config/emr-accessd/service.env"))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the password has mode %v", info.Mode())
	}
	l.until("the status of the service", func() bool { return strings.Contains(l.show("user", unit, "StatusText"), l.here().String()) })

	// journald knows which lines are warnings, and the program's own reader shows them.
	if out := l.alice("journalctl", "--user", "--user-unit="+unit, "--no-pager", "--priority=warning"); !strings.Contains(out, "loosens a promise") || strings.Contains(out, "msg=started") {
		t.Errorf("the warnings of the journal are\n%s", out)
	}
	l.says(l.alice(program, "logs"), "msg=started")
	l.says(l.alice(program, "logs", "-n", "100"), "rule changed")
	if out := l.alice(program, "logs", "-n", "1"); strings.Count(out, "\n") != 1 {
		t.Errorf("one line is\n%s", out)
	}
	for line := range strings.Lines(l.alice(program, "logs", "--json", "-n", "100")) {
		var r daemonlog.Record
		check(t, json.Unmarshal([]byte(line), &r))
		if r.At == nil || r.Level == "" || r.Text == "" || r.From == "emr-accessd" && r.Text == "rule changed" && r.Fields["cidr"] == "" {
			t.Errorf("an entry is %s", line)
		}
	}
	l.says(l.alice(program, "logs", "--json", "-n", "100"), `"from":"systemd","text":"Started `, `"from":"emr-accessd","text":"started","fields":{`, `"level":"warning","from":"emr-accessd","text":"the configuration loosens`)
}

// says checks that an output has all of these.
func (l *laptop) says(out string, want ...string) {
	l.t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			l.t.Errorf("it does not say %q:\n%s", w, out)
		}
	}
}

// isGood asks systemd for its opinion of the unit that runs.
func (l *laptop) isGood(scope, exposure string) {
	l.t.Helper()
	name := unit
	run := l.alice
	if scope == "--system" {
		name, run = systemUnit, l.root
	}
	if out := run("systemd-analyze", scope, "--man=no", "verify", name); out != "" {
		l.t.Errorf("systemd-analyze verify says\n%s", out)
	}
	if scope == "--user" { // systemd asks the system's manager for units that run, and has no way to ask the user's
		name = home + "/.config/systemd/user/" + unit
		run("systemd-analyze", "--man=no", "--no-pager", "--offline=yes", "security", "--threshold="+exposure, name)
		return
	}
	run("systemd-analyze", "--man=no", "--no-pager", "security", "--threshold="+exposure, name)
}

// crashes kills the daemon: systemd starts it again, and it catches up with what it missed.
func (l *laptop) crashes(scope, name string) {
	l.t.Helper()
	before := l.show(scope, name, "NRestarts")
	l.root("kill", "-KILL", l.show(scope, name, "MainPID"))
	l.until("another start", func() bool { return l.show(scope, name, "NRestarts") != before })
	l.property(scope, name, "ActiveState", "active")
	l.move()
}

// hangs stops the daemon, as if its loop hung: the watchdog ends it, and it is started again. dir is where drop-ins go;
// one that makes the test shorter stays there.
func (l *laptop) hangs(scope, name, dir string) {
	l.t.Helper()
	ctl := func(args ...string) {
		if scope == "user" {
			l.alice(append([]string{"systemctl", "--user"}, args...)...)
		} else {
			l.root(append([]string{"systemctl"}, args...)...)
		}
	}
	l.file(dir+"/override.conf", "[Service]\nWatchdogSec=6\nRestartSec=1\n", 0o644)
	if scope == "user" {
		l.root("chown", "-R", "alice:", dir)
	}
	ctl("daemon-reload")
	ctl("restart", name)
	// It lives longer than the watchdog waits, though nothing happens: the loop tells that it is alive.
	pid := l.show(scope, name, "MainPID")
	time.Sleep(8 * time.Second)
	if now := l.show(scope, name, "MainPID"); now != pid {
		l.t.Fatalf("process %s was replaced by %s while nothing was wrong", pid, now)
	}
	l.root("kill", "-STOP", pid)
	l.until("a start after the watchdog", func() bool { return l.show(scope, name, "NRestarts") != "0" })
	l.property(scope, name, "ActiveState", "active")
	l.says(l.root("journalctl", "--no-pager", "_PID="+pid), "SIGABRT", "goroutine ")
	l.move()
}

// wrongConfiguration makes a mistake in the configuration. A restart by our own command is refused before anything
// happens; one by systemd fails once, and is not tried again.
func (l *laptop) wrongConfiguration(scope, name string) {
	l.t.Helper()
	file := l.m.Path(home + "/.config/emr-accessd/config.toml")
	good, err := os.ReadFile(file)
	check(l.t, err)
	check(l.t, os.WriteFile(file, append(good, "[rules]\nleese = \"1h\"\n"...), 0o600))
	restart := []string{"systemctl", "restart", name}
	if scope == "user" {
		l.fails("leese", program, "restart")
		if l.show(scope, name, "ActiveState") != "active" {
			l.t.Error("a restart that was refused has ended the daemon")
		}
		if out, err := l.try("systemctl", "--user", "restart", name); err == nil {
			l.t.Errorf("it starts with a wrong configuration:\n%s", out)
		}
	} else if out, err := l.m.Run(l.t.Context(), restart[0], restart[1:]...); err == nil {
		l.t.Errorf("it starts with a wrong configuration:\n%s", out)
	}
	l.property(scope, name, "ActiveState", "failed")
	time.Sleep(3 * time.Second) // RestartSec is one here
	for property, want := range map[string]string{"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": "78"} {
		if got := l.show(scope, name, property); got != want {
			l.t.Errorf("%s is %s, want %s", property, got, want)
		}
	}
	check(l.t, os.WriteFile(file, good, 0o600))
	if scope == "user" {
		l.says(l.alice(program, "status"), "the service stopped because of its configuration")
		l.alice(program, "start")
	} else {
		l.root(program, "start", "--system", "--user", "alice")
	}
	l.move()
}

// upgraded installs a newer program over the running one.
func (l *laptop) upgraded() {
	l.t.Helper()
	size := func(path string) int64 {
		info, err := os.Stat(path)
		check(l.t, err)
		return info.Size()
	}
	was := l.show("user", unit, "MainPID")
	l.withProgram(built.newer)
	rules := l.ruleIDs()
	l.alice(program, "install")
	now := l.show("user", unit, "MainPID")
	if now == was || size(l.m.Path("/proc/"+now+"/exe")) != size(built.newer) {
		l.t.Errorf("process %s is not the newer program", now)
	}
	if after := l.ruleIDs(); after != rules {
		l.t.Errorf("the rules were %s and are %s", rules, after)
	}
	l.move()
}

// ruleIDs are the rules of alice.
func (l *laptop) ruleIDs() string {
	var b strings.Builder
	for _, r := range l.Cloud.Sim.Rules(l.Cloud.Group) {
		if r.Tags["emr-accessd-owner"] != "" {
			b.WriteString(r.ID + " " + r.CIDR + " " + strconv.Itoa(r.FromPort) + "\n")
		}
	}
	return b.String()
}

// An installation that fails leaves everything as it was: nothing at all, or the service that ran.
func TestFailedInstall(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.withProgram(built.path)
	l.login()
	bad := []string{program, "install", "--env", "EMR_ACCESSD_STATE=/proc/no", "--env", "HTTPS_PROXY=http://bob:secret@p:1"}
	l.fails("nothing was changed", bad...)
	l.missing(append(userFiles, home+"/.config/systemd")...)
	l.property("user", unit, "LoadState", "not-found")

	l.alice(program, "install")
	pid := l.show("user", unit, "MainPID")
	l.fails("nothing was changed", bad...)
	if l.show("user", unit, "MainPID") == pid {
		t.Error("it was not tried")
	}
	l.property("user", unit, "ActiveState", "active")
	l.missing(home + "/.config/emr-accessd/service.env")
	l.move()

	// Somebody's own unit is left alone.
	l.alice(program, "uninstall", "--revoke")
	l.alice("sh", "-c", "mkdir -p ~/.config/systemd/user && printf '[Service]\\nExecStart=/bin/true\\n' >~/.config/systemd/user/"+unit)
	l.fails("was not made by emr-accessd", program, "install")

	// A daemon in a terminal, and a program that anybody could replace.
	l.alice("rm", home+"/.config/systemd/user/"+unit)
	l.root("systemd-run", "--quiet", "--unit=terminal", "--uid=alice", "--setenv=HOME="+home, program, "run")
	l.until("the daemon in a terminal", l.running)
	l.fails("runs already, and not as this service", program, "install")
	l.root("systemctl", "stop", "terminal")
	l.root("sh", "-c", "mkdir -p /srv/open && chmod 777 /srv/open && cp "+program+" /srv/open/")
	l.fails("everybody may write to /srv/open", "/srv/open/emr-accessd", "install")
	l.missing(userFiles...)
}

// Root installs for alice, whose services then run without a log-in.
func TestLinger(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.withProgram(built.path)
	out, err := l.m.Run(t.Context(), program, "install")
	if err == nil {
		t.Errorf("root installs a service of root:\n%s", out)
	}
	l.says(out, "install --user NAME")
	// Whether a user may ask for it depends on the administrator's rules; refused, nothing is left.
	l.login()
	if out, err := l.try(program, "install", "--linger"); err != nil {
		l.says(out, "sudo loginctl enable-linger alice && emr-accessd install")
		l.missing(userFiles...)
	} else {
		l.says(out, "daemon: running")
		l.alice(program, "uninstall", "--revoke")
		l.root("loginctl", "disable-linger", "alice")
	}
	l.logout()

	// What fails leaves nothing, not even her service manager.
	out, err = l.m.Run(t.Context(), program, "install", "--user", "alice", "--linger", "--env", "EMR_ACCESSD_STATE=/proc/no")
	if err == nil {
		t.Errorf("it is installed:\n%s", out)
	}
	l.says(out, "nothing was changed")
	if l.lingers() {
		t.Error("she lingers all the same")
	}
	l.until("the end of her service manager", func() bool { _, err := os.Stat(l.m.Path(runtime + "/systemd/private")); return err != nil })
	l.missing(userFiles...)

	l.says(l.root(program, "install", "--user", "alice", "--linger"), "a service of your user", l.here().String()+"/32")
	l.move() // nobody has logged in
	l.login()
	l.logout()
	if !l.running() {
		t.Error("it ended with the session")
	}
	l.move()
	l.root(program, "restart", "--user", "alice")
	l.move()
	l.says(l.root(program, "logs", "--user", "alice"), "rule changed")
	l.says(l.root(program, "uninstall", "--user", "alice", "--revoke"), "disable-linger")
	l.missing(userFiles...)
	for _, f := range []string{"/.config/emr-accessd", "/.local/state/emr-accessd"} { // all by alice's own hand
		if out := l.root("find", home+f, "-not", "-user", "alice"); out != "" {
			t.Errorf("not hers:\n%s", out)
		}
	}
}
