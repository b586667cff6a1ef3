package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// mutant is a fault that can be woken.
type mutant struct {
	id   int
	name string // stays the same when lines move: file, function, kind, source text, and a number if that is not unique
	line int
}

func (m mutant) String() string { return fmt.Sprintf("%s (line %d)", m.name, m.line) }

// number makes the names of mutants unique.
func number(mutants []mutant) {
	seen := map[string]int{}
	for i := range mutants {
		name := mutants[i].name
		if seen[name]++; seen[name] > 1 {
			mutants[i].name = fmt.Sprintf("%s #%d", name, seen[name])
		}
	}
}

// edit is text to insert in front of an offset of the source.
type edit struct {
	offset int
	closes bool // ends what another edit began
	text   string
}

// planter collects the mutants of a file.
type planter struct {
	file     string
	source   []byte
	set      *token.FileSet
	function string
	first    int
	mutants  []mutant
	edits    []edit
}

// plant returns the file with mutants in it, numbered from first, and the package's name.
func plant(file string, source []byte, first int) ([]byte, []mutant, string, error) {
	p := &planter{file: file, source: source, set: token.NewFileSet(), first: first}
	tree, err := parser.ParseFile(p.set, file, source, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, nil, "", err
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || f.Name.Name == "String" {
			continue // what a value is called in a message is no decision
		}
		p.function = f.Name.Name
		ast.Inspect(f.Body, p.visit)
	}
	return p.apply(), p.mutants, tree.Name.Name, nil
}

// apply inserts the edits. Edits at the same place nest: what was begun last ends first.
func (p *planter) apply() []byte {
	order := make([]int, len(p.edits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := p.edits[i], p.edits[j]
		switch {
		case a.offset != b.offset:
			return a.offset - b.offset
		case a.closes != b.closes:
			if a.closes {
				return -1
			}
			return 1
		case a.closes:
			return j - i
		}
		return i - j
	})
	var out strings.Builder
	at := 0
	for _, i := range order {
		e := p.edits[i]
		out.Write(p.source[at:e.offset])
		out.WriteString(e.text)
		at = e.offset
	}
	out.Write(p.source[at:])
	return []byte(out.String())
}

// text returns a node's source.
func (p *planter) text(n ast.Node) string {
	return string(p.source[p.offset(n.Pos()):p.offset(n.End())])
}

func (p *planter) offset(at token.Pos) int { return p.set.Position(at).Offset }

// mutant notes a mutant and returns its number.
func (p *planter) mutant(n ast.Node, kind string) int {
	id := p.first + len(p.mutants)
	line, _, more := strings.Cut(p.text(n), "\n")
	if more {
		line += " …"
	}
	p.mutants = append(p.mutants, mutant{
		id: id, line: p.set.Position(n.Pos()).Line,
		name: fmt.Sprintf("%s %s: %s: %s", p.file, p.function, kind, strings.Join(strings.Fields(line), " ")),
	})
	return id
}

// wrap puts text around a node.
func (p *planter) wrap(n ast.Node, before, after string) {
	p.edits = append(p.edits,
		edit{p.offset(n.Pos()), false, before}, edit{p.offset(n.End()), true, after})
}
