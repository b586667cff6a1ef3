package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// glass is a terminal of some size, as far as a screen uses it. One cell a character is enough here.
type glass struct {
	rows, cols int
	cell       [][]rune
	row, col   int
}

func newGlass(rows, cols int) *glass {
	g := &glass{rows: rows, cols: cols}
	for range rows {
		g.cell = append(g.cell, []rune(strings.Repeat(" ", cols)))
	}
	return g
}

var sequence = regexp.MustCompile(`\A\x1b\[(\??)([0-9]*)([A-Za-z])`)

func (g *glass) Write(p []byte) (int, error) {
	for s := string(p); s != ""; {
		if m := sequence.FindStringSubmatch(s); m != nil {
			s = s[len(m[0]):]
			n, _ := strconv.Atoi(m[2])
			switch m[1] + m[3] {
			case "A":
				g.row = max(0, g.row-max(1, n))
			case "K":
				g.erase(g.row, g.col)
			case "J":
				if n == 2 {
					g.erase(0, 0)
				} else {
					g.erase(g.row, g.col)
				}
				for r := g.row + 1; r < g.rows && n != 2; r++ {
					g.erase(r, 0)
				}
				for r := 1; r < g.rows && n == 2; r++ {
					g.erase(r, 0)
				}
			case "H":
				g.row, g.col = 0, 0
			}
			continue
		}
		r := []rune(s)[0]
		s = s[len(string(r)):]
		switch r {
		case '\r':
			g.col = 0
		case '\n':
			if g.row++; g.row == g.rows {
				g.row--
				g.cell = append(g.cell[1:], []rune(strings.Repeat(" ", g.cols)))
			}
		default:
			g.cell[g.row][g.col] = r
			g.col++
		}
	}
	return len(p), nil
}

func (g *glass) erase(row, col int) {
	for c := col; c < g.cols; c++ {
		g.cell[row][c] = ' '
	}
}

func (g *glass) lines() (out []string) {
	for _, row := range g.cell {
		out = append(out, strings.TrimRight(string(row), " "))
	}
	return out
}

// Whatever was drawn before, and wherever the cursor was at first: the frame is there, nothing of an older one is, and
// what stood above it stays.
func TestScreenDraws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows, cols = 8, 12
		g := newGlass(rows, cols)
		s := &screen{out: g, redraw: make(chan struct{}, 1)}
		above := rapid.IntRange(0, rows-1).Draw(t, "above")
		for range above {
			_, _ = g.Write([]byte("$ before\r\n"))
		}
		line := rapid.StringMatching(`[a-z]{0,11}`)
		for range rapid.IntRange(1, 6).Draw(t, "frames") {
			frame := rapid.SliceOfN(line, 1, rows).Draw(t, "frame")
			if err := s.draw(frame, cols, rows); err != nil {
				t.Fatal(err)
			}
			all := g.lines()
			if g.col != 0 || g.row+1 < len(frame) {
				t.Fatalf("the cursor is at %d, %d", g.row, g.col)
			}
			got := all[g.row+1-len(frame) : g.row+1]
			if strings.Join(got, "\n") != strings.Join(frame, "\n") || strings.Trim(strings.Join(all[g.row+1:], ""), " ") != "" {
				t.Fatalf("drew\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(frame, "\n"))
			}
			for _, l := range all[:g.row+1-len(frame)] {
				if l != "$ before" {
					t.Fatalf("above the frame: %q", all)
				}
			}
		}
		if err := s.draw([]string{"new"}, cols-1, rows); err != nil || g.lines()[0] != "new" || strings.Join(g.lines(), "") != "new" {
			t.Fatalf("another size: %q", g.lines())
		}
	})
}

// What has not changed is not written again.
func TestScreenIsCalm(t *testing.T) {
	var b strings.Builder
	s := &screen{out: &b}
	_ = s.draw([]string{"one", "two", "three"}, 80, 24)
	b.Reset()
	_ = s.draw([]string{"one", "2", "three"}, 80, 24)
	if got := b.String(); strings.Contains(got, "one") || strings.Contains(got, "three") || !strings.Contains(got, "2\x1b[K") {
		t.Errorf("%q", got)
	}
}
