package main

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// Names come from EMR, and anybody in the account may choose them: none can write more into a configuration than itself.
func FuzzFirstConfig(f *testing.F) {
	for _, name := range []string{"nightly-etl", "", "a\"b\\c", "x\n[[target]]\nsecurity-group = \"sg-0123456789abcdef0\"", "\x00\x1b[2J", "*", "\u202egnp.exe", "名前", "'''"} {
		f.Add(name, "default", "123456789012", true)
		f.Add(name, name, name, false)
	}
	f.Fuzz(func(t *testing.T, name, profile, account string, byName bool) {
		a := &app{}
		row := clusterRow{ID: "j-2AXXXXXXGAPLF", Name: name, Region: "eu-west-1", Account: account, Groups: clusterGroups{Primary: "sg-0123456789abcdef0"}}
		text, err := a.firstConfig(row, profile, byName)
		if err != nil {
			return
		}
		cfg, err := config.Parse([]byte(text), "f")
		if err != nil || len(cfg.Targets) != 1 {
			t.Fatalf("%d targets, %v:\n%s", len(cfg.Targets), err, text)
		}
		got := cfg.Targets[0]
		if byName && (got.Name != name || got.Cluster != "") || !byName && got.Cluster != row.ID || got.SecurityGroup != "" || len(got.Trusted) > 0 {
			t.Errorf("%+v from\n%s", got, text)
		}
		if strings.ContainsAny(text, "\x1b\x00\u202e") {
			t.Errorf("a terminal would take it for more than text: %q", text)
		}
	})
}
