package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one problem of a configuration, written for its author. Foreign text in it is quoted.
type Error struct {
	File         string // "" when the value did not come from a file
	Line, Column int    // from 1, in bytes; 0 when the place is not known
	Key          string // as in docs/configuration.md, for example target.trusted; "" when it is about the whole file
	Problem      string
	Hint         string // what to do; "" when the problem says it

	cause error
}

// Error is "file:line:column: key: problem", without the hint, which the caller shows apart.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			b.WriteString(":" + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column))
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Unwrap is the error of the system behind this one, such as fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all problems of one configuration, in the order of the file. Every error of this package is of
// this type, so that errors.AsType[config.Errors] finds each problem with its hint.
type Errors []*Error

// Error is one problem a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is and errors.AsType look at each problem, as errors.Join does.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// problems collects what is wrong, once for each place: a value that could not be read need not be checked too.
type problems struct {
	file  string
	at    places
	found Errors
	seen  map[string]bool            // paths in found
	known map[string][]string        // the keys of each table, as they were asked for
	all   func() map[string][]string // knownKeys, worked out once
}

// add reports a problem with the value at path, a key path with indices such as target[0].trusted[1].
func (p *problems) add(path, problem, hint string) {
	p.addAt(p.at.find(path), path, problem, hint)
}

func (p *problems) addAt(at place, path, problem, hint string) {
	if p.seen[path] {
		return
	}
	p.seen[path] = true
	p.found = append(p.found, &Error{
		File: p.file, Line: at.line, Column: at.column, Key: keyOf(path), Problem: problem, Hint: hint,
	})
}

// err is what was found, in the order of the file, or nil.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	slices.SortStableFunc(p.found, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p.found
}

// keyOf is a path without its indices, as a person would look it up. Brackets in quoted keys stay.
func keyOf(path string) string {
	var b strings.Builder
	index, quoted := false, false
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' && (i == 0 || path[i-1] != '\\'):
			quoted = !quoted
		case c == '[' && !quoted:
			index = true
		}
		if !index {
			b.WriteByte(path[i])
		}
		index = index && path[i] != ']'
	}
	return b.String()
}
