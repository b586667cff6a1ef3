package main

import (
	"slices"
	"strings"
	"testing"
)

func TestClusterArg(t *testing.T) {
	for _, tt := range []struct {
		use  string
		at   int
		many bool
	}{
		{"connect [flags] CLUSTER [-- COMMAND…]", 0, false}, {"audit [CLUSTER…]", 0, true}, {"trust [flags] CLUSTER SHA256:…", 0, false},
		{"init [CLUSTER]", 0, false}, {"status", -1, false}, {"put FILE… CLUSTER:PATH", -1, false}, {"x FILE CLUSTER", 1, false},
	} {
		if at, many := clusterArg(tt.use); at != tt.at || many != tt.many {
			t.Errorf("%s: %d, %v", tt.use, at, many)
		}
	}
}

// A name from AWS that a shell would not take for one word is never put into a command line.
func TestCompletionsAreHarmless(t *testing.T) {
	all := []suggestion{{"j-1", "nightly\x1b[2J\tx\nwaiting"}, {"j-2", "b"}, {"j-1", "again"}, {"$(touch x)", "c"}, {"a b", "d"}, {"-rf", "e"}, {"x;y", "f"}, {"~", "g"},
		{"nightly-etl", "h"}, {"名前", "i"}, {strings.Repeat("x", 200), "j"}, {"", "k"}, {"nightly-*", "l"}}
	var words []string
	for _, c := range completions(all, []string{"j-2"}, "") {
		word, about, _ := strings.Cut(c, "\t")
		words = append(words, word)
		if strings.ContainsAny(about, "\x1b\t\n") {
			t.Errorf("%q", about)
		}
	}
	if !slices.Equal(words, []string{"j-1", "nightly-etl"}) {
		t.Errorf("%q", words)
	}
	if got := completions(all, nil, "j-"); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// Every command that takes --node completes what it means, and takes what is completed.
func TestEveryNodeCompletes(t *testing.T) {
	n := 0
	for _, cmd := range newRoot(&app{}).Commands() {
		if cmd.Flags().Lookup("node") == nil {
			continue
		}
		n++
		complete, ok := cmd.GetFlagCompletionFunc("node")
		if !ok {
			t.Errorf("%s completes no node", cmd.Name())
			continue
		}
		words, _ := complete(cmd, nil, "")
		for _, w := range words {
			if c, err := parseNode(w); err != nil || c.String() != w {
				t.Errorf("%s completes %q: %v", cmd.Name(), w, err)
			}
		}
	}
	if n < 9 {
		t.Errorf("%d commands take a node", n)
	}
}

// Every command that takes a cluster completes it.
func TestEveryClusterCompletes(t *testing.T) {
	n := 0
	for _, cmd := range newRoot(&app{}).Commands() {
		if slices.ContainsFunc(strings.Fields(cmd.Use), func(w string) bool { return strings.Trim(w, "[]…") == "CLUSTER" }) {
			n++
			if cmd.ValidArgsFunction == nil {
				t.Errorf("%s completes nothing", cmd.Use)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d commands take a cluster", n)
	}
}
