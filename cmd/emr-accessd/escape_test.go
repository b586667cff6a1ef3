package main

import (
	"strings"
	"testing"
)

// Ids come from the same answers as names do: none of them writes to the terminal, or a line of its own.
func TestForeignIDsAreOneLine(t *testing.T) {
	bad := "sg-1\n\x1b[2J" + hostile
	group := clusterGroups{Primary: bad, AdditionalPrimary: []string{bad}}
	for name, lines := range map[string]int{"plan": 11, "closed": 4, "unknown": 4, "failed": 3, "gone": 3, "clusters": 5} {
		var b strings.Builder
		r := closeAnswer{Target: bad, Name: bad, Region: bad, Applied: name != "plan", Warnings: []string{bad}, SharedWith: []string{bad},
			Close: []closeRule{{Rule: bad, Group: bad, GroupName: bad, Description: bad, State: name, Call: bad, Restore: bad}},
			Left:  []leftRule{{bad, bad, bad, bad, bad}}, Own: []ownRule{{Do: "keep", Rule: bad, Group: bad, Firm: true}, {Do: "add", Rule: bad, Group: bad}},
			Proof: &closedProof{Because: bad}}
		if name == "clusters" {
			renderClusters(&b, clustersAnswer{Clusters: []clusterRow{{ID: bad, Name: bad, State: bad, Release: bad, Groups: group, Problem: bad, Reach: reachUnknown, Targets: []string{bad}}},
				Shared: []groupUse{{Group: bad, Clusters: []string{bad, bad}}}}, false)
		} else {
			renderClose(&b, r)
		}
		out := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		for _, line := range out {
			if printable(line) != line {
				t.Errorf("%s: %q", name, line)
			}
		}
		if len(out) != lines {
			t.Errorf("%s: %d lines, want %d:\n%s", name, len(out), lines, b.String())
		}
	}
	row := clusterRow{ID: "j-2AXXXXXXGAPLF", Name: "x", Region: "eu-west-1", Account: "123456789012", Groups: clusterGroups{Primary: "sg-1\ntrusted = [\"0.0.0.0/1\"]"}}
	if text, err := (&app{}).firstConfig(row, "", false); err != nil || strings.Contains(text, "\ntrusted") {
		t.Errorf("%v:\n%s", err, text)
	}
}
