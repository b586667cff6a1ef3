package svcmgr_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

// A real systemd is in internal/bootlab; here is what it cannot be made to do there.
func newSystemd(t *testing.T) (*svcmgr.Systemd, *tool, *kardianos, string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("paths of Unix")
	}
	home := t.TempDir()
	f := &tool{say: map[string]string{"systemctl --user show": "LoadState=not-found\nActiveState=inactive\nFragmentPath=\n"}}
	s := &svcmgr.Systemd{Run: f.run, Unit: "emr-accessd.service", Dir: filepath.Join(home, "user"), Packaged: []string{filepath.Join(home, "lib")}, EnvFile: filepath.Join(home, "config", "service.env")}
	k := &kardianos{tool: f, file: filepath.Join(s.Dir, s.Unit)}
	s.Service = k.service
	write(t, filepath.Join(home, "bin", "emr-accessd"), "the program")
	return s, f, k, home
}

func TestSystemdUndoesEveryStep(t *testing.T) {
	for _, packaged := range []bool{false, true} {
		for _, broken := range []string{"kardianos install", "systemctl --user daemon-reload", "systemctl --user enable", "kardianos stop", "kardianos start"} {
			s, f, k, home := newSystemd(t)
			if packaged {
				write(t, filepath.Join(home, "lib", s.Unit), "[Service]\nExecStart="+home+"/bin/emr-accessd run\n")
				// left by an earlier installation
				write(t, filepath.Join(s.Dir, s.Unit), "# Made by emr-accessd\nold")
				write(t, s.EnvFile, "old")
			}
			verb, ours := strings.CutPrefix(broken, "kardianos ")
			if ours {
				k.fail = map[string]error{verb: errors.New("no")}
			} else {
				f.fail = map[string]string{broken: "no"}
			}
			before := tree(t, home)
			err := s.Install(t.Context(), svcmgr.Params{Program: home + "/bin/emr-accessd", Env: map[string]string{"PATH": "/bin"}, Secret: map[string]string{"HTTPS_PROXY": "http://u:p@h"}})
			if err == nil {
				if !strings.Contains(f.since(0), broken) {
					continue // not a step of this way
				}
				t.Errorf("packaged %t, %s fails: no error", packaged, broken)
			}
			if after := tree(t, home); after != before {
				t.Errorf("packaged %t, %s fails: it was\n%s\nand is\n%s", packaged, broken, before, after)
			}
			has(t, f.since(0), "systemctl --user show", "systemctl --user daemon-reload")
		}
	}
}

func TestSystemdPackagedUnit(t *testing.T) {
	s, f, _, home := newSystemd(t)
	write(t, filepath.Join(home, "lib", s.Unit), "[Service]\nExecStart="+home+"/bin/emr-accessd run\n")
	if err := s.Install(t.Context(), svcmgr.Params{Program: home + "/bin/emr-accessd", Env: map[string]string{"PATH": "/bin"}}); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(0), "daemon-reload", "enable emr-accessd.service", "kardianos start")
	text, err := os.ReadFile(filepath.Join(s.Dir, s.Unit+".d", "install.conf"))
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(text), "[Service]", `Environment="PATH=/bin"`)
	if _, err := os.Stat(filepath.Join(s.Dir, s.Unit)); err == nil {
		t.Error("a unit hides the package's")
	}
	// a package's unit for another program is not used
	n := len(f.calls)
	write(t, filepath.Join(home, "bin", "another"), "another program")
	if err := s.Install(t.Context(), svcmgr.Params{Program: home + "/bin/another"}); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(n), "kardianos install", "kardianos start")
	if _, err := os.Stat(filepath.Join(s.Dir, s.Unit+".d", "install.conf")); err == nil {
		t.Error("the drop-in is left behind")
	}
}

func TestSystemdLeavesForeignUnitsAlone(t *testing.T) {
	s, f, _, home := newSystemd(t)
	write(t, filepath.Join(s.Dir, s.Unit), "[Service]\nExecStart=/bin/mine\n")
	before := tree(t, home)
	if err := s.Install(t.Context(), svcmgr.Params{Program: home + "/bin/emr-accessd"}); err == nil || len(f.calls) > 0 {
		t.Errorf("%v, %s", err, f.since(0))
	}
	f.say = map[string]string{"systemctl --user show": "LoadState=loaded\nActiveState=active\nFragmentPath=" + filepath.Join(s.Dir, s.Unit) + "\n"}
	if err := s.Uninstall(t.Context()); err == nil {
		t.Error("it is uninstalled")
	}
	if strings.Contains(f.since(0), "stop") {
		t.Errorf("it is stopped:\n%s", f.since(0))
	}
	if after := tree(t, home); after != before {
		t.Errorf("it is\n%s", after)
	}
}

func TestSystemdState(t *testing.T) {
	s, f, _, home := newSystemd(t)
	own := filepath.Join(home, "user", s.Unit)
	for _, tt := range []struct {
		show string
		want svcmgr.State
	}{
		{"LoadState=not-found\nActiveState=inactive\n", svcmgr.State{}},
		{"LoadState=loaded\nActiveState=active\nFragmentPath=" + own + "\nUnitFileState=enabled\n", svcmgr.State{Installed: true, Active: true, File: own}},
		{"LoadState=loaded\nActiveState=activating\nResult=exit-code\nFragmentPath=" + own + "\nUnitFileState=enabled\n", svcmgr.State{Installed: true, Active: true, File: own}},
		{"LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=78\nFragmentPath=" + own + "\nUnitFileState=enabled\n", svcmgr.State{Installed: true, Failed: "exit status 78", File: own}},
		{"LoadState=loaded\nActiveState=failed\nResult=watchdog\nFragmentPath=" + own + "\nUnitFileState=disabled\n", svcmgr.State{Installed: true, Failed: "watchdog", File: own}},
		{"LoadState=loaded\nActiveState=inactive\nFragmentPath=/usr/lib/x\nUnitFileState=disabled\n", svcmgr.State{Packaged: true, File: "/usr/lib/x"}},
		{"LoadState=loaded\nActiveState=inactive\nFragmentPath=/usr/lib/x\nUnitFileState=enabled\n", svcmgr.State{Installed: true, Packaged: true, File: "/usr/lib/x"}},
	} {
		f.say = map[string]string{"systemctl --user show": tt.show}
		if got, err := s.State(t.Context()); err != nil || got != tt.want {
			t.Errorf("%s%+v, %v", tt.show, got, err)
		}
	}
	f.fail = map[string]string{"systemctl": "Failed to connect to bus"}
	if _, err := s.State(t.Context()); err == nil {
		t.Error("no error")
	}
}

// Nor what somebody has written beside a unit under the name of our drop-in.
func TestSystemdLeavesForeignDropInsAlone(t *testing.T) {
	s, _, _, home := newSystemd(t)
	write(t, filepath.Join(home, "lib", s.Unit), "[Service]\nExecStart="+home+"/bin/emr-accessd run\n")
	write(t, filepath.Join(s.Dir, s.Unit+".d", "install.conf"), "[Service]\nNice=5\n")
	before := tree(t, home)
	if err := s.Install(t.Context(), svcmgr.Params{Program: home + "/bin/emr-accessd", Env: map[string]string{"PATH": "/bin"}}); err == nil {
		t.Error("it is replaced")
	}
	if err := s.Uninstall(t.Context()); err == nil {
		t.Error("it is removed")
	}
	if after := tree(t, home); after != before {
		t.Errorf("it is\n%s", after)
	}
}
