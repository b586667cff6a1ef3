package packaging_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"github.com/emr-accessd/emr-accessd/packaging"
)

var update = flag.Bool("update", false, "write the golden files and the packaged unit anew")

// installed is what a package puts on the system.
func installed() packaging.UnitParams {
	return packaging.UnitParams{Executable: "/usr/bin/emr-accessd"}
}

// nasty has everything that a service manager could take for something else.
func nasty() packaging.UnitParams {
	return packaging.UnitParams{
		Executable: "/opt/50% $HOME;é #/emr-accessd",
		Args: []string{
			"run", "", " ", ";", "%h", "%%", "$HOME", "${HOME}", "$$", `C:\x\n`, `"`, "'", "a'b", "--config=/c d.toml", "#", "-", "@x", "<&>]]>", "é", "{{Path}}", "{{{{",
		},
		Env: map[string]string{
			"AWS_PROFILE": "my profile", "HTTPS_PROXY": "http://p:3128/?a=b&c=%20", "PATH": "/usr/bin:/bin", "EMPTY": "", "BRACES": "{{{x", "_q": `"\'$HOME;#`,
		},
		Label: "org.example.emr-accessd",
	}
}

// system is a service of the system for an ordinary user.
func system() packaging.UnitParams {
	return packaging.UnitParams{Executable: "/usr/bin/emr-accessd", User: "alice", Env: map[string]string{"HTTPS_PROXY": "http://proxy:3128"},
		Writable: []string{"/home/alice/.local/state/emr-accessd", "/home/a b%/.aws/sso/cache"}}
}

func TestGolden(t *testing.T) {
	withFile := nasty()
	withFile.EnvFile = "/home/é é/50% $HOME;/service.env"
	tests := []struct {
		file   string
		render func(packaging.UnitParams) (string, error)
		params packaging.UnitParams
	}{
		{"systemd/emr-accessd.service", packaging.SystemdUserUnit, installed()},
		{"testdata/nasty.service", packaging.SystemdUserUnit, withFile},
		{"testdata/system.service", packaging.SystemdSystemUnit, system()},
		{"testdata/nasty.conf", packaging.SystemdDropIn, withFile},
		{"testdata/installed.plist", packaging.LaunchAgent, installed()},
		{"testdata/nasty.plist", packaging.LaunchAgent, nasty()},
	}
	for _, test := range tests {
		got, err := test.render(test.params)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(test.file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "{{") {
			t.Errorf("%s: kardianos/service would take {{ for a template", test.file)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-file +rendered; go test -update writes it)\n%s", test.file, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	bad := map[string]packaging.UnitParams{
		"relative":          {Executable: "emr-accessd"},
		"empty":             {},
		"folder":            {Executable: "/usr/bin/"},
		"root":              {Executable: "/"},
		"not plain":         {Executable: "/usr/../bin/emr-accessd"},
		"new line in path":  {Executable: "/usr/bin\n/emr-accessd"},
		"new setting":       {Executable: "/a", Args: []string{"run\nExecStartPre=/bin/evil"}},
		"carriage return":   {Executable: "/a", Args: []string{"\r"}},
		"zero byte":         {Executable: "/a", Args: []string{"a\x00b"}},
		"escape":            {Executable: "/a", Args: []string{"\x1b[2J"}},
		"direction":         {Executable: "/a", Args: []string{"a\u202eb"}},
		"line separator":    {Executable: "/a", Args: []string{"a\u2028b"}},
		"not UTF-8":         {Executable: "/a", Args: []string{"\xff"}},
		"no name":           {Executable: "/a", Env: map[string]string{"": "x"}},
		"name with equals":  {Executable: "/a", Env: map[string]string{"A=B": "x"}},
		"name with digit":   {Executable: "/a", Env: map[string]string{"1A": "x"}},
		"value, new line":   {Executable: "/a", Env: map[string]string{"A": "secret\nEnvironment=B=1"}},
		"label":             {Executable: "/a", Label: "a/../b"},
		"label, line break": {Executable: "/a", Label: "a\n"},
	}
	for name, params := range bad {
		for _, render := range []func(packaging.UnitParams) (string, error){packaging.SystemdUserUnit, packaging.SystemdSystemUnit, packaging.SystemdDropIn, packaging.LaunchAgent} {
			params.User = "alice"
			text, err := render(params)
			if err == nil || text != "" {
				t.Errorf("%s: rendered\n%s", name, text)
			} else if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\x1b\u202e") {
				t.Errorf("%s: the error shows what it must not: %q", name, err)
			}
		}
	}
}

// systemd takes no quotes or backslashes in the path of a program, however they are written; launchd does.
func TestQuotesInPath(t *testing.T) {
	for _, program := range []string{`/opt/"a"/b`, "/opt/'a'/b", `/opt/a\b`} {
		params := packaging.UnitParams{Executable: program}
		if unit, err := packaging.SystemdUserUnit(params); err == nil {
			t.Errorf("rendered\n%s", unit)
		}
		if _, err := packaging.LaunchAgent(params); err != nil {
			t.Error(err)
		}
	}
}

// A parser that is none of ours reads back exactly what was put in.
func TestPlistReadsBack(t *testing.T) {
	for _, params := range []packaging.UnitParams{installed(), nasty()} {
		text, err := packaging.LaunchAgent(params)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if _, err := plist.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		args, label := params.Args, params.Label
		if args == nil {
			args = packaging.FileArgs()
		}
		if label == "" {
			label = packaging.DefaultLabel
		}
		var program []any
		for _, arg := range append([]string{params.Executable}, args...) {
			program = append(program, arg)
		}
		want := map[string]any{
			"Label": label, "ProgramArguments": program, "RunAtLoad": true, "KeepAlive": map[string]any{"SuccessfulExit": false},
			"ThrottleInterval": uint64(10), "ProcessType": "Background", "Umask": uint64(0o077),
		}
		if len(params.Env) > 0 {
			env := map[string]any{}
			for k, v := range params.Env {
				env[k] = v
			}
			want["EnvironmentVariables"] = env
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if _, err := plist.Unmarshal([]byte(strings.Replace(text, "</dict>", "", 1)), &got); err == nil {
			t.Error("the parser accepts a property list that is broken")
		}
	}
}

func TestLaunchAgentHasNoFile(t *testing.T) {
	params := installed()
	params.EnvFile = "/home/alice/service.env"
	if text, err := packaging.LaunchAgent(params); err == nil {
		t.Errorf("rendered\n%s", text)
	}
}

func TestSystemUnitIsOfAnOrdinaryUser(t *testing.T) {
	for _, name := range []string{"", "root", "0", "000", "a b", "a\nUser=root", "-a", "%u", "a;b"} {
		params := system()
		params.User = name
		if unit, err := packaging.SystemdSystemUnit(params); err == nil {
			t.Errorf("%q: rendered\n%s", name, unit)
		}
	}
	params := system()
	params.Writable = []string{"relative"}
	if unit, err := packaging.SystemdSystemUnit(params); err == nil {
		t.Errorf("rendered\n%s", unit)
	}
}

func TestNothingToAdd(t *testing.T) {
	if text, err := packaging.SystemdDropIn(installed()); text != "" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
