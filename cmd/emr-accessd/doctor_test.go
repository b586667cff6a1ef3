package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// teamkey FILE: the cluster's key pair has the public key in that file.
func cmdTeamKey(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).sim.AddKeyPair("team", strings.TrimSpace(ts.ReadFile(args[0])))
}
