package main

import (
	"os/exec"
	"runtime"
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
