package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/pflag"
)

// told runs the program, and returns its exit code and what it says of a failure.
func told(t *testing.T, args ...string) (int, string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out, errs strings.Builder
	code := run(t.Context(), args, streams{In: null, Out: &out, Err: &errs})
	return code, errs.String()
}

// Flags that --help leaves out are told in the documentation of the keys that they stand for.
func TestHiddenFlagsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	newRoot(&app{}).PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			return
		}
		if hidden++; !regexp.MustCompile("`--" + f.Name + "[` =]").Match(text) {
			t.Errorf("docs/configuration.md does not name --%s", f.Name)
		}
	})
	if hidden == 0 {
		t.Error("no flag is hidden")
	}
}

// A wrong command line is told in the words of this program, without those of its libraries.
func TestUsageIsPlain(t *testing.T) {
	t.Setenv("EMR_ACCESSD_CONFIG", "")
	for _, tt := range []struct{ args, want string }{
		{"conect", `there is no command "conect"` + "\nhint: did you mean connect?"},
		{"xyzzy", `there is no command "xyzzy"` + "\nhint: see `emr-accessd --help`"},
		{"help conect", `there is no command "conect"` + "\nhint: did you mean connect?"},
		{"help connect more", `there is no command "connect more"` + "\nhint: see `emr-accessd --help`"},
		{"sync --port x", `--port "x": want a number` + "\nhint: see `emr-accessd sync --help`"},
		{"sync --lease day", `--lease "day": want a time, such as 90s, 30m or 2h` + "\nhint: see `emr-accessd sync --help`"},
		{"sync --egress-check=maybe", `--egress-check "maybe": want true or false` + "\nhint: see `emr-accessd sync --help`"},
		{"sync --rule-tag x", `--rule-tag "x": want key=value` + "\nhint: see `emr-accessd sync --help`"},
		{"sync --nonsense", "unknown flag: --nonsense\nhint: see `emr-accessd sync --help`"},
		{"trust j-2AXXXXXXGAPLF", "1 argument; want: emr-accessd trust [flags] CLUSTER SHA256:…\nhint: see `emr-accessd trust --help`"},
		{"tunnel", "0 arguments; want: emr-accessd tunnel [flags] CLUSTER\nhint: see `emr-accessd tunnel --help`"},
		{"status extra", "it takes no arguments: emr-accessd status [flags]\nhint: see `emr-accessd status --help`"},
	} {
		code, said := told(t, strings.Fields(tt.args)...)
		want := "emr-accessd: error: " + strings.ReplaceAll(tt.want, "\n", "\nemr-accessd: ") + "\n"
		if code != exitUsage || said != want {
			t.Errorf("%s: %d\n%swant\n%s", tt.args, code, said, want)
		}
	}
	if code, said := told(t, "help", "connect"); code != exitDone || said != "" {
		t.Errorf("help connect: %d, %s", code, said)
	}
}

// Each command is in one group of --help, but for those that other programs run.
func TestCommandsAreInGroups(t *testing.T) {
	alone := []string{"help", "man", "version", "known-hosts", "proxy", "trust"}
	seen := map[string]int{}
	for _, g := range groups {
		for _, name := range g.commands {
			seen[name]++
		}
	}
	for _, cmd := range newRoot(&app{}).Commands() {
		want := 1
		if slices.Contains(alone, cmd.Name()) || cmd.Hidden {
			want = 0
		}
		if seen[cmd.Name()] != want || (cmd.GroupID != "") != (want == 1) {
			t.Errorf("%s is in %d groups, %q", cmd.Name(), seen[cmd.Name()], cmd.GroupID)
		}
		delete(seen, cmd.Name())
	}
	for name := range seen {
		if seen[name] > 0 {
			t.Errorf("there is no command %s", name)
		}
	}
}

func TestLoginHint(t *testing.T) {
	for _, tt := range []struct {
		err  sshsession.AuthError
		pair string
		want string
	}{
		{sshsession.AuthError{}, "team", "key pair team with -i"}, {sshsession.AuthError{}, "", "without a key pair"},
		{sshsession.AuthError{Methods: []string{"password"}}, "team", "--openssh"}, {sshsession.AuthError{Partial: true}, "", "--openssh"},
	} {
		if got := loginHint(&tt.err, tt.pair); !strings.Contains(got, tt.want) {
			t.Errorf("%+v, %q: %s", tt.err, tt.pair, got)
		}
	}
}
