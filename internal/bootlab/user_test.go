//go:build linux

package bootlab_test

import (
	"strings"
	"testing"
)

const unit = "emr-accessd.service"

// A service of the user, in a real systemd: from nothing to nothing.
func TestUserService(t *testing.T) {
	l := newLaptop(t)
	l.withProgram(built.path)
	l.fails("your user has no systemd manager now", "env", "-u", "XDG_RUNTIME_DIR", program, "install")
	l.login()

	out := l.alice("env", "HTTPS_PROXY=http://bob:secret@203.0.113.80:3128", "NO_PROXY=.lab", "AWS_ACCESS_KEY_ID=AKIAX", "PATH=/usr/local/bin:/usr/bin:/tmp:", program, "install")
	for _, want := range []string{"are not passed to the service", "HTTPS_PROXY holds a password", "PATH leaves out", "installed and started as a service of your user (systemd): /home/alice/.config/systemd/user/emr-accessd.service", "daemon: running", l.here().String() + "/32"} {
		if !strings.Contains(out, want) {
			t.Errorf("install does not say %q:\n%s", want, out)
		}
	}
	l.open(l.here())
	l.move()
	t.Log(l.alice(program, "status"))
	t.Log(l.alice("systemctl", "--user", "status", "--no-pager", unit))
	t.Log(l.alice(program, "logs", "-n", "5"))
}
