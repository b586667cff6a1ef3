package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is recorded of an environment: names that are known, and nothing that is a key.
func TestRecord(t *testing.T) {
	r, err := recordOf([]string{"AWS_PROFILE=work", "AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=hush", "EDITOR=vi", "no_proxy=.corp",
		"HTTPS_PROXY=http://bob:hush@proxy:3128", "HTTP_PROXY=http://proxy:3128", "ALL_PROXY=bob:hush@proxy:3128", "AWS_REGION=",
		"AWS_ENDPOINT_URL=http://bob:hu%zzsh@h", "AWS_CONFIG_FILE=/home/bob@corp/config"}, []string{"VAULT_TOKEN=/x=y", "EMPTY=", "no_proxy=.lan"}, serviceEnv)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"AWS_PROFILE": "work", "no_proxy": ".lan", "HTTP_PROXY": "http://proxy:3128", "AWS_CONFIG_FILE": "/home/bob@corp/config"}, r.env); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// What the user names may be anything, a token among others: the unit of a system's service is for everybody to read.
	if diff := cmp.Diff(map[string]string{"HTTPS_PROXY": "http://bob:hush@proxy:3128", "ALL_PROXY": "bob:hush@proxy:3128", "AWS_ENDPOINT_URL": "http://bob:hu%zzsh@h",
		"VAULT_TOKEN": "/x=y", "EMPTY": ""}, r.secret); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	said := strings.Join(r.notes, "\n")
	if !strings.Contains(said, "AWS keys") || !strings.Contains(said, "HTTPS_PROXY") || strings.Contains(said, "hush") {
		t.Errorf("the notes are\n%s", said)
	}
	// The same name is recorded once, as it was said last.
	if r, err := recordOf([]string{"HTTPS_PROXY=http://bob:hush@old"}, []string{"HTTPS_PROXY=http://new"}, serviceEnv); err != nil || r.env["HTTPS_PROXY"] != "http://new" || len(r.secret) > 0 {
		t.Errorf("%v, %v, %v", r.env, r.secret, err)
	}
	for _, more := range []string{"AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=x", "=x", "NAME"} {
		if _, err := recordOf(nil, []string{more}, serviceEnv); err == nil || exitCode(err) != exitUsage {
			t.Errorf("--env %s: %v", more, err)
		}
	}
	// Of a PATH without a folder to trust nothing is left; the service manager's own is better than none.
	if r, err := recordOf([]string{"PATH=bin:."}, nil, serviceEnv); err != nil || len(r.env) > 0 || len(r.notes) != 1 {
		t.Errorf("%v, %v, %v", r.env, r.notes, err)
	}
	// Root records nothing of its own for somebody else.
	if r, _ := recordOf([]string{"PATH=/root/bin", "AWS_PROFILE=root", "XDG_CONFIG_HOME=/root/c", "AWS_CONFIG_FILE=/root/.aws/config", "SSL_CERT_FILE=/etc/ca.pem"}, nil, ofTheMachine); len(r.env) != 1 || r.env["SSL_CERT_FILE"] == "" {
		t.Errorf("%v", r.env)
	}
}

// No key reaches what is recorded, whatever the environment.
func TestRecordHasNoKeys(t *testing.T) {
	names := rapid.SampledFrom(append(append([]string{"EDITOR", "FOO"}, serviceEnv...), keys...))
	rapid.Check(t, func(rt *rapid.T) {
		var environ []string
		for _, name := range rapid.SliceOf(names).Draw(rt, "names") {
			environ = append(environ, name+"=value-of-"+name)
		}
		r, err := recordOf(environ, nil, serviceEnv)
		if err != nil {
			rt.Fatal(err)
		}
		for _, key := range keys {
			if r.env[key] != "" || r.secret[key] != "" {
				rt.Fatalf("%s is recorded", key)
			}
		}
	})
}

func TestTrustedPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := t.TempDir()
	good, open := filepath.Join(dir, "good"), filepath.Join(dir, "open")
	for path, mode := range map[string]os.FileMode{good: 0o755, open: 0o777} {
		if err := errors.Join(os.Mkdir(path, 0o755), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	path, left := trustedPath(strings.Join([]string{good, "", ".", "bin", open, good, filepath.Join(dir, "missing")}, ":"))
	if path != good {
		t.Errorf("the path is %q", path)
	}
	if diff := cmp.Diff([]string{`""`, `"."`, `"bin"`, open}, left); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestProgramOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := filepath.Join(t.TempDir(), "d")
	exe := filepath.Join(dir, "emr-accessd")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(exe, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := keptFromOthers(exe); err != nil {
		t.Error(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{exe, dir} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := keptFromOthers(exe); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%s is open to everybody: %v", path, err)
		}
		if err := keptFromOthers(link); err == nil {
			t.Errorf("a link to %s hides that it is open to everybody", path)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What `systemctl status` says.
func TestStatusLine(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	text := func(s string) *string { return &s }
	target := keeper.TargetReport{Target: "j-1", Verdicts: map[string]keeper.Verdict{"ipv4": {Address: "198.51.100.7"}, "ipv6": {State: "absent", Why: "no IPv6"}},
		Groups: []keeper.GroupReport{{ID: "sg-1"}, {ID: "sg-2"}}}
	unknown := target
	unknown.Verdicts = map[string]keeper.Verdict{"ipv4": {State: "conflict", Why: "AWS says a,\nexample says b. "}}
	failed := target
	failed.Error = text("sign in\x1b[2J again")
	full := target
	full.Groups = []keeper.GroupReport{{ID: "sg-1", Error: text("the group is full")}}
	round := func(targets ...keeper.TargetReport) keeper.Status {
		return keeper.Status{LastRound: now, Report: keeper.Report{Targets: targets}}
	}
	for _, tt := range []struct {
		status keeper.Status
		pause  *keeper.Pause
		want   string
	}{
		{keeper.Status{}, nil, "looking at your address for the first time"},
		{round(), nil, "no rule is kept now"},
		{round(target), nil, "198.51.100.7 in sg-1, sg-2 (j-1)"},
		{round(target, target, failed), nil, "198.51.100.7 in sg-1, sg-2 (j-1); j-1: sign in·[2J again"},
		{round(unknown), nil, "j-1: AWS says a,·example says b."},
		{round(full), nil, "j-1: sg-1: the group is full"},
		{keeper.Status{LastError: "no route"}, nil, "no round could be made: no route"},
		{round(target), &keeper.Pause{}, "paused until you run: emr-accessd resume"},
	} {
		if got := statusOfRound(tt.status, tt.pause, now); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	long := round(target)
	long.Report.Targets[0].Target = strings.Repeat("é", 400)
	if got := statusOfRound(long, nil, now); len(got) > maxStatusLine+len("…") || !strings.HasSuffix(got, "…") || strings.ContainsRune(got, '\ufffd') {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
