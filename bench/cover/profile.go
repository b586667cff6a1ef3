package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/emr-accessd/emr-accessd/"

// A floor is this far below what was measured, in percent and in statements at least: tests that wait for chance do not
// always run the same, and in a small package a statement is much.
const (
	margin     = 2
	fewestLess = 3
)

// share is how much of a package the tests run.
type share struct {
	Package    string  `json:"package"`
	Statements int     `json:"statements"`
	Run        int     `json:"run"`
	Percent    float64 `json:"percent"`
	Floor      int     `json:"floor"` // in percent; less is a failure
}

// add counts a block.
func (s *share) add(statements int, run bool) {
	s.Statements += statements
	if run {
		s.Run += statements
	}
	s.Percent = float64(s.Run) * 100 / float64(max(s.Statements, 1))
}

// measure reads a profile. The tests of every package tell of all blocks: one has run if any of them says so.
func measure(profile io.Reader) (answer, error) {
	type block struct {
		file       string
		statements int
		run        bool
	}
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "mode: ") {
			continue
		}
		// FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return answer{}, fmt.Errorf("line %d is no line of a coverage profile", n)
		}
		file, _, ok := strings.Cut(fields[0], ":")
		statements, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.ParseUint(fields[2], 10, 64)
		if !ok || err1 != nil || err2 != nil || statements < 0 || !strings.HasPrefix(file, module) {
			return answer{}, fmt.Errorf("line %d is no line of a coverage profile of %s", n, strings.TrimSuffix(module, "/"))
		}
		b := blocks[fields[0]]
		blocks[fields[0]] = block{file, statements, b.run || count > 0}
	}
	if err := lines.Err(); err != nil {
		return answer{}, err
	}
	if len(blocks) == 0 {
		return answer{}, errors.New("the profile is empty")
	}
	packages, total := map[string]share{}, share{Package: "all"}
	for _, b := range blocks {
		name := strings.TrimPrefix(path.Dir(b.file), module)
		s := packages[name]
		s.Package = name
		s.add(b.statements, b.run)
		packages[name] = s
		total.add(b.statements, b.run)
	}
	a := answer{Total: total}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		a.Packages = append(a.Packages, packages[name])
	}
	return a, nil
}

// readFloors reads lines of a package and its floor in percent.
func readFloors(text string) (map[string]int, error) {
	floors := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: want a package and a floor", i+1)
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil || n < 0 || n > 100 {
			return nil, fmt.Errorf("line %d: the floor %q is no percentage", i+1, fields[1])
		}
		if _, twice := floors[fields[0]]; twice {
			return nil, fmt.Errorf("line %d: %s has a floor already", i+1, fields[0])
		}
		floors[fields[0]] = n
	}
	return floors, nil
}

// floorsOf writes the floors for what was measured.
func floorsOf(a answer) string {
	var b strings.Builder
	b.WriteString("# How much of each package the tests must run, in percent, as root with all peers (CI=true): what was measured,\n" +
		"# less two points, and three statements at least. `go run ./bench/cover -set PROFILE` writes this file.\n")
	for _, s := range a.Packages {
		floor := min(int(s.Percent)-margin, (s.Run-fewestLess)*100/max(s.Statements, 1))
		fmt.Fprintf(&b, "%s %d\n", s.Package, max(0, floor))
	}
	return b.String()
}

// check fills in the floors and tells what is wrong.
func check(packages []share, floors map[string]int) (faults []string) {
	seen := map[string]bool{}
	for i, s := range packages {
		floor, ok := floors[s.Package]
		seen[s.Package], packages[i].Floor = true, floor
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%s has no floor: the tests run %.1f %% of it", s.Package, s.Percent))
		case s.Run*100 < floor*s.Statements:
			faults = append(faults, fmt.Sprintf("%s: the tests run %.1f %%, less than %d %%", s.Package, s.Percent, floor))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		if !seen[name] {
			faults = append(faults, name+" has a floor, and the profile does not name it")
		}
	}
	return faults
}
