package svcmgr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

func newLaunchd(t *testing.T) (*svcmgr.Launchd, *tool, *kardianos) {
	t.Helper()
	f := &tool{fail: map[string]string{"launchctl print": "Could not find service"}}
	file := filepath.Join(t.TempDir(), "LaunchAgents", "emr-accessd.plist")
	k := &kardianos{tool: f, file: file}
	return &svcmgr.Launchd{Run: f.run, Label: "emr-accessd", File: file, UID: 501, Service: k.service, Retry: time.Millisecond}, f, k
}

// madeAgent begins as what this program writes.
const madeAgent = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by emr-accessd. -->\nthe old one"

var agent = svcmgr.Params{Program: "/opt/homebrew/bin/emr-accessd", Env: map[string]string{"PATH": "/usr/bin"}, Secret: map[string]string{"HTTPS_PROXY": "http://u:pw@p:1"}}

func TestLaunchdInstall(t *testing.T) {
	l, f, _ := newLaunchd(t)
	if err := l.Install(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(0), "launchctl print gui/501/emr-accessd", "kardianos install", "launchctl enable gui/501/emr-accessd", "launchctl bootstrap gui/501 "+l.File)
	text, err := os.ReadFile(l.File)
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(text), "/opt/homebrew/bin/emr-accessd", "--log-to-file", "http://u:pw@p:1")
	if info, err := os.Stat(l.File); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("a file with a password: %v, %v", info, err)
	}

	// again, over one that runs
	f.fail = map[string]string{}
	f.say = map[string]string{"launchctl print": "x = {\n\tstate = running\n\tpid = 7\n}"}
	n := len(f.calls)
	begun := false
	again := agent
	again.Starting = func() { begun = strings.Contains(f.since(n), "bootout") && !strings.Contains(f.since(n), "bootstrap") }
	if err := l.Install(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(n), "bootout gui/501/emr-accessd", "kardianos install", "bootstrap gui/501")
	if !begun {
		t.Error("the new one did not start between the end of the old one and its own start")
	}
}

// A bootout ends in the background, so a bootstrap right after it may be too early.
func TestLaunchdBootstrapIsTriedAgain(t *testing.T) {
	l, f, _ := newLaunchd(t)
	tries := 0
	f.before = func(call string) {
		if strings.HasPrefix(call, "launchctl bootstrap") {
			tries++
			f.fail["launchctl bootstrap"] = "Bootstrap failed: 5: Input/output error"
			if tries == 3 {
				delete(f.fail, "launchctl bootstrap")
			}
		}
	}
	if err := l.Install(t.Context(), agent); err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	if strings.Contains(f.since(0), "kardianos start") {
		t.Error("the old verb was used though the new one works")
	}
}

// Old systems know load and unload alone.
func TestLaunchdOldSystem(t *testing.T) {
	l, f, _ := newLaunchd(t)
	f.fail["launchctl"] = "Unrecognized subcommand"
	if err := l.Install(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(0), "kardianos install", "launchctl bootstrap", "kardianos start")
	if err := l.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(0), "launchctl bootout", "kardianos stop")
	if got := tree(t, filepath.Dir(l.File)); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestLaunchdFailedInstall(t *testing.T) {
	l, f, k := newLaunchd(t)
	dir := filepath.Dir(filepath.Dir(l.File))
	f.fail["launchctl bootstrap"] = "no"
	k.fail = map[string]error{"start": errors.New("no")}
	before := tree(t, dir)
	if err := l.Install(t.Context(), agent); err == nil {
		t.Fatal("no error")
	}
	if after := tree(t, dir); after != before && after != "/LaunchAgents\n" { // macOS has that folder anyway
		t.Errorf("left behind: %s", after)
	}

	// over one that runs: it runs again
	write(t, l.File, madeAgent)
	f.fail = map[string]string{}
	f.say = map[string]string{"launchctl print": "\tstate = running\n"}
	k.fail = map[string]error{"install": errors.New("disk full")}
	before = tree(t, dir)
	n := len(f.calls)
	if err := l.Install(t.Context(), agent); err == nil {
		t.Fatal("no error")
	}
	if after := tree(t, dir); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	has(t, f.since(n), "bootout", "kardianos install", "bootstrap gui/501")
}

// A property list that somebody wrote by hand is left alone, and so is what runs from it.
func TestLaunchdHandMade(t *testing.T) {
	l, f, _ := newLaunchd(t)
	f.say = map[string]string{"launchctl print": "\tstate = running\n"}
	f.fail = map[string]string{}
	for _, text := range []string{"", "<plist/>", "<plist>\n<string>emr-accessd run, unlike: <!-- Made by emr-accessd. --></string></plist>", "bplist00\xd1"} {
		write(t, l.File, text)
		for name, do := range map[string]func() error{"install": func() error { return l.Install(t.Context(), agent) }, "uninstall": func() error { return l.Uninstall(t.Context()) }} {
			n := len(f.calls)
			if err := do(); err == nil || !strings.Contains(err.Error(), l.File+" was not made by emr-accessd") {
				t.Errorf("%s: %v", name, err)
			}
			if now, err := os.ReadFile(l.File); err != nil || string(now) != text {
				t.Errorf("%s: the file is %q, %v", name, now, err)
			}
			if strings.Contains(f.since(n), "bootout") {
				t.Errorf("%s stopped it", name)
			}
		}
	}
	if err := os.Remove(l.File); err != nil {
		t.Fatal(err)
	}
	if err := l.Install(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
	if err := l.Install(t.Context(), agent); err != nil { // over its own
		t.Fatal(err)
	}
	if err := l.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Interrupted, it puts things back all the same.
func TestLaunchdInterrupted(t *testing.T) {
	l, f, k := newLaunchd(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(call string) {
		if strings.HasPrefix(call, "launchctl enable") {
			cancel()
		}
	}
	k.fail = map[string]error{"start": errors.New("interrupted")}
	if err := l.Install(ctx, agent); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(l.File); err == nil {
		t.Error("the file is left behind")
	}
}

func TestLaunchdControl(t *testing.T) {
	l, f, _ := newLaunchd(t)
	for _, do := range []func(context.Context) error{l.Start, l.Stop, l.Restart} {
		if err := do(t.Context()); !errors.Is(err, svcmgr.ErrNotInstalled) {
			t.Error(err)
		}
	}
	write(t, l.File, "x")
	for _, step := range []struct {
		do     func(context.Context) error
		loaded bool
		want   string
	}{
		{l.Start, false, "launchctl bootstrap gui/501"}, {l.Start, true, "launchctl kickstart gui/501/emr-accessd"},
		{l.Restart, true, "launchctl kickstart -k gui/501/emr-accessd"}, {l.Restart, false, "launchctl bootstrap"},
		{l.Stop, true, "launchctl bootout gui/501/emr-accessd"}, {l.Stop, false, "launchctl print"},
	} {
		f.fail, f.say = map[string]string{}, map[string]string{"launchctl print": "\tstate = running\n"}
		if !step.loaded {
			f.fail["launchctl print"] = "Could not find service"
		}
		n := len(f.calls)
		if err := step.do(t.Context()); err != nil {
			t.Error(err)
		}
		has(t, f.since(n), step.want)
	}
	f.fail, f.say = map[string]string{}, map[string]string{"launchctl print": "\tstate = waiting\n\tlast exit code = 78\n"}
	if st, err := l.State(t.Context()); err != nil || !st.Installed || st.Active || st.Failed != "exit status 78" {
		t.Errorf("%+v, %v", st, err)
	}
}
