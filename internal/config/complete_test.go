package config_test

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestComplete(t *testing.T) {
	const text = `# mine
[[target]] # the first
cluster = "j-2AXXXXXXGAPLF"

  [[ target ]]
name = "nightly-*" # [[target]]
profile = "other"
[rules]
lease = "12h"
`
	got, n, err := config.Complete([]byte(text), `a "b"`, "eu-west-1")
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	want := strings.Replace(text, "# the first\n", "# the first\nprofile = \"a \\\"b\\\"\"\nregion = \"eu-west-1\"\n", 1)
	want = strings.Replace(want, "[[ target ]]\n", "[[ target ]]\nregion = \"eu-west-1\"\n", 1)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// again, there is nothing to add
	if again, n, err := config.Complete(got, "x", "us-east-1"); err != nil || n != 0 || string(again) != string(got) {
		t.Errorf("%d, %v\n%s", n, err, again)
	}
	if same, n, err := config.Complete([]byte(text), "", ""); err != nil || n != 0 || string(same) != text {
		t.Errorf("%d, %v", n, err)
	}
}

// A file whose form it does not know is not written to.
func TestCompleteRefuses(t *testing.T) {
	for _, text := range []string{
		"target = [{ cluster = \"j-2AXXXXXXGAPLF\" }]\n",
		"[rules]\ntags = { x = '''\n[[target]]\n''' }\n[[target]]\ncluster = \"j-2AXXXXXXGAPLF\"\n",
		"[[\"target\"]]\ncluster = \"j-2AXXXXXXGAPLF\"\n",
		"[[target]]\nclustr = 1\n",
	} {
		if got, _, err := config.Complete([]byte(text), "work", ""); err == nil {
			t.Errorf("%s became\n%s", text, got)
		}
	}
	// the last line may lack its end
	if got, n, err := config.Complete([]byte("[[target]]\r\ncluster = \"j-2AXXXXXXGAPLF\"\r\n[[target]]\ncluster=\"j-3AXXXXXXGAPLF\""), "work", ""); err != nil || n != 2 {
		t.Errorf("%v\n%s", err, got)
	}
}

// Whatever the file, what is made means the same and the new keys, or it is refused.
func TestCompleteKeepsAllElse(t *testing.T) {
	line := rapid.SampledFrom([]string{"[[target]]", " [[ target ]] # x", "cluster = \"j-2AXXXXXXGAPLF\"", "profile = \"p\"", "region = \"eu-west-1\"", "# [[target]]", "", "[rules]",
		"lease = \"12h\"", "tags = { a = '''", "''' }", "[address]", "ipv6 = \"off\"", "port = 23"})
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(line, 1, 12).Draw(rt, "lines"), "\n")
		was, err := config.Parse([]byte(text), "")
		got, _, cerr := config.Complete([]byte(text), "work", "us-east-1")
		if err != nil {
			if cerr == nil {
				rt.Fatal("a wrong file is completed")
			}
			return
		}
		if cerr != nil {
			return
		}
		now, err := config.Parse(got, "")
		if err != nil || len(now.Targets) != len(was.Targets) {
			rt.Fatalf("%v\n%s", err, got)
		}
		for i, target := range now.Targets {
			old := was.Targets[i]
			if old.Profile != "" && target.Profile != old.Profile || target.Profile == "" || target.Region == "" || target.Cluster != old.Cluster || target.Port != old.Port {
				rt.Errorf("target %d: %+v became %+v", i, old, target)
			}
		}
	})
}
