package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A package that goes stops what runs its own program, and nothing else: a user's service may run another one.
func TestStopsOnlyItsOwn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	const script = `. ../package/users.sh
systemctl() {
	case "$*" in
	*show*ours*) echo "ExecStart={ path=/usr/bin/emr-accessd ; argv[]=/usr/bin/emr-accessd run ; }" ;;
	*show*theirs*) echo "ExecStart={ path=/home/alice/.local/bin/emr-accessd ; argv[]=/usr/bin/emr-accessd ; }" ;;
	*show*) return 1 ;;
	*) echo "$*" >&3 ;;
	esac
}
exec 3>&1
stop_if_ours ours.service --user --machine=1000@
stop_if_ours theirs.service --user --machine=1000@
stop_if_ours none.service --system
`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if got, want := strings.TrimSpace(string(out)), "--quiet --user --machine=1000@ stop ours.service"; err != nil || got != want {
		t.Errorf("%v: told %q, want %q", err, got, want)
	}
}

// What install --system made for the program of the package is disabled when it goes, and forgotten when it is purged; what
// was made for another program, or by hand, is not touched.
func TestDisablesOnlyItsOwn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	unit := func(name, mark, command string) {
		for file, text := range map[string]string{name + ".service": mark + "\n[Service]\nExecStart=" + command + "\n", name + ".env": "HTTPS_PROXY=secret\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	const mark = "# Made by emr-accessd: a service of the system that runs as an ordinary user."
	unit("emr-accessd@alice", mark, "/usr/bin/emr-accessd run")
	unit("emr-accessd@bob.x", mark, "/bin/emr-accessd run")
	unit("emr-accessd@local", mark, "/usr/local/bin/emr-accessd run")
	unit("emr-accessd@other", mark, "/usr/bin/emr-accessd-other run")
	unit("emr-accessd@hand", "# Mine", "/usr/bin/emr-accessd run")
	run := func(verb string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `. ../package/users.sh
folder=$1
systemctl() { echo "systemctl $*" >&3; }
exec 3>&1
`+verb, "sh", dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", verb, err, out)
		}
		return string(out)
	}
	said := run("stop_ours")
	for _, name := range []string{"alice", "bob.x"} {
		if !strings.Contains(said, "/emr-accessd@"+name+".service stays. With the package back: systemctl enable --now emr-accessd@"+name+".service\n") {
			t.Errorf("%s is not told:\n%s", name, said)
		}
	}
	if n := strings.Count(said, "is disabled;"); n != 2 {
		t.Errorf("%d are disabled:\n%s", n, said)
	}
	run("forget_made")
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 6 || slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, "alice") || strings.Contains(s, "bob") }) {
		t.Errorf("left are %v, %v", left, err)
	}
	if said := run("folder=/nowhere; stop_ours; forget_made"); strings.Contains(said, "disabled") {
		t.Error(said)
	}
}

// What policy-rc.d says about a restart at an upgrade (README.policy-rc.d of init-system-helpers): 101 and 106 forbid
// it; 0 and 104 allow it, and so does whatever leaves it open, for which deb-systemd-invoke restarts too.
func TestPolicyDecidesOnTheRestart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	const script = `. ../package/users.sh
for_users() { echo "users $*"; }
for_services() { echo "services $*"; }
policy-rc.d() { echo "asked $*" >&2; echo stop; return "$policy"; }
if [ "$policy" = none ]; then unset -f policy-rc.d; PATH=; fi
set -- configure 1.0.0
. ../package/postinst
`
	const restarts, waits = "users daemon-reload\nservices --no-block try-restart\n", "users daemon-reload\n"
	for policy, want := range map[string]string{"none": restarts, "0": restarts, "1": restarts, "100": restarts, "101": waits, "102": restarts, "104": restarts, "105": restarts, "106": waits} {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script) // sh has no names with a dash
		cmd.Env = []string{"policy=" + policy, "PATH=/usr/bin:/bin"}
		var asked strings.Builder
		cmd.Stderr = &asked
		out, err := cmd.Output()
		if err != nil || string(out) != want {
			t.Errorf("policy %s: %q, %v; want %q", policy, out, err, want)
		}
		if policy != "none" && asked.String() != "asked emr-accessd.service restart\n" {
			t.Errorf("policy %s: %q", policy, asked.String())
		}
	}
}
