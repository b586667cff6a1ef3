package svcmgr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

const taskSID = "S-1-5-21-1-2-3-1001"

func newTask(t *testing.T) (*svcmgr.Task, *tool, *string) {
	t.Helper()
	f := &tool{fail: map[string]string{"schtasks.exe /query": "ERROR: The system cannot find the file specified."}}
	xml := new(string) // what was given to /create last
	f.before = func(call string) {
		if _, rest, ok := strings.Cut(call, "/xml "); ok && strings.HasPrefix(call, "schtasks.exe /create") {
			text, err := os.ReadFile(strings.TrimSuffix(rest, " /f"))
			if err != nil {
				t.Error(err)
			}
			*xml = strings.ReplaceAll(string(text), "\x00", "")
		}
	}
	return &svcmgr.Task{Run: f.run, Name: "emr-accessd-" + taskSID, SID: taskSID, EnvFile: filepath.Join(t.TempDir(), "emr-accessd", "service.env"), Running: func() bool { return true }}, f, xml
}

var windows = svcmgr.Params{Program: `C:\Users\zoe\bin\emr-accessd.exe`, Env: map[string]string{"AWS_PROFILE": "work"}, Secret: map[string]string{"HTTPS_PROXY": "http://u:pw@p:1"}}

func TestTaskInstall(t *testing.T) {
	m, f, xml := newTask(t)
	if err := m.Install(t.Context(), windows); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(0), "/query /tn emr-accessd-"+taskSID+" /xml", "/create /tn emr-accessd-"+taskSID+" /xml", "/run /tn emr-accessd-"+taskSID)
	has(t, *xml, taskSID, `C:\Users\zoe\bin\emr-accessd.exe`, "run --log-to-file --env-file", "service.env")
	if strings.Contains(*xml, "pw") {
		t.Error("the password is in the task, which administrators and backups read")
	}
	text, err := os.ReadFile(m.EnvFile)
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(text), `AWS_PROFILE="work"`, `HTTPS_PROXY="http://u:pw@p:1"`)

	// again: the old one ends first
	delete(f.fail, "schtasks.exe /query")
	n := len(f.calls)
	if err := m.Install(t.Context(), windows); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(n), "/query", "/end", "/create", "/run")
	if err := m.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, f.since(n), "/end", "/delete /tn emr-accessd-"+taskSID+" /f")
	if _, err := os.Stat(m.EnvFile); err == nil {
		t.Error("the file of variables is left behind")
	}
}

func TestTaskFailedInstall(t *testing.T) {
	m, f, xml := newTask(t)
	f.fail["schtasks.exe /run"] = "ERROR"
	if err := m.Install(t.Context(), windows); err == nil {
		t.Fatal("no error")
	}
	has(t, f.since(0), "/create", "/run", "/delete /tn emr-accessd-"+taskSID+" /f")
	if got := tree(t, filepath.Dir(filepath.Dir(m.EnvFile))); got != "" {
		t.Errorf("left behind: %s", got)
	}
	// over an older one, which is made anew and runs again
	delete(f.fail, "schtasks.exe /query")
	f.say = map[string]string{"schtasks.exe /query": "<Task>the old one</Task>"}
	n := len(f.calls)
	if err := m.Install(t.Context(), windows); err == nil {
		t.Fatal("no error")
	}
	has(t, f.since(n), "/query", "/end", "/create", "/run", "/create", "/run")
	has(t, *xml, "the old one")
	// what cannot be written is refused before anything happens
	n = len(f.calls)
	if err := m.Install(t.Context(), svcmgr.Params{Program: `emr-accessd.exe`}); err == nil || len(f.calls) != n {
		t.Errorf("%v, %s", err, f.since(n))
	}
}

func TestTaskControl(t *testing.T) {
	m, f, _ := newTask(t)
	for _, do := range []func(context.Context) error{m.Start, m.Stop, m.Restart} {
		if err := do(t.Context()); !errors.Is(err, svcmgr.ErrNotInstalled) {
			t.Error(err)
		}
	}
	if st, err := m.State(t.Context()); err != nil || st.Installed {
		t.Errorf("%+v, %v", st, err)
	}
	delete(f.fail, "schtasks.exe /query")
	f.fail["schtasks.exe /end"] = "it does not run"
	n := len(f.calls)
	if err := m.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	has(t, f.since(n), "/end", "/run")
	if err := m.Stop(t.Context()); err == nil {
		t.Error("a stop that fails is no error")
	}
}
