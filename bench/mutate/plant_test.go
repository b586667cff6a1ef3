package main

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

const victim = `package p

const limit = 2 + 3

func f(a, b int, ok bool) (n int) {
	if a < b && ok {
		n = a - b
	}
	switch {
	case a == 1 || b >= 2:
		return a + 1
	}
	for {
		n++
		if n > limit {
			break
		}
	}
	panic("never left out")
}
`

func TestPlant(t *testing.T) {
	out, mutants, pkg, err := plant("p.go", []byte(victim), 7)
	if err != nil || pkg != "p" {
		t.Fatal(pkg, err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "p.go", out, 0); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if a, b := strings.Count(victim, "\n"), strings.Count(string(out), "\n"); a != b {
		t.Errorf("%d lines became %d", a, b)
	}
	number(mutants)
	names := map[string]bool{}
	for i, m := range mutants {
		if m.id != 7+i || names[m.name] {
			t.Errorf("mutant %d: %+v", i, m)
		}
		names[m.name] = true
	}
	for _, name := range []string{
		"always true: a < b && ok", "always false: a < b && ok", "left out of and: a < b", "left out of and: ok", "with equality: a < b", "left out: n = a - b",
		"plus for minus: a - b", "always true: a == 1 || b >= 2", "left out of or: b >= 2", "the contrary: a == 1", "without equality: b >= 2",
		"right operand left out: a + 1", "left out: n++", "left out: break", "with equality: n > limit",
	} {
		if !names["p.go f: "+name] {
			t.Errorf("%s is not planted in\n%s", name, out)
		}
	}
	for name := range names {
		if strings.Contains(name, "panic") || strings.Contains(name, "2 + 3") {
			t.Errorf("%s cannot be planted", name)
		}
	}
}
