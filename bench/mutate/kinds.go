package main

import (
	"fmt"
	"go/ast"
	"go/token"
)

// visit plants the mutants of a node.
func (p *planter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.CONST // a constant must stay one
	case *ast.ArrayType:
		return false // the same for an array's length
	case *ast.IfStmt:
		p.condition(n.Cond)
	case *ast.SwitchStmt:
		if n.Tag == nil {
			p.cases(n)
		}
	case *ast.BlockStmt:
		p.statements(n.List)
	case *ast.CaseClause:
		p.statements(n.Body)
	case *ast.CommClause:
		p.statements(n.Body)
	case *ast.BinaryExpr:
		p.binary(n)
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			p.wrap(n, fmt.Sprintf("(mutant__(%d) != ", p.mutant(n, "the other value")), ")")
		}
	}
	return true
}

// condition makes a condition always true, and always false.
func (p *planter) condition(x ast.Expr) {
	p.wrap(x, fmt.Sprintf("(mutant__(%d) || !mutant__(%d) && (", p.mutant(x, "always true"), p.mutant(x, "always false")), "))")
}

// cases does the same with the cases of a switch without a value.
func (p *planter) cases(n *ast.SwitchStmt) {
	for _, c := range n.Body.List {
		for _, x := range c.(*ast.CaseClause).List {
			p.condition(x)
		}
	}
}

// statements leaves out statements, one each.
func (p *planter) statements(list []ast.Stmt) {
	for _, s := range list {
		if removable(s) {
			p.wrap(s, fmt.Sprintf("if !mutant__(%d) { ", p.mutant(s, "left out")), " }")
		}
	}
}

// removable tells whether a program without the statement still compiles.
func removable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.Ident)
		return !ok || f.Name != "panic" // it may be the end that a function needs
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE
	case *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.BREAK || s.Tok == token.CONTINUE
	case *ast.ReturnStmt:
		return len(s.Results) == 0
	}
	return false
}

// binary changes an operator, or makes an operand of "and" and "or" count for nothing.
func (p *planter) binary(n *ast.BinaryExpr) {
	x, y := p.text(n.X), p.text(n.Y)
	switch n.Op {
	case token.LAND:
		for _, o := range []ast.Expr{n.X, n.Y} {
			p.wrap(o, fmt.Sprintf("(mutant__(%d) || (", p.mutant(o, "left out of and")), "))")
		}
	case token.LOR:
		for _, o := range []ast.Expr{n.X, n.Y} {
			p.wrap(o, fmt.Sprintf("(!mutant__(%d) && (", p.mutant(o, "left out of or")), "))")
		}
	case token.LSS, token.GTR:
		p.wrap(n, "(", fmt.Sprintf(" || mutant__(%d) && (%s) == (%s))", p.mutant(n, "with equality"), x, y))
	case token.LEQ, token.GEQ:
		p.wrap(n, "(", fmt.Sprintf(" && !(mutant__(%d) && (%s) == (%s)))", p.mutant(n, "without equality"), x, y))
	case token.EQL, token.NEQ:
		p.wrap(n, fmt.Sprintf("(mutant__(%d) != (", p.mutant(n, "the contrary")), "))")
	case token.ADD:
		p.operator(n, "add__", "right operand left out")
	case token.SUB:
		p.operator(n, "subtract__", "plus for minus")
	}
}

// operator puts a function in place of an operator.
func (p *planter) operator(n *ast.BinaryExpr, function, kind string) {
	p.wrap(n, fmt.Sprintf("%s(%d, ", function, p.mutant(n, kind)), ")")
	// The operator becomes the comma between the arguments.
	p.edits = append(p.edits, edit{p.offset(n.OpPos), true, ", /*"}, edit{p.offset(n.OpPos) + 1, true, "*/ "})
}
