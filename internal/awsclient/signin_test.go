package awsclient_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

// Each way of signing in shows, and nothing else does.
func TestSignInMark(t *testing.T) {
	home := isolate(t)
	t.Setenv("AWS_LOGIN_CACHE_DIRECTORY", filepath.Join(home, "logins"))
	mark := awsclient.SignInMark()
	if again := awsclient.SignInMark(); again != mark {
		t.Fatalf("it changes by itself: %s, %s", mark, again)
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"aws sso login", func() { putFile(t, home, ".aws/sso/cache/1.json", "token 1") }},
		{"aws sso login, over the old token", func() { putFile(t, home, ".aws/sso/cache/1.json", "token 22") }},
		{"the same length, later", func() {
			path := filepath.Join(home, ".aws/sso/cache/1.json")
			putFile(t, home, ".aws/sso/cache/1.json", "token 33")
			if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}},
		{"aws login", func() { putFile(t, home, ".aws/login/cache/x.json", "{}") }},
		{"aws login, elsewhere", func() { putFile(t, home, "logins/x.json", "{}") }},
		{"the CLI's cache of roles", func() { putFile(t, home, ".aws/cli/cache/r.json", "{}") }},
		{"keys in a file", func() { putFile(t, home, ".aws/credentials", "[default]\n") }},
		{"another profile", func() { putFile(t, home, ".aws/config", "[default]\n") }},
		{"aws sso logout", func() { os.Remove(filepath.Join(home, ".aws/sso/cache/1.json")) }},
	} {
		step.do()
		next := awsclient.SignInMark()
		if next == mark {
			t.Errorf("%s does not show", step.name)
		}
		mark = next
	}
	for i := range 600 { // the AWS CLI never clears its cache
		putFile(t, home, fmt.Sprintf(".aws/cli/cache/%04d.json", i), "{}")
	}
	mark = awsclient.SignInMark()
	putFile(t, home, ".aws/cli/cache/0599.json", "{ }")
	if next := awsclient.SignInMark(); next == mark {
		t.Error("a token after many others does not show")
	} else {
		mark = next
	}
	putFile(t, home, ".aws/other", "x")
	putFile(t, home, "elsewhere", "x")
	if next := awsclient.SignInMark(); next != mark {
		t.Error("other files show")
	}
}
