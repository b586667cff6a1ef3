package packaging_test

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/packaging"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEnvFileReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		env := rapid.MapOf(rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,5}`), rapid.StringMatching("[a-zé \\\\\"'$`#=%;]{0,12}")).Draw(rt, "env")
		text, err := packaging.EnvFile(env)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := packaging.ParseEnvFile(text)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(env, got); diff != "" {
			rt.Errorf("%s(-want +got)\n%s", text, diff)
		}
	})
}

func TestEnvFileRefused(t *testing.T) {
	for _, env := range []map[string]string{{"A B": "x"}, {"": "x"}, {"A": "secret\nB=1"}, {"A": "secret\x00"}} {
		if text, err := packaging.EnvFile(env); err == nil || text != "" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %q, %v", env, text, err)
		}
	}
	for _, text := range []string{"A", "A=secret", `A="secret`, `A=secret"`, `A="sec"ret"`, `A="secret\"`, "1A=\"secret\"", `A="`, "\x00", "A=\"se\x1bcret\""} {
		if env, err := packaging.ParseEnvFile("OK=\"1\"\n" + text); err == nil || env != nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, %v", text, env, err)
		}
	}
	if env, err := packaging.ParseEnvFile("\r\n# x\r\nA=\"b\"\r\n"); err != nil || env["A"] != "b" {
		t.Errorf("%v, %v", env, err)
	}
}
