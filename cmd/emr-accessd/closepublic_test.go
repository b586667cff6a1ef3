package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// public N: the group has so many rules that open exactly port 22 to everybody.
func cmdPublic(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, r := range worldOf(ts).sim.Rules(worldOf(ts).master) {
		if r.CIDR == "0.0.0.0/0" && r.FromPort == 22 && r.ToPort == 22 {
			n++
		}
	}
	if want, err := strconv.Atoi(args[0]); err != nil || n != want {
		ts.Fatalf("%d public rules, want %s\n%s", n, args[0], worldOf(ts).listing())
	}
}

// closedid VAR: the id of the one rule that has a record on disk, which nobody else may read.
func cmdClosedID(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.Getenv("EMR_ACCESSD_STATE"), "closed-*.json"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("records: %v", files)
	}
	info, err := os.Stat(files[0])
	ts.Check(err)
	if info.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %v", files[0], info.Mode())
	}
	ts.Setenv(args[0], strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[0]), "closed-"), ".json"))
}
